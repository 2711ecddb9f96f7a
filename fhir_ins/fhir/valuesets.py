"""Membership of codes in value sets, as far as it can be told here. https://hl7.org/fhir/R4/terminologies.html

A value set is expanded from its compose and the code systems at hand; a whole code system that is not at hand means
any code of it. A set that needs more (a filter, a value set that is not loaded) is unknown and judges nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Pair = tuple[str | None, str | None]

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class ValueSet:
    """The codings in it: `pairs` one by one, and of the `open` systems any code but those `barred`."""

    url: str
    pairs: frozenset[Pair]
    open: frozenset[str]
    barred: frozenset[Pair] = frozenset()

    def has(self, system: str | None, code: str | None) -> bool:
        pair = (system, code)
        return pair in self.pairs or (system in self.open and code is not None and pair not in self.barred)

    @property
    def advice(self) -> str:
        """Which codes to use, where they are few; else which systems."""
        codes = sorted({code for _, code in self.pairs if code})
        if not self.open and len(codes) <= _SHOWN:
            return f"Use {', '.join(codes)}."
        systems = sorted({system for system, _ in self.pairs if system} | self.open)
        return f"Use a code of it, from {' or '.join(systems)}." if len(systems) <= 3 else "Use a code of it."


class ValueSets:
    """The value sets of some tables, each expanded when first asked for."""

    def __init__(self, composes: Mapping[str, Json], codesystems: Mapping[str, Iterable[str]]) -> None:
        self._composes = composes
        self._codesystems = codesystems
        self._expanded: dict[str, ValueSet | None] = {}

    def find(self, canonical: str) -> ValueSet | None:
        """The value set of this canonical URL, whichever its version, or None where it is unknown."""
        url = canonical.partition("|")[0]
        if url not in self._expanded:
            self._expanded[url] = None  # one that includes itself is unknown
            self._expanded[url] = self._expansion(url)
        return self._expanded[url]

    def _expansion(self, url: str) -> ValueSet | None:
        compose = self._composes.get(url, {"include": [{"filtered": True}]})
        included = [self._part(part) for part in compose["include"]]
        excluded = [self._part(part) for part in compose.get("exclude", ())]
        whole = _union(url, included)
        without = _union(url, excluded)
        if whole is None or without is None:
            return None
        pairs = frozenset(pair for pair in whole.pairs if not without.has(*pair))
        return ValueSet(url, pairs, whole.open - without.open, without.pairs)

    def _part(self, part: Json) -> ValueSet | None:
        if "filtered" in part:
            return None
        found = [self._of_system(part)] if "system" in part else []
        for canonical in part.get("valuesets", ()):
            if (other := self.find(canonical)) is None:
                return None
            found.append(other)
        return _intersection(found)

    def _of_system(self, part: Json) -> ValueSet:
        system: str = part["system"]
        codes = part.get("codes", self._codesystems.get(system))
        if codes is None:
            return ValueSet(system, frozenset(), frozenset({system}))
        return ValueSet(system, frozenset((system, code) for code in codes), frozenset())


def _union(url: str, parts: list[ValueSet | None]) -> ValueSet | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or any(part.barred and len(parts) > 1 for part in known):
        return None
    pairs: frozenset[Pair] = frozenset().union(*(part.pairs for part in known))
    open_: frozenset[str] = frozenset().union(*(part.open for part in known))
    return ValueSet(url, pairs, open_, frozenset().union(*(part.barred for part in known)))


def _intersection(parts: list[ValueSet]) -> ValueSet | None:
    if len(parts) == 1:
        return parts[0]
    listed = [part for part in parts if not part.open]
    if not listed:
        return None
    pairs = frozenset(pair for pair in listed[0].pairs if all(part.has(*pair) for part in parts))
    return ValueSet(listed[0].url, pairs, frozenset())


def membership(valueset: ValueSet) -> Callable[[Any], bool | None]:
    """Whether a code, Coding, Quantity or CodeableConcept is in the set; None where there is nothing to judge.

    Of a CodeableConcept one coding is enough. What has extensions only says why it has no code.
    """
    has, pairs = valueset.has, valueset.pairs
    codes = frozenset(code for _, code in valueset.pairs)

    def test(value: Any) -> bool | None:
        if type(value) is str:  # a code has no system of its own
            return value in codes or bool(valueset.open)
        if type(value) is not dict:
            return None
        codings = value.get("coding")
        if codings is not None:
            for coding in codings:
                system, code = coding.get("system"), coding.get("code")
                if (system, code) in pairs or has(system, code):
                    return True
            return False
        if "code" in value:
            return has(value.get("system"), value["code"])
        return None if "extension" in value else False

    return test
