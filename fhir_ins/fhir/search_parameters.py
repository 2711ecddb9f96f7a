"""The search parameters of R4's types, and the keys of a resource under each.

Source: https://hl7.org/fhir/R4/searchparameter-registry.html, of which `compile_search` makes the table; a type's
parameters are compiled when it is first asked for.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from fhir_ins.fhir.dates import Span
from fhir_ins.fhir.folding import fold
from fhir_ins.fhir.places import ancestors
from fhir_ins.fhir.search_paths import extractor, may_last
from fhir_ins.fhir.search_values import Kind, Token, Value
from fhir_ins.fhir.structure import resource_types

Resource = Mapping[str, Any]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """A parameter: `definition` is its canonical URL, `values` gives a resource's values under it.

    `targets` are the types a reference may name, empty when any; `lasting`: its dates may last longer than a year.
    """

    name: str
    kind: Kind
    definition: str
    documentation: str
    values: Callable[[Resource], Iterable[Value]]
    targets: frozenset[str] = frozenset()
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Keys:
    """What a resource can be found by: (parameter, value) pairs; strings are folded, uris are references too."""

    tokens: frozenset[tuple[str, Token]] = frozenset()
    strings: frozenset[tuple[str, str]] = frozenset()
    dates: frozenset[tuple[str, Span]] = frozenset()
    uris: frozenset[tuple[str, str]] = frozenset()

    def __or__(self, other: "Keys") -> "Keys":
        return Keys(
            self.tokens | other.tokens,
            self.strings | other.strings,
            self.dates | other.dates,
            self.uris | other.uris,
        )


NO_KEYS = Keys()

# Parameters of the official table that are not offered: each would find nothing, or other than it says.
_SOUNDS_LIKE = "It asks for names that sound alike, which needs an algorithm for each language."
_NO_SUCH_EXTENSION = "Its expression names an extension that R4 does not define."
_FIRST_ENTRY = "It stands for a resource within the Bundle, for the parameters of that to be chained to."
NOT_OFFERED: Mapping[str, str] = {
    "http://hl7.org/fhir/SearchParameter/individual-phonetic": _SOUNDS_LIKE,
    "http://hl7.org/fhir/SearchParameter/InsurancePlan-phonetic": _SOUNDS_LIKE,
    "http://hl7.org/fhir/SearchParameter/Organization-phonetic": _SOUNDS_LIKE,
    "http://hl7.org/fhir/SearchParameter/Bundle-composition": _FIRST_ENTRY,
    "http://hl7.org/fhir/SearchParameter/Bundle-message": _FIRST_ENTRY,
    "http://hl7.org/fhir/SearchParameter/device-extensions-Device-din": _NO_SUCH_EXTENSION,
    "http://hl7.org/fhir/SearchParameter/observation-genetic-Observation-amino-acid-change": _NO_SUCH_EXTENSION,
    "http://hl7.org/fhir/SearchParameter/observation-genetic-Observation-dna-variant": _NO_SUCH_EXTENSION,
    "http://hl7.org/fhir/SearchParameter/observation-genetic-Observation-gene-amino-acid-change": _NO_SUCH_EXTENSION,
    "http://hl7.org/fhir/SearchParameter/observation-genetic-Observation-gene-dnavariant": _NO_SUCH_EXTENSION,
    "http://hl7.org/fhir/SearchParameter/patient-extensions-Patient-mothersMaidenName": _NO_SUCH_EXTENSION,
}


def keys_of(resource: Resource, parameters: Mapping[str, SearchParameter] | None = None) -> Keys:
    """The keys of a resource under these parameters, or under all of its type's in FHIR."""
    tokens: set[tuple[str, Any]] = set()
    strings: set[tuple[str, str]] = set()
    dates: set[tuple[str, Any]] = set()
    uris: set[tuple[str, Any]] = set()
    folded: dict[Any, str] = {}  # a name is found by itself and by its parts
    asked = PARAMETERS[resource["resourceType"]] if parameters is None else parameters
    for name, parameter in asked.items():
        values = parameter.values(resource)
        if not values:
            continue
        kind = parameter.kind
        if kind is _STRING:
            for value in values:
                if value not in folded:
                    folded[value] = fold(str(value))
                if text := folded[value]:
                    strings.add((name, text))
        else:
            found = tokens if kind is _TOKEN else dates if kind is _DATE else uris
            found.update([(name, value) for value in values])
    return Keys(frozenset(tokens), frozenset(strings), frozenset(dates), frozenset(uris))


_STRING, _TOKEN, _DATE = Kind.STRING, Kind.TOKEN, Kind.DATE  # looked up for every parameter of every write


def named(parameters: Iterable[SearchParameter]) -> dict[str, SearchParameter]:
    """The parameters by their names, in their order."""
    return {parameter.name: parameter for parameter in parameters}


class ParametersByType(Mapping[str, Mapping[str, SearchParameter]]):
    """The parameters of each R4 type by their names: the official ones, then `further` ones of ours or others.

    A further one of an official name takes its place.
    """

    def __init__(self, further: Mapping[str, Mapping[str, SearchParameter]]) -> None:
        self._further = further

    def __getitem__(self, type_: str) -> Mapping[str, SearchParameter]:
        official = _official(type_)
        further = self._further.get(type_)
        return {**official, **further} if further else official

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(resource_types()))

    def __len__(self) -> int:
        return len(resource_types())


PARAMETERS = ParametersByType({})


@cache
def definitions() -> Mapping[str, Any]:
    """The table of R4's search parameters and compartments; `compile_search` says how to read it."""
    path = Path(__file__).with_name("definitions") / "r4-search.json"
    table: Mapping[str, Any] = orjson.loads(path.read_bytes())
    return table


@cache
def _official(type_: str) -> Mapping[str, SearchParameter]:
    """Those of R4 on a type that are offered: with an expression, of a kind in use. Raises KeyError."""
    if type_ not in resource_types():
        raise KeyError(type_)
    table = definitions()["parameters"]
    bases = sorted(ancestors(type_) & {"Resource", "DomainResource"}, reverse=True)
    found = {name: entry for base in (*bases, type_) for name, entry in table.get(base, {}).items()}
    return {name: _parameter(name, type_, entry) for name, entry in found.items() if _is_offered(entry)}


def _is_offered(entry: Json) -> bool:
    return entry["type"] in list(Kind) and "expression" in entry and entry["url"] not in NOT_OFFERED


def _parameter(name: str, type_: str, entry: Json) -> SearchParameter:
    kind, expression = Kind(entry["type"]), entry["expression"]
    return SearchParameter(
        name,
        kind,
        entry["url"],
        entry["text"],
        extractor(expression, type_, kind),
        frozenset(entry.get("targets", ())),
        lasting=kind is Kind.DATE and may_last(expression, type_),
    )
