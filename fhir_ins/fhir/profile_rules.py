"""From the merged elements of profiles to judges: closures, made once for each profile and shared.

https://hl7.org/fhir/R4/elementdefinition.html says what each facet asks for. What is not said is not walked.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from fhir_ins.fhir.discriminators import Discriminators
from fhir_ins.fhir.element_judges import (
    bound,
    constrained,
    fixed_value,
    limited,
    profiled,
    referring,
    typed,
)
from fhir_ins.fhir.invariants.terms import Invariant
from fhir_ins.fhir.judging import Breach, Breaches, Item, Json, Judge, Resource, below, choice_of, items_in
from fhir_ins.fhir.profile_elements import CORE, Element, Structures, View
from fhir_ins.fhir.slicing import Published, Slice, Slicing
from fhir_ins.fhir.structure import definitions
from fhir_ins.fhir.valuesets import ValueSets

_BY_URL = {"by": [["value", "url"]], "rules": "open"}
_BY_TYPE = {"by": [["type", "$this"]], "rules": "open"}
_EXTENSIONS = ("extension", "modifierExtension")


class Part:
    """What a profile asks of one element of an object: how often it stands, of each item, of its slices."""

    __slots__ = ("_absent", "_choice", "_judges", "_label", "_least", "_most", "_name", "_sibling", "_slicing", "judge")

    def __init__(
        self, name: str, label: str, element: Element, judges: Sequence[Judge], slicing: Slicing | None
    ) -> None:
        self._choice = name.endswith("[x]")
        self._name = name.removesuffix("[x]")
        self._sibling = "_" + name
        self._label = label
        self._least: int = element.facets.get("min", 0)
        self._most = _most_that_matters(element)
        self._judges = tuple(judges)
        self._slicing = slicing
        self._absent = [*self._too_few(0), *(slicing.absent() if slicing else ())] or None
        self.judge: Callable[[Json, Resource], Breaches] = self._whole
        if not (self._choice or slicing or self._most is not None or self._least > 1):
            if not judges:
                self.judge = self._presence
            elif not element.repeats:
                self.judge = self._one

    @property
    def idle(self) -> bool:
        """Whether nothing is asked for."""
        return not (self._least or self._most is not None or self._judges or self._slicing)

    def _presence(self, owner: Json, _resource: Resource) -> Breaches:
        return None if self._name in owner or self._sibling in owner else self._absent

    def _one(self, owner: Json, resource: Resource) -> Breaches:
        value, sibling = owner.get(self._name), owner.get(self._sibling)
        if value is None and sibling is None:
            return self._absent
        breaches: list[Breach] = []
        item = Item(value, sibling)
        for judge in self._judges:
            if found := judge(item, resource):
                breaches += below(f".{self._name}", found)
        return breaches

    def _whole(self, owner: Json, resource: Resource) -> Breaches:
        name = self._name
        if self._choice:
            items, repeats = choice_of(owner, name), False
        elif name in owner or self._sibling in owner:
            items, repeats = items_in(owner.get(name), owner.get(self._sibling))
        else:
            return self._absent
        if not items:
            return self._absent
        breaches: list[Breach] = self._too_few(len(items)) if self._least > 1 else []
        if self._most is not None and len(items) > self._most:
            breaches.append(self._too_many())
        for judge in self._judges:
            for index, item in enumerate(items):
                if found := judge(item, resource):
                    breaches += below(self._step(index, repeats), found)
        if self._slicing is not None and (broken := self._slicing.judge(items, resource)):
            for sliced, found in broken:
                breaches += found if sliced is None else below(self._step(sliced, repeats), found)
        return breaches

    def _step(self, index: int, repeats: bool) -> str:
        return f".{self._name}[{index}]" if repeats else f".{self._name}"

    def _too_few(self, count: int) -> list[Breach]:
        if count >= self._least:
            return []
        times = "" if self._least == 1 else f" {self._least} times"
        return [Breach("required", f"{self._label} needs {self._name}{times} here. Add it.")]

    def _too_many(self) -> Breach:
        text = f"takes {self._name} {self._most} time(s) at most" if self._most else f"does not take {self._name} here"
        return Breach("structure", f"{self._label} {text}. Remove what is too many.", f".{self._name}")


def _most_that_matters(element: Element) -> int | None:
    """The greatest number of items, None for any; one is no limit where base R4 knows no more."""
    most = element.facets.get("max", "*")
    if most == "*" or (most == "1" and not element.repeats):
        return None
    return int(most)


class Content:
    """What a profile asks of the elements of an object, or of the extensions of a primitive."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = tuple(part.judge for part in parts)

    def judge(self, item: Item, resource: Resource) -> Breaches:
        owner = item.value if type(item.value) is dict else item.sibling or {}
        breaches: list[Breach] = []
        for judge in self._parts:
            if found := judge(owner, resource):
                breaches += found
        return breaches


class Rules:
    """The judges of the profiles of some structures, each made when it is first needed."""

    def __init__(
        self,
        structures: Structures,
        valuesets: ValueSets,
        invariants: Mapping[tuple[str, str], Invariant],
        published: Published,
    ) -> None:
        self._structures = structures
        self._valuesets = valuesets
        self._invariants = invariants
        self._published = published
        self._discriminators = Discriminators(structures, valuesets, self.judge_of)
        self._made: dict[str, Judge] = {}

    def judge_of(self, canonical: str) -> Judge | None:
        """The judge of a profile, whose compilation waits until it is used; None when it is not loaded."""
        exact = self._structures.canonical(canonical)
        if exact is None:
            return None

        def judge(item: Item, resource: Resource) -> Breaches:
            made = self._made.get(exact) or self.prepare(exact)
            return made(item, resource)

        return judge

    def prepare(self, exact: str) -> Judge:
        """Compile a profile (`url|version`). Raises LookupError when it is not loaded."""
        root = self._structures.tree(exact)
        if root is None:
            raise LookupError(f"{exact} is not loaded")
        label = exact.partition("|")[0].rpartition("/")[2]
        made = self._made[exact] = _together(list(self._judges(root, View([root], self._structures), "", label)))
        return made

    def _judges(self, element: Element, view: View, name: str, label: str) -> Iterator[Judge]:
        """What is asked of each item of an element, the cheap and telling first."""
        facets = element.facets
        if element.types:
            yield from self._of_types(element, name, label)
        for facet in ("fixed", "pattern"):
            if facet in facets:
                yield fixed_value(facet, facets[facet], label)
        if "binding" in facets:
            strength, canonical = facets["binding"]
            if valueset := self._valuesets.find(canonical):
                yield bound(valueset, strength, label, self._published)
        if limits := {facet: facets[facet] for facet in ("longest", "least", "greatest") if facet in facets}:
            yield limited(label, **limits)
        parts = [self._part(child, view.child(below_), below_, label) for below_, child in element.children.items()]
        if asked := [part for part in parts if not part.idle]:
            yield Content(asked).judge
        for source, key, severity, expression, human in facets.get("constraints", ()):
            yield constrained(self._invariants.get((source, key)), key, severity, expression, human, str(element.place))

    def _of_types(self, element: Element, name: str, label: str) -> Iterator[Judge]:
        if name.endswith("[x]"):
            yield typed(frozenset(element.types), name.removesuffix("[x]"), label)
        for type_, required in element.types.items():
            only = type_ if len(element.types) > 1 else None
            if judges := self._known(required.get("profiles", ())):
                yield profiled(judges, only, label)
            targets = required.get("targets", ())
            if type_ == "Reference" and (types := self._target_types(targets)):
                yield referring(types, self._known(targets), only, label)

    def _known(self, canonicals: Sequence[str]) -> Sequence[tuple[str, Judge]]:
        """The profiles one of which is asked for, with their judges; none when one is not known, or of a base type."""
        found = [(canonical.partition("|")[0], self.judge_of(canonical)) for canonical in canonicals]
        known = [(url, judge) for url, judge in found if judge is not None]
        return known if len(known) == len(found) else ()

    def _target_types(self, canonicals: Sequence[str]) -> frozenset[str]:
        """The resource types of these profiles; empty when one is not known or any resource will do."""
        types = set()
        for canonical in canonicals:
            structure = self._structures.nearest(canonical)
            type_ = structure["type"] if structure else canonical.partition("|")[0].removeprefix(CORE)
            if type_ not in definitions()["types"] or type_ in ("Resource", "DomainResource"):
                return frozenset()
            types.add(type_)
        return frozenset(types)

    def _part(self, element: Element, view: View | None, name: str, label: str) -> Part:
        view = view or View([element], self._structures)
        return Part(
            name,
            label,
            element,
            list(self._judges(element, view, name, label)),
            self._slicing(element, view, name, label),
        )

    def _slicing(self, element: Element, view: View, name: str, label: str) -> Slicing | None:
        if not element.slices:
            return None
        stated = view.facet("slicing") or {}
        default = _BY_URL if name in _EXTENSIONS else _BY_TYPE if name.endswith("[x]") else {"by": [], "rules": "open"}
        by = stated.get("by") or default["by"]
        slices = [self._slice(found, view.slice(key), key, by, name, label) for key, found in element.slices.items()]
        rules = element.facets.get("slicing", default)["rules"]
        return Slicing(label, name, rules, slices, self._published, ordered=bool(stated.get("ordered")))

    def _slice(
        self, element: Element, view: View, key: str, by: Sequence[Sequence[str]], name: str, label: str
    ) -> Slice:
        criterion = self._discriminators.criterion(view, by)
        judges = list(self._judges(element, view, name, label))
        inner = self._slicing(element, view, name, label)
        most = element.facets.get("max", "*")
        return Slice(key, element.facets.get("min", 0), None if most == "*" else int(most), judges, criterion, inner)


def _together(judges: Sequence[Judge]) -> Judge:
    if len(judges) == 1:
        return judges[0]

    def judge(item: Item, resource: Resource) -> Breaches:
        breaches: list[Breach] = []
        for one in judges:
            if found := one(item, resource):
                breaches += found
        return breaches

    return judge
