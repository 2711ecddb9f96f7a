"""What judging a resource by profiles is made of: breaches on their way up, and the resource around.

A judge returns nothing while all is well, so that paths are made for breaches only.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from fhir_ins.fhir.structure import definitions

MAXIMUM_BREACHES = 100

Json = dict[str, Any]


class Breach(NamedTuple):
    """An issue on its way up: its path grows at each level. `published`: the definition contradicts itself here."""

    code: str
    text: str
    path: str = ""
    severity: str = "error"
    published: bool = False


Breaches = list[Breach] | None


class Item(NamedTuple):
    """A value of an element; `sibling` is what stands in its property with an underscore, `type` that of a choice."""

    value: Any
    sibling: Json | None = None
    type: str | None = None


class Resource:
    """The resource around what is judged: the root whose contained resources its references may name.

    `judged` are the extensions (by identity) that were judged by their own definition already.
    """

    __slots__ = ("_following", "contained", "judged", "root")

    def __init__(self, root: Json) -> None:
        self.root = root
        self.judged: set[int] = set()
        self.contained = {inner["id"]: inner for inner in root.get("contained", ()) if "id" in inner}
        self._following: set[int] = set()

    def target(self, reference: Any) -> Json | None:
        """The contained resource a Reference (or canonical) names; None where it points outside."""
        literal = reference.get("reference") if type(reference) is dict else reference
        if type(literal) is not str or not literal.startswith("#"):
            return None
        return self.root if literal == "#" else self.contained.get(literal[1:])

    def conforms(self, target: Json, judge: Callable[[Item, "Resource"], Breaches]) -> bool:
        """Whether a resource referred to passes `judge`; one that is being judged already is taken to."""
        if id(target) in self._following:
            return True
        self._following.add(id(target))
        try:
            return not any_error(judge(Item(target), self))
        finally:
            self._following.discard(id(target))


Judge = Callable[[Item, Resource], Breaches]


def any_error(breaches: Breaches) -> bool:
    return any(breach.severity == "error" for breach in breaches or ())


def below(step: str, breaches: Iterable[Breach]) -> list[Breach]:
    """The breaches one level up, `step` (.name, .name[0]) in front of their paths."""
    return [breach._replace(path=step + breach.path) for breach in breaches]


def items_of(owner: dict[str, Any], name: str) -> list[Item]:
    """The items of an element, a choice by its stem too."""
    value, sibling = owner.get(name), owner.get("_" + name)
    if value is None and sibling is None:
        return choice_of(owner, name)
    if type(value) is list or type(sibling) is list:
        return repeated(value, sibling)
    return [Item(value, sibling)]


def repeated(values: Any, siblings: Any) -> list[Item]:
    """The items of an array and of the array beside it, either of which may be missing."""
    if siblings is None:
        return [Item(value) for value in values]
    return [Item(*pair) for pair in zip(values or [None] * len(siblings), siblings, strict=False)]


def choice_of(owner: dict[str, Any], stem: str) -> list[Item]:
    """The item of a choice (value[x]) with the type its property names."""
    for name in owner:
        plain = name.removeprefix("_")
        suffix = plain[len(stem) :]
        if plain.startswith(stem) and suffix[:1].isupper():
            type_ = suffix if suffix in definitions()["types"] else suffix[0].lower() + suffix[1:]
            return [Item(owner.get(plain), owner.get("_" + plain), type_)]
    return []
