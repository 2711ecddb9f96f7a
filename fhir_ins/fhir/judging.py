"""What judging a resource by profiles is made of: breaches on their way up, and the resource around.

A judge returns nothing while all is well, so that paths are made for breaches only.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from fhir_ins.fhir.scope import Scope
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

    __slots__ = ("_following", "contained", "judged", "root", "scope")

    def __init__(self, root: Json) -> None:
        self.root = root
        self.scope = Scope(root)
        self.judged: set[int] = set()
        self.contained = {inner["id"]: inner for inner in root.get("contained", ()) if "id" in inner}
        self._following: set[int] = set()

    def target(self, reference: Any) -> Json | None:
        """The contained resource a Reference (or canonical) names; None where it points outside."""
        literal = reference.get("reference") if type(reference) is dict else reference
        if type(literal) is not str or not literal.startswith("#"):
            return None
        return self.root if literal == "#" else self.contained.get(literal[1:])

    def tried(self, item: Item, judge: "Judge") -> "Breaches":
        """What `judge` says, when that may be dropped: the extensions it judges do not count as judged."""
        judged, self.judged = self.judged, set()
        try:
            return judge(item, self)
        finally:
            self.judged = judged

    def conforms(self, target: Json, judge: "Judge") -> bool:
        """Whether a resource referred to passes `judge`; one that is being judged already is taken to."""
        if id(target) in self._following:
            return True
        self._following.add(id(target))
        try:
            return not any_error(self.tried(Item(target), judge))
        finally:
            self._following.discard(id(target))


Judge = Callable[[Item, Resource], Breaches]


def any_error(breaches: Breaches) -> bool:
    return any(breach.severity == "error" for breach in breaches or ())


def below(step: str, breaches: Iterable[Breach]) -> list[Breach]:
    """The breaches one level up, `step` (.name, .name[0]) in front of their paths."""
    return [breach._replace(path=step + breach.path) for breach in breaches]


def items_of(owner: Json, name: str) -> Sequence[Item]:
    """The items of an element, a choice by its stem too."""
    value, sibling = owner.get(name), owner.get("_" + name)
    return choice_of(owner, name) if value is None and sibling is None else items_in(value, sibling)[0]


def items_in(value: Any, sibling: Any) -> tuple[Sequence[Item], bool]:
    """The items of a property and of the one with an underscore, one of which is there; whether they repeat."""
    if type(value) is list and sibling is None:
        return [Item(found) for found in value], True
    if type(value) is list or type(sibling) is list:
        pairs = zip(value or [None] * len(sibling), sibling, strict=False)
        return [Item(*pair) for pair in pairs], True
    return (Item(value, sibling),), False


def choice_of(owner: Json, stem: str) -> Sequence[Item]:
    """The item of a choice (value[x]) with the type its property names."""
    underscored = "_" + stem
    for name in owner:
        if name.startswith((stem, underscored)):
            plain = name.removeprefix("_")
            if type_ := _TYPES.get(plain[len(stem) :]):
                return (Item(owner.get(plain), owner.get("_" + plain), type_),)
    return ()


_TYPES = {
    type_[0].upper() + type_[1:]: type_ for section in ("types", "primitives") for type_ in definitions()[section]
}
