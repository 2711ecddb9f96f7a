"""The value of a FHIRPath Patch operation, made the element of the resource it is meant to be.

https://hl7.org/fhir/R4/fhirpatch.html#anonymous. A value is a value[x] of Parameters, or a resource, or, for the types
that Parameters cannot carry, parts that are named for the elements of the value, as deep as necessary.
"""

from fhir_ins.fhir.element_tree import Element, is_repeated
from fhir_ins.fhir.outcome import BadRequest, Unprocessable
from fhir_ins.fhir.places import Place, Property, ancestors, element_names, property_of
from fhir_ins.fhir.primitives import PRIMITIVES
from fhir_ins.fhir.shapes import unknown

# https://hl7.org/fhir/R4/datatypes.html: the primitive that another specialises
_GENERAL = {
    "code": "string",
    "id": "string",
    "markdown": "string",
    "canonical": "uri",
    "oid": "uri",
    "url": "uri",
    "uuid": "uri",
    "positiveInt": "integer",
    "unsignedInt": "integer",
}
# Every value of the first is one of the second; XHTML has no value[x] of its own.
_WRITTEN_ALIKE = frozenset((("date", "dateTime"), ("integer", "decimal"), ("string", "xhtml")))

_HELD = frozenset(("value", "resource", "part"))
_PARAMETER = Place("Parameters", "parameter")


def element_from(part: Element, place: Place, name: str) -> Element:
    """The element `name` of `place` that `part` (of a valid Parameters) describes, not yet in any tree.

    `name` is FHIRPath's (deceased); a choice may be named by its type too. What the part holds moves into the element.
    Raises BadRequest for a part that holds nothing or several things, and Unprocessable for a name R4 does not have
    there and for a value of another type; both at the part.
    """
    if len(_HELD & part.children.keys()) != 1:
        text = "inv-1: A part of a parameter has exactly one of value[x], resource and part."
        raise BadRequest(text, part.expression, code="invariant")
    found = property_of(place, name)
    if found is None and name not in element_names(place):
        text = unknown(str(place), "element", name, element_names(place))()
        raise Unprocessable(text, part.expression, code="structure")
    if "value" in part.children:
        return _from_value(part.children["value"][0], place, name, found)
    if "resource" in part.children:
        resource = part.children["resource"][0]
        if found is None or found.type != "Resource":
            raise _wrong(part, f"{name} of {place} is no resource. Send a value of its type.")
        return _moved(resource, Element(name, name, resource.type, Place(resource.type)))
    if found is None or found.type == "Resource":
        raise _wrong(part, f"{name} of {place} is of several types. Send a value of the one you mean.")
    element = Element.defined(name, found)
    for inner in part.children["part"]:
        add(element, element_from(inner, element.place, str(inner.children["name"][0].value)), inner)
    return element


def add(parent: Element, child: Element, part: Element) -> None:
    """Append a child, described by `part`, unless `parent` may have one of its name and has it."""
    if child.name in parent.children and not is_repeated(parent.place, child.property):
        text = f"{parent.place} has {child.name} already, and may have one. Replace it, or delete it first."
        raise Unprocessable(text, part.expression, code="processing")
    parent.insert(child)


def _from_value(value: Element, place: Place, name: str, found: Property | None) -> Element:
    if found is None:
        typed = name + value.type[0].upper() + value.type[1:]
        found = property_of(place, typed)
        if found is None:
            raise _wrong(value, f"{name} of {place} cannot be a {value.type}. Send a value of another type.")
        name = typed
    elif not _stands_for(value.type, found.type):
        typed = "value" + found.type[0].upper() + found.type[1:]
        advice = f"Send {typed}." if property_of(_PARAMETER, typed) else "Send its elements as parts."
        raise _wrong(value, f"{name} of {place} is a {found.type}, not a {value.type}. {advice}")
    return _moved(value, Element.defined(name, found, value.value))


def _stands_for(given: str, wanted: str) -> bool:
    if given == wanted or (given, wanted) in _WRITTEN_ALIKE:
        return True
    if given in PRIMITIVES or wanted in PRIMITIVES:
        return _GENERAL.get(wanted) == given or _GENERAL.get(given) == wanted
    return given in ancestors(wanted)


def _moved(source: Element, target: Element) -> Element:
    for children in source.children.values():
        for child in children:
            target.insert(child)
    return target


def _wrong(at: Element, text: str) -> Unprocessable:
    return Unprocessable(text, at.expression, code="value")
