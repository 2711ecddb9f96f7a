"""By what the slices of an element are told apart. https://hl7.org/fhir/R4/profiling.html#discriminator

A discriminator names a path; what a slice says of the element at that path (a fixed value, a pattern, a required
value set, a type, a profile, whether it is there) tells which items are its own.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fhir_ins.fhir.judging import Item, Judge, Resource, items_of
from fhir_ins.fhir.patterns import fixed, pattern
from fhir_ins.fhir.places import Place
from fhir_ins.fhir.profile_elements import CORE, Element, Structures, View
from fhir_ins.fhir.structure import resource_types
from fhir_ins.fhir.valuesets import ValueSets, membership

_Holds = Callable[[Item, Resource], bool | None]  # None where it cannot be told
_Found = Sequence[Item] | None
_Test = Callable[[Sequence[Item], Resource], bool | None]
_Step = Callable[[Item, Resource], _Found]

_STEP = re.compile(r"(\$this)|(\w+)\('?([^')]*)'?\)|(\w+)")
_PATH = re.compile(rf"(?:{_STEP.pattern})(?:\.(?:{_STEP.pattern}))*")


class Hint(NamedTuple):
    """A string that stands at a path of every item a criterion accepts; `decides`: of no other item."""

    path: tuple[str, ...]
    string: str
    decides: bool


class Criterion(NamedTuple):
    """Whether an item is of a slice (None where it cannot be told), and by what such items are quickly found."""

    holds: Callable[[Item, Resource], bool | None]
    hint: Hint | None


def strings_at(value: Any, path: Sequence[str]) -> list[str]:
    """The strings at a path of names, arrays on the way included."""
    found = [value]
    for name in path:
        further = []
        for inner in found:
            child = inner.get(name) if type(inner) is dict else None
            if type(child) is list:
                further += child
            elif child is not None:
                further.append(child)
        found = further
    return [string for string in found if type(string) is str]


class Discriminators:
    """Makes the criteria of slices; `judge_of` gives the judge of a profile, None where it is not loaded."""

    def __init__(self, structures: Structures, valuesets: ValueSets, judge_of: Callable[[str], Judge | None]) -> None:
        self._structures = structures
        self._valuesets = valuesets
        self._judge_of = judge_of

    def criterion(self, slice_: View, by: Sequence[Sequence[str]]) -> Criterion | None:
        """Whether an item is of the slice, or None where its definition does not tell.

        A discriminator of which the slice says nothing does not count, as long as it says something of another.
        """
        criteria = (self._one(slice_, type_, path) for type_, path in by)
        known = [found for found in criteria if found is not None]
        if not known:
            return None
        if len(known) == 1:
            return known[0]
        hint = next((found.hint._replace(decides=False) for found in known if found.hint), None)
        return Criterion(_all([found.holds for found in known]), hint)

    def _one(self, slice_: View, type_: str, path: str) -> Criterion | None:
        if not _PATH.fullmatch(path):
            return None
        view: View | None = slice_
        steps: list[_Step] = []
        plain = True  # the path is of names as they stand in JSON
        for this, function, argument, name in _STEP.findall(path):
            if this:
                continue
            plain = plain and not function and (name == "url" or (view is not None and view.child(name) is not None))
            reached = self._reached(view, function or name, argument if function else None)
            if reached is None:
                return None
            view, step = reached
            steps.append(step)
        test = self._test(view, type_) if view is not None else None
        if view is None or test is None:
            return None
        return Criterion(_along(steps, test), _hint(path, view) if plain and type_ in ("value", "pattern") else None)

    def _reached(self, view: View | None, step: str, argument: str | None) -> tuple[View | None, _Step] | None:
        """What a step of the path leads to, in the definition and in an item; None for a step R4 does not have."""
        if argument is None:
            if step == "url" and view is not None and view.url is not None:
                return _fixed_url(view), _property(step)
            return view and (view.child(step) or view.child(f"{step}[x]")), _property(step)
        if step == "extension":
            extensions = view and view.child("extension")
            named = (found for found in extensions.slices() if found.url == argument) if extensions else iter(())
            return next(named, None), _extension(argument)
        if step in ("ofType", "as"):
            typed = (found for found in view.slices() if argument in (found.facet("types") or {})) if view else iter(())
            return next(typed, view), _of_type(argument)
        return (view and self._target(view), _resolved) if step == "resolve" else None

    def _target(self, view: View) -> View:
        """The resource a reference names: as an element whose types and profiles are the targets."""
        targets = (view.facet("types") or {}).get("Reference", {}).get("targets", ())
        target = Element(view.elements[0].place)
        for canonical in targets:
            structure = self._structures.nearest(canonical)
            if structure is not None:
                profiles = target.facets.setdefault("types", {}).setdefault(structure["type"], {})
                profiles.setdefault("profiles", []).append(canonical)
            else:
                target.facets.setdefault("types", {})[canonical.partition("|")[0].removeprefix(CORE)] = {}
        return View([target], self._structures)

    def _test(self, view: View, type_: str) -> _Test | None:
        if type_ == "type":
            return _typed(frozenset(view.facet("types") or ()))
        if type_ == "profile":
            return self._profiled(view)
        if type_ in ("value", "pattern"):
            for facet, made in (("fixed", fixed), ("pattern", pattern)):
                if (expected := view.facet(facet)) is not None:
                    return _any(made(expected))
            binding = view.facet("binding")
            if binding and binding[0] == "required":
                valueset = self._valuesets.find(binding[1])
                return _any(membership(valueset)) if valueset else _untold
        if view.facet("min"):
            return lambda items, _resource: bool(items)
        return (lambda items, _resource: not items) if view.facet("max") == "0" else None

    def _profiled(self, view: View) -> _Test | None:
        profiles = [found for type_ in (view.facet("types") or {}).values() for found in type_.get("profiles", ())]
        judges = [self._judge_of(canonical) for canonical in profiles]
        known = [judge for judge in judges if judge is not None]
        if not known or len(known) < len(judges):
            return _untold if profiles else None

        def test(items: Sequence[Item], resource: Resource) -> bool:
            return any(resource.conforms(item.value, judge) for item in items for judge in known)

        return test


def _fixed_url(view: View) -> View:
    """The url of an extension as an element, which a profile of it need not spell out."""
    element = Element(Place("uri"))
    element.facets["fixed"] = view.url
    return View([element], view.structures)


def _hint(path: str, view: View) -> Hint | None:
    """A string that what is fixed or patterned asks for, the code of a coding rather than its system."""
    names = [] if path == "$this" else path.split(".")
    expected = view.facet("fixed") or view.facet("pattern")
    decides = isinstance(expected, str)
    while not isinstance(expected, str):
        if isinstance(expected, list):
            expected = expected[0]
        elif isinstance(expected, dict):
            name = next((name for name in ("coding", "code") if name in expected), next(iter(expected)))
            names.append(name)
            expected = expected[name]
        else:
            return None
    return Hint(tuple(names), expected, decides)


def _all(criteria: list[_Holds]) -> _Holds:
    def criterion(item: Item, resource: Resource) -> bool | None:
        told: bool | None = True
        for holds in criteria:
            found = holds(item, resource)
            if found is False:
                return False
            told = told and found
        return told

    return criterion


def _along(steps: list[_Step], test: _Test) -> _Holds:
    """The test of what stands at the end of the path: of any of the items there."""

    def criterion(item: Item, resource: Resource) -> bool | None:
        items: Sequence[Item] = (item,)
        for step in steps:
            reached: list[Item] = []
            for found in items:
                further = step(found, resource)
                if further is None:
                    return None
                reached += further
            items = reached
        return test(items, resource)

    return criterion


def _untold(_items: Sequence[Item], _resource: Resource) -> None:
    """It takes what is not loaded to tell."""


def _any(holds: Callable[[Any], bool | None]) -> _Test:
    def test(items: Sequence[Item], _resource: Resource) -> bool:
        for item in items:  # noqa: SIM110 - a generator costs as much again
            if holds(item.value):
                return True
        return False

    return test


def _typed(types: frozenset[str]) -> _Test | None:
    if not types:
        return None
    if types & {"Resource", "DomainResource"}:
        types |= resource_types()

    def test(items: Sequence[Item], _resource: Resource) -> bool | None:
        told = [item.type or (item.value.get("resourceType") if type(item.value) is dict else None) for item in items]
        return None if None in told else any(type_ in types for type_ in told)

    return test


def _property(name: str) -> _Step:
    def step(item: Item, _resource: Resource) -> _Found:
        return items_of(item.value if type(item.value) is dict else item.sibling or {}, name)

    return step


def _extension(url: str) -> _Step:
    def step(item: Item, _resource: Resource) -> _Found:
        owner = item.value if type(item.value) is dict else item.sibling or {}
        return [Item(found) for found in owner.get("extension", ()) if found.get("url") == url]

    return step


def _of_type(type_: str) -> _Step:
    def step(item: Item, _resource: Resource) -> _Found:
        named = item.value.get("resourceType") if type(item.value) is dict else None
        return [item] if type_ in (item.type, named) else []

    return step


def _resolved(item: Item, resource: Resource) -> _Found:
    target = resource.target(item.value)
    return None if target is None else [Item(target)]
