"""How R4's types are laid out in XML: their elements in order, and which of them are attributes.

https://hl7.org/fhir/R4/xml.html. Compiled once from the table of definitions (see `compile_definitions`), for the
reader and the writer of XML.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from fhir_ins.fhir.json import number
from fhir_ins.fhir.primitives import PRIMITIVES
from fhir_ins.fhir.structure import definitions, elements_of, resource_types

FHIR = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"

Read = Callable[[str], Any]  # a `value` attribute to what JSON has for it; raises ValueError for what has no form there


@dataclass(slots=True, eq=False)
class Layout:
    """What stands inside the elements of one type or backbone element.

    `elements` are the child elements by name, `attributes` the properties written as attributes, `order` the rank of
    every JSON property (`_birthDate` follows `birthDate`). A container is an element that wraps one whole resource.
    """

    name: str
    elements: dict[str, "Element"] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()
    order: dict[str, int] = field(default_factory=dict)
    container: bool = False


@dataclass(slots=True, eq=False)
class Element:
    """A child element: `name` in XML and JSON, `step` in FHIRPath (`value` for valueString), what is inside.

    `read` is set for primitives alone, whose layout is that of their id and extensions.
    """

    name: str
    step: str
    repeats: bool
    layout: Layout
    read: Read | None = None
    narrative: bool = False


@cache
def document() -> Layout:
    """The container that a document is: its children are the roots, one for each concrete resource type."""
    return _layouts()["Resource"]


@cache
def of_resource(type_: str) -> Layout:
    """The layout of a concrete resource type. Raises KeyError for any other name."""
    return document().elements[type_].layout


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError
    return text == "true"


_READ: Mapping[str, Read] = {
    "boolean": _boolean,
    "decimal": number,
    "integer": number,
    "positiveInt": number,
    "unsignedInt": number,
}


@cache
def _layouts() -> Mapping[str, Layout]:
    """By type, or type and path of a backbone element: `Patient`, `Patient.contact`. `Resource` is the container."""
    types = definitions()["types"]
    made = {primitive: Layout(primitive) for primitive in PRIMITIVES}
    levels = [(made[name], "Element", elements_of("Element")) for name in made]
    for name in types:
        made[name] = Layout(name, container=name == "Resource")
        nested: dict[str, dict[str, Any]] = {"": {}}
        for path, element in elements_of(name).items():
            parent, _, leaf = path.rpartition(".")
            nested.setdefault(parent, {})[leaf] = element
        for parent, children in nested.items():
            layout = made.setdefault(f"{name}.{parent}".rstrip("."), Layout(f"{name}.{parent}"))
            base = elements_of(name)[parent]["types"][0] if parent else ""
            levels.append((layout, name, (elements_of(base) if base else {}) | children))
    for layout, type_, children in levels:
        if not layout.container:
            _fill(layout, type_, children, made)
    for name in sorted(resource_types()):
        made["Resource"].elements[name] = Element(name, name, False, made[name])
        made[name].order["resourceType"] = -1
    return made


def _fill(layout: Layout, type_: str, children: Mapping[str, Any], made: Mapping[str, Layout]) -> None:
    layout.attributes = tuple(leaf for leaf in children if children[leaf].get("types", [""])[0].startswith("@"))
    for leaf, element in children.items():
        if leaf not in layout.attributes and element.get("max") != "0":
            for child in _elements(layout.name, type_, leaf, element, made):
                layout.elements[child.name] = child
    for name in (*layout.attributes, *layout.elements):
        layout.order[name] = len(layout.order)
        layout.order["_" + name] = len(layout.order)


def _elements(
    owner: str, type_: str, leaf: str, element: Mapping[str, Any], made: Mapping[str, Layout]
) -> Iterator[Element]:
    """The element, or one for each type of a choice."""
    stem = leaf.removesuffix("[x]")
    repeats = element.get("max") == "*"
    if "content" in element:
        yield Element(leaf, leaf, repeats, made[f"{type_}.{element['content']}"])
        return
    for named in element["types"]:
        plain = definitions()["types"].get(named, {})
        suffix = plain["base"] if plain.get("profile") else named
        name = leaf if stem == leaf else stem + suffix[0].upper() + suffix[1:]
        layout = made.get(f"{owner}.{leaf}") or made[named]
        read = _READ.get(named, str) if named in PRIMITIVES else None
        yield Element(name, stem, repeats, layout, read, narrative=named == "xhtml")
