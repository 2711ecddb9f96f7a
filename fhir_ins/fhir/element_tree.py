"""A resource as FHIRPath sees it: a tree of elements, to be changed in place. https://hl7.org/fhir/R4/fhirpath.html

JSON splits a primitive and its extensions over two properties (`given`, `_given`), names a choice by its type
(deceasedBoolean) and wraps what repeats in an array. In the tree an element is one thing with one name (deceased)
and a list of children for each of their names; whoever changes it need not think of the JSON.
"""

from itertools import zip_longest
from typing import Any

from fhir_ins.fhir.places import Place, Property, property_of, repeats
from fhir_ins.fhir.primitives import PRIMITIVES
from fhir_ins.fhir.structure import resource_types

Json = dict[str, Any]


class Element:
    """One element: its name in FHIRPath, its property in JSON, its type, where R4 defines its children.

    A primitive has a value, unless extensions stand for it; every element may have children. No list of children
    is empty. The root has neither parent nor name.
    """

    __slots__ = ("children", "name", "parent", "place", "property", "type", "value")

    def __init__(self, name: str, property_: str, type_: str, place: Place, value: Any = None) -> None:
        self.name = name
        self.property = property_
        self.type = type_
        self.place = place
        self.value = value
        self.parent: Element | None = None
        self.children: dict[str, list[Element]] = {}

    @classmethod
    def defined(cls, name: str, found: Property, value: Any = None) -> "Element":
        """An element without children, as the property `name` is defined to be."""
        place = Place("Element") if found.type in PRIMITIVES else found.place
        return cls(found.element.removesuffix("[x]"), name, found.type, place, value)

    @property
    def siblings(self) -> list["Element"]:
        """The list it stands in, itself included."""
        return self.parent.children[self.name] if self.parent else [self]

    @property
    def expression(self) -> str:
        """Its FHIRPath from the root; it has an index where the element may repeat."""
        if self.parent is None:
            return self.type
        step = f"{self.parent.expression}.{self.name}"
        return f"{step}[{_position(self)}]" if self.is_repeated else step

    @property
    def is_repeated(self) -> bool:
        """Whether R4 lets several of its name stand beside each other."""
        return self.parent is not None and is_repeated(self.parent.place, self.property)

    def insert(self, child: "Element", index: int | None = None) -> None:
        """Make `child` one of its children: the one before `index` among those of its name, by default the last."""
        child.parent = self
        beside = self.children.setdefault(child.name, [])
        beside.insert(len(beside) if index is None else index, child)

    def detach(self) -> None:
        """Take it out of the tree, and then its parent if nothing is left there: FHIR has no empty elements."""
        parent = self.parent
        if parent is None:
            return
        del parent.children[self.name][_position(self)]
        if not parent.children[self.name]:
            del parent.children[self.name]
        if not parent.children and parent.value is None and parent.type not in resource_types():
            parent.detach()

    def replace(self, other: "Element") -> None:
        """Put `other` where it stands."""
        self.siblings[_position(self)] = other
        other.parent = self.parent


def is_repeated(place: Place, property_: str) -> bool:
    """Whether a property known to `place` is an array in JSON."""
    found = property_of(place, property_)
    return found is not None and repeats(place, found.element)


def tree_of(resource: Json) -> Element:
    """The tree of a valid R4 resource; it shares nothing with the JSON that could be changed."""
    return _read(Element("", "", resource["resourceType"], Place(resource["resourceType"])), resource)


def resource_of(root: Element) -> Json:
    """The JSON of a tree, its properties in the order of the tree."""
    return _object(root)


def _read(element: Element, content: Json) -> Element:
    for key in content:
        name = key.removeprefix("_")
        found = property_of(element.place, name)
        if found is None:  # resourceType, which the type of the element says
            continue
        if found.element.removesuffix("[x]") in element.children:  # name and _name are read together
            continue
        values, extras = content.get(name), content.get("_" + name)
        if repeats(element.place, found.element):
            for value, extra in zip_longest(values or (), extras or ()):
                element.insert(_child(name, found, value, extra))
        else:
            element.insert(_child(name, found, values, extras))
    return element


def _child(name: str, found: Property, value: Any, extra: Json | None) -> Element:
    if found.type in PRIMITIVES:
        return _read(Element.defined(name, found, value), extra or {})
    if found.type == "Resource":
        type_ = value["resourceType"]
        return _read(Element(found.element, name, type_, Place(type_)), value)
    return _read(Element.defined(name, found), value)


def _object(element: Element) -> Json:
    """The children of an element as the members of an object, after its resourceType if it is a resource."""
    content: Json = {"resourceType": element.type} if element.type in resource_types() else {}
    for children in element.children.values():
        property_ = children[0].property
        if children[0].type not in PRIMITIVES:
            members: dict[str, list[Any]] = {property_: [_object(child) for child in children]}
        else:
            members = {
                property_: [child.value for child in children],
                "_" + property_: [_object(child) or None for child in children],
            }
        for name, items in members.items():
            if any(item is not None for item in items):
                content[name] = items if is_repeated(element.place, property_) else items[0]
    return content


def _position(element: Element) -> int:
    return next(index for index, sibling in enumerate(element.siblings) if sibling is element)
