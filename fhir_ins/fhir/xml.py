"""FHIR XML in and out, lossless against FHIR JSON. https://hl7.org/fhir/R4/xml.html, https://www.w3.org/TR/xml

Both directions speak in the values of `fhir.json`: what is read from XML is validated, stored and searched as if it
had come as JSON. A DTD is refused before anything in it is looked at, so that no entity is ever expanded.
"""

import re
from itertools import zip_longest
from typing import Any
from xml.parsers.expat import ErrorString, ExpatError

from lxml import etree

from fhir_ins.fhir import xml_text
from fhir_ins.fhir.json import Number
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.xml_layouts import FHIR, Element, Layout, of_resource
from fhir_ins.fhir.xml_reader import Reader

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_DIV = "{http://www.w3.org/1999/xhtml}div"
_STEP = "  "
_NAMESPACE = f' xmlns="{FHIR}"'
_ID = {"id"}  # all that a primitive without extensions has inside
_BEFORE_DTD = re.compile(r"\ufeff?(?:<\?xml\s.*?\?>)?(?:\s+|<!--.*?-->)*", re.DOTALL)


def parse_xml(body: bytes) -> dict[str, Any]:
    """The resource in `body` (UTF-8), with the very values that `fhir.json.parse` gives for the same in JSON.

    Comments and the order of elements are not kept, nor asked for. Raises BadRequest for what JSON has no form of:
    code `invalid` for what is not well-formed or has a DTD, an entity or a processing instruction, `structure` for
    what no definition knows, `value` for a boolean or number that is none, `invariant` for an empty element or a
    narrative with other than XHTML. All else is for `structure.validate` to judge.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"Byte {error.start + 1} of the body is no UTF-8. Send XML in UTF-8.") from None
    if "\0" in text:  # which would make expat take it for UTF-16
        raise BadRequest(f"Character {text.index(chr(0)) + 1} of the body is NUL, which XML forbids. Send UTF-8.")
    prolog = _BEFORE_DTD.match(text)
    if prolog is not None and text.startswith("<!DOCTYPE", prolog.end()):
        raise BadRequest("The XML has a DTD, which FHIR forbids. Remove it, and write characters in place of entities.")
    try:
        return Reader(body).read()
    except ExpatError as error:
        reason = ErrorString(error.code) if text.strip("\ufeff \t\r\n") else "it is empty"
        place = f"(line {error.lineno}, column {error.offset + 1})"
        raise BadRequest(f"The body is no well-formed XML: {reason} {place}. Correct it and send it again.") from None


def serialise_xml(resource: dict[str, Any], *, pretty: bool = False) -> bytes:
    """`resource`, which `structure.validate` has found right, as XML in UTF-8, in the order of its definition.

    `pretty`: indented for people, narratives as they are.
    """
    type_ = resource["resourceType"]
    written = [_DECLARATION]
    _write_object(written, type_, of_resource(type_), resource, _NAMESPACE)
    body = "".join(written).encode()
    return _indented(body) if pretty else body


def _indented(body: bytes) -> bytes:
    root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))
    level: list[tuple[Any, str]] = [(root, "\n")]
    for element, margin in level:
        inside = [] if element.tag == _DIV else list(element)
        for child in inside:
            child.tail = margin + _STEP
            level.append((child, margin + _STEP))
        if inside:
            element.text, inside[-1].tail = margin + _STEP, margin
    return _DECLARATION.encode() + etree.tostring(root, encoding="utf-8") + b"\n"


def _write_object(written: list[str], name: str, layout: Layout, members: dict[str, Any], attributes: str = "") -> None:
    """An element with an object inside, appended to `written` as all here is."""
    if layout.container:
        type_ = members["resourceType"]
        written.append(f"<{name}>")
        _write_object(written, type_, of_resource(type_), members)
        written.append(f"</{name}>")
        return
    for attribute in layout.attributes:
        if attribute in members:
            attributes += f' {attribute}="{xml_text.attribute(members[attribute])}"'
    if members.keys() <= _ID:
        written.append(f"<{name}{attributes}/>")
        return
    written.append(f"<{name}{attributes}>")
    elements = layout.elements
    for key in sorted(members, key=layout.order.__getitem__):
        element = elements.get(key)
        if element is not None:
            _write_element(written, element, members[key], members)
        elif key[0] == "_" and key[1:] not in members:
            _write_element(written, elements[key[1:]], [] if elements[key[1:]].repeats else None, members)
    written.append(f"</{name}>")


def _write_element(written: list[str], element: Element, value: Any, owner: dict[str, Any]) -> None:
    """All the occurrences of an element: of a primitive, `value` and what its name with _ has beside it."""
    name, layout = element.name, element.layout
    if element.read is None:
        for inside in value if element.repeats else (value,):
            _write_object(written, name, layout, inside)
    elif element.narrative:
        written.append(value.strip())
    elif element.repeats:
        for one, inside in zip_longest(value, owner.get("_" + name, ())):
            _write_primitive(written, name, layout, one, inside)
    else:
        _write_primitive(written, name, layout, value, owner.get("_" + name))


def _write_primitive(written: list[str], name: str, layout: Layout, value: Any, inside: dict[str, Any] | None) -> None:
    attribute = "" if value is None else f' value="{_text(value)}"'
    if inside is None:
        written.append(f"<{name}{attribute}/>")
    else:
        _write_object(written, name, layout, inside, attribute)


def _text(value: Any) -> str:
    if type(value) is str:
        return xml_text.attribute(value)
    if value is True or value is False:
        return "true" if value else "false"
    return value.literal if isinstance(value, Number) else str(value)
