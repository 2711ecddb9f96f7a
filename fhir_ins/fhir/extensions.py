"""Every extension of a resource against its own definition. https://hl7.org/fhir/R4/extensibility.html

A definition says what an extension holds, on which elements it may stand (its context), and whether it changes their
meaning (a modifierExtension). What is not known is not judged.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from fhir_ins.fhir.judging import MAXIMUM_BREACHES, Breach, Item, Json, Judge, Resource, below
from fhir_ins.fhir.places import Place, ancestors, property_of
from fhir_ins.fhir.profile_elements import Structures
from fhir_ins.fhir.structure import definitions

_NAMES = ("extension", "modifierExtension")
_PATH = re.compile(r"([A-Za-z0-9]+)(?:\.[a-z][A-Za-z0-9]*(?:\[x\])?)*")
_KEPT = 4096  # positions that are remembered: data decide how many there are

# The way to an element: "@Patient" where its resource begins, then the names of properties.
Names = tuple[str, ...]


class Context(NamedTuple):
    """Where an extension may stand: on these elements, on these extensions, or anywhere as far as can be told."""

    elements: frozenset[str]
    extensions: frozenset[str]
    anywhere: bool


class Standing(NamedTuple):
    """An extension, the property it is in, what it stands on, and the way there."""

    extension: Json
    property: str
    owner: Json
    names: Names


class Extensions:
    """Judges the extensions whose definitions are among some structures."""

    def __init__(self, structures: Structures, judge_of: Callable[[str], Judge | None]) -> None:
        self._structures = structures
        self._judge_of = judge_of
        self._known: dict[str, tuple[str, Context, Judge]] = {}

    def judge(self, resource: Resource) -> list[Breach]:
        """The breaches of every extension, of contained resources too."""
        found: list[Standing] = []
        _collect(resource.root, (), found)
        breaches: list[Breach] = []
        paths: dict[int, str] = {}
        for standing in found:
            extension, property_, owner, names = standing
            url = extension["url"]
            if ":" not in url:
                continue  # a part of the extension around it, which judges it
            known = self._known.get(url) or self._definition(url)
            if known is None:
                continue
            expected, context, judge = known
            broken: list[Breach] = []
            if property_ != expected:
                text = f"The extension {url.rpartition('/')[2]} is a {expected}. Move it there."
                broken.append(Breach("structure", text))
            if not _stands_well(context, owner, names):
                broken.append(_misplaced(url, context))
            if id(extension) not in resource.judged:
                broken += judge(Item(extension), resource) or ()
            if broken:
                paths = paths or dict(_paths(resource.root, Place(""), ""))
                breaches += below(paths[id(extension)], broken)
            if len(breaches) > MAXIMUM_BREACHES:
                break
        return breaches

    def _definition(self, url: str) -> tuple[str, Context, Judge] | None:
        structure, judge = self._structures.find(url), self._judge_of(url)
        if structure is None or structure["type"] != "Extension" or judge is None:
            return None
        known = self._known[url] = _NAMES[structure.get("modifier", False)], _context(structure), judge
        return known


def _collect(value: Json, names: Names, found: list[Standing]) -> None:
    if "resourceType" in value:
        names = (f"@{value['resourceType']}",)
    for name, child in value.items():
        if type(child) is str:
            continue
        if type(child) is list:
            if name in _NAMES:
                found += [Standing(item, name, value, names) for item in child]
            inner = (*names, name)
            for item in child:
                if type(item) is dict:
                    _collect(item, inner, found)
        elif type(child) is dict:
            _collect(child, (*names, name), found)


def _context(structure: Mapping[str, Any]) -> Context:
    """What cannot be judged (a FHIRPath that is more than a path, a type R4 does not have) allows anything."""
    elements, extensions = set(), set()
    known = definitions()["types"].keys() | definitions()["primitives"].keys()
    anywhere = not structure.get("contexts")
    for type_, expression in structure.get("contexts", ()):
        path = expression.partition("#")[0]
        match = _PATH.fullmatch(path)
        if type_ == "extension":
            extensions.add(path)
        elif match and match[1] in known:
            elements.add(path)
        else:
            anywhere = True
    return Context(frozenset(elements), frozenset(extensions), anywhere)


def _stands_well(context: Context, owner: Json, names: Names) -> bool:
    if context.anywhere or not context.elements.isdisjoint(_contexts(names)):
        return True
    return bool(context.extensions) and owner.get("url") in context.extensions


def _misplaced(url: str, context: Context) -> Breach:
    places = " or ".join(sorted(context.elements | context.extensions))
    return Breach("structure", f"The extension {url.rpartition('/')[2]} stands on {places} only. Move or remove it.")


@lru_cache(_KEPT)
def _contexts(names: tuple[str, ...]) -> frozenset[str]:
    """Every way to name an element: its path from the resource and from the type around, its type, what that is."""
    place, element, spelt = _arrival(names)
    found = set(ancestors(place.type if not place.path else "BackboneElement"))
    if element is not None:
        found |= {f"{element[0]}.{element[1]}", f"{element[0]}.{names[-1].removeprefix('_')}"}
    return frozenset(found | {".".join(spelt), str(place)})


def _arrival(names: Names) -> tuple[Place, tuple[Place, str] | None, list[str]]:
    """Where the names lead: the place, the element that leads to it, and the path as R4's definitions spell it."""
    place, element = Place(names[0][1:]), None
    spelt = [place.type]
    for name in names[1:]:
        found = property_of(place, name.removeprefix("_"))
        if found is None:
            spelt.append(name)
            continue
        element = (place, found.element)
        spelt.append(found.element)
        place = found.place
    return place, element, spelt


def _paths(value: Json, place: Place, here: str) -> Iterator[tuple[int, str]]:
    """The FHIRPath of every extension below the root, by identity: a choice by its stem. One walk for all."""
    place = Place(value["resourceType"]) if "resourceType" in value else place
    for name, child in value.items():
        found = property_of(place, name.removeprefix("_"))
        step = "." + (found.element.removesuffix("[x]") if found else name.removeprefix("_"))
        inner = found.place if found else Place("")
        for index, item in enumerate(child if type(child) is list else [child]):
            if type(item) is dict:
                path = f"{here}{step}[{index}]" if type(child) is list else here + step
                if name in _NAMES:
                    yield id(item), path
                yield from _paths(item, inner, path)
