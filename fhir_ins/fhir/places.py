"""Where an element stands, in the terms of R4's definitions. https://hl7.org/fhir/R4/elementdefinition.html#path

A place is a type, or a backbone element of one: `("Patient", "contact")`. From a place and the name of a JSON
property the next place follows.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from fhir_ins.fhir.structure import definitions, elements_of

_BACKBONES = ("BackboneElement", "Element")


class Place(NamedTuple):
    """A type, and the path of a backbone element below it ("" for the type itself)."""

    type: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.type}.{self.path}" if self.path else self.type


class Property(NamedTuple):
    """What a JSON property of a place is: its element as defined (`value[x]`), the one type it has, where it leads."""

    element: str
    type: str
    place: Place


@cache
def property_of(place: Place, name: str) -> Property | None:
    """The property `name` of `place`, of a choice too (valueString), or None where R4 has none."""
    elements = elements_of(place.type) if place.type in definitions()["types"] else {}
    path = f"{place.path}.{name}" if place.path else name
    if path in elements:
        return _property(place, name, path)
    for element in elements:
        parent, _, leaf = element.rpartition(".")
        stem = leaf.removesuffix("[x]")
        if parent == place.path and stem != leaf and name.startswith(stem):
            for type_ in map(_unprofiled, elements[element]["types"]):
                if name[len(stem) :] == type_[0].upper() + type_[1:]:
                    return Property(leaf, type_, Place(type_))
    if place.path and place.path in elements:
        return property_of(Place(elements[place.path]["types"][0]), name)
    return None


def _unprofiled(type_: str) -> str:
    """The type a choice is named by: Quantity for its profile SimpleQuantity (doseQuantity)."""
    described = definitions()["types"].get(type_, {})
    return str(described["base"]) if described.get("profile") else type_


def element_names(place: Place) -> frozenset[str]:
    """The names of the elements of a place as FHIRPath knows them: a choice by its stem."""
    elements = elements_of(place.type) if place.type in definitions()["types"] else {}
    here = {path.rpartition(".")[2] for path in elements if path.rpartition(".")[0] == place.path}
    inherited = element_names(Place(elements[place.path]["types"][0])) if place.path in elements else frozenset()
    return frozenset(name.removesuffix("[x]") for name in here) | inherited


def _property(place: Place, name: str, path: str) -> Property:
    element = elements_of(place.type)[path]
    if "content" in element:
        return Property(name, "BackboneElement", Place(place.type, element["content"]))
    type_ = element["types"][0].removeprefix("@")
    stays = type_ in _BACKBONES or name.endswith("[x]")
    return Property(name, type_, Place(place.type, path) if stays else Place(type_))


@cache
def children_of(place: Place) -> Mapping[str, dict[str, Any]]:
    """The elements directly below a place as the table defines them, by name (`value[x]`), inherited ones too."""
    elements = elements_of(place.type)
    inherited = elements_of(elements[place.path]["types"][0]) if place.path else {}
    parents = ((path.rpartition("."), element) for path, element in elements.items())
    return inherited | {leaf: element for (parent, _, leaf), element in parents if parent == place.path}


@cache
def repeats(place: Place, name: str) -> bool:
    """Whether the element `name` of a place is an array in JSON, as far as R4's definitions know it."""
    path = f"{place.path}.{name}" if place.path else name
    elements = elements_of(place.type) if place.type in definitions()["types"] else {}
    if path not in elements and place.path in elements:
        return repeats(Place(elements[place.path]["types"][0]), name)
    element = elements.get(path, {"max": "*"})
    return bool(element.get("base_max", element.get("max")) == "*")


@cache
def ancestors(type_: str) -> frozenset[str]:
    """A type and those it specialises."""
    types = definitions()["types"]
    base = types[type_].get("base") if type_ in types else "Element"  # only primitives are in no table
    return frozenset({type_}) | (ancestors(base) if base else frozenset())
