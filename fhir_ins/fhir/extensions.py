"""Every extension of a resource against its own definition. https://hl7.org/fhir/R4/extensibility.html

A definition says what an extension holds, on which elements it may stand (its context), and whether it changes their
meaning (a modifierExtension). What is not known is not judged.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from fhir_ins.fhir.judging import Breach, Item, Json, Judge, Resource, below
from fhir_ins.fhir.places import Place, ancestors, property_of
from fhir_ins.fhir.profile_elements import Structures
from fhir_ins.fhir.structure import definitions

_NAMES = ("extension", "modifierExtension")
_PATH = re.compile(r"([A-Za-z0-9]+)(?:\.[a-z][A-Za-z0-9]*(?:\[x\])?)*")
_KEPT = 4096  # positions that are remembered: data decide how many there are

# From the root to an element: "@Patient" where a resource begins, the names of properties, the indexes in arrays.
Trail = tuple[str | int, ...]


class Standing(NamedTuple):
    """An extension, the property it is in, the url of the extension it stands on (if it does), the way to it."""

    extension: Json
    property: str
    on: str | None
    trail: Trail


class Extensions:
    """Judges the extensions whose definitions are among some structures."""

    def __init__(self, structures: Structures, judge_of: Callable[[str], Judge | None]) -> None:
        self._structures = structures
        self._judge_of = judge_of

    def judge(self, resource: Resource) -> list[Breach]:
        """The breaches of every extension, of contained resources too."""
        found: list[Standing] = []
        _collect(resource.root, [], found)
        breaches: list[Breach] = []
        for standing in found:
            url = standing.extension["url"]
            structure = self._structures.find(url)
            if structure is not None and structure["type"] == "Extension":
                broken = _misplaced(structure, url, standing)
                if id(standing.extension) not in resource.judged and (judge := self._judge_of(url)):
                    broken += judge(Item(standing.extension), resource) or ()
                if broken:
                    breaches += below(_path(standing.trail), broken)
        return breaches


def _collect(value: Json, trail: list[str | int], found: list[Standing]) -> None:
    typed = value.get("resourceType")
    if typed is not None:
        trail.append(f"@{typed}")
    for name, child in value.items():
        if type(child) is dict:
            trail.append(name)
            _collect(child, trail, found)
            trail.pop()
        elif type(child) is list and child and type(child[-1]) is dict:
            trail.append(name)
            for index, item in enumerate(child):
                if item is not None:
                    trail.append(index)
                    if name in _NAMES:
                        found.append(Standing(item, name, value.get("url"), tuple(trail)))
                    _collect(item, trail, found)
                    trail.pop()
            trail.pop()
    if typed is not None:
        trail.pop()


def _misplaced(structure: Mapping[str, Any], url: str, standing: Standing) -> list[Breach]:
    label = url.rpartition("/")[2]
    breaches = []
    modifier = structure.get("modifier", False)
    if standing.property != _NAMES[modifier]:
        breaches.append(Breach("structure", f"{label} is a {_NAMES[modifier]}: move it there."))
    contexts: Sequence[Sequence[str]] = structure.get("contexts", ())
    if contexts and not any(_fits(type_, expression, standing) for type_, expression in contexts):
        places = " or ".join(expression for _, expression in contexts)
        breaches.append(Breach("structure", f"The extension {label} stands on {places} only. Move or remove it."))
    return breaches


def _fits(type_: str, expression: str, standing: Standing) -> bool:
    """Whether a context allows this; one that cannot be judged does (a FHIRPath that is more than a path)."""
    if type_ == "extension":
        return standing.on == expression.partition("#")[0]
    path = expression.partition("#")[0]
    match = _PATH.fullmatch(path)
    if match is None or not {match[1]} & (definitions()["types"].keys() | definitions()["primitives"].keys()):
        return True
    return path in _contexts(tuple(step for step in standing.trail[:-2] if type(step) is str))


@lru_cache(_KEPT)
def _contexts(names: tuple[str, ...]) -> frozenset[str]:
    """Every way to name an element: its path from the resource and from the type around, its type, what that is."""
    place, element, spelt = _arrival(names)
    found = set(ancestors(place.type if not place.path else "BackboneElement"))
    if element is not None:
        found |= {f"{element[0]}.{element[1]}", f"{element[0]}.{names[-1].removeprefix('_')}"}
    return frozenset(found | {".".join(spelt), str(place)})


def _arrival(names: Sequence[str]) -> tuple[Place, tuple[Place, str] | None, list[str]]:
    """Where the names lead: the place, the element that leads to it, and the path as R4's definitions spell it."""
    begin = max(index for index, name in enumerate(names) if name[0] == "@")
    place, element = Place(names[begin][1:]), None
    spelt = [place.type]
    for name in names[begin + 1 :]:
        found = property_of(place, name.removeprefix("_"))
        if found is None:
            spelt.append(name)
            continue
        element = (place, found.element)
        spelt.append(found.element)
        place = found.place
    return place, element, spelt


def _path(trail: Trail) -> str:
    """The FHIRPath of an extension below the root: a choice by its stem."""
    path, place = "", Place("")
    for step in trail:
        if type(step) is int:
            path += f"[{step}]"
        elif str(step)[0] == "@":
            place = Place(str(step)[1:])
        else:
            name = str(step).removeprefix("_")
            found = property_of(place, name)
            path += f".{found.element.removesuffix('[x]') if found else name}"
            place = found.place if found else place
    return path
