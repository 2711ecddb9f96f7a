"""FHIR XML to the values of FHIR JSON, in one walk over expat's events. https://hl7.org/fhir/R4/xml.html

Elements wait on a stack, each with the layout of what may stand inside it. Nothing is looked at twice, and the first
thing that has no place in JSON ends the walk; what has one, but breaks R4, is left to `structure.validate`.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NoReturn
from xml.parsers import expat

from fhir_ins.fhir import shapes
from fhir_ins.fhir.json import MAXIMUM_DEPTH
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.xml_layouts import FHIR, XHTML, Element, document
from fhir_ins.fhir.xml_narrative import Narrative

_NAMESPACE = FHIR + " "
_LENGTH = len(_NAMESPACE)
_DIV = XHTML + " div"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance "
_TOLERATED = (_INSTANCE + "schemaLocation ", _INSTANCE + "noNamespaceSchemaLocation ")
_SPACE = " \t\r\n"
_WRITTEN = {"boolean": "true or false", "decimal": "digits such as 72.50 or 1.2e-3, without leading zeros"}


@dataclass(slots=True)
class Open:
    """An element whose end tag is awaited.

    `members` is its JSON object (of a primitive, the one that its name with _ has); a resource shares that of the
    container around it. `depth` is how deep that object is nested, `index` its place among its namesakes.
    """

    element: Element
    members: dict[str, Any]
    depth: int
    index: int | None = None
    value: Any = None


class Reader:
    """Reads one document; `read` gives its resource."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._open = [Open(Element("", "", False, document()), {}, 1)]
        self._default_declared = -1  # where in the body the default namespace was last declared

    def read(self) -> dict[str, Any]:
        """The resource. Raises BadRequest, and ExpatError for what is not well-formed."""
        parser = expat.ParserCreate("UTF-8", " ")
        parser.namespace_prefixes = True
        parser.ordered_attributes = True
        parser.XmlDeclHandler = self._declaration
        parser.StartNamespaceDeclHandler = self._namespace
        parser.ProcessingInstructionHandler = self._instruction
        self._parser = parser
        self._listen()
        try:
            parser.Parse(self._body, True)
        finally:
            del self._parser  # parser and reader hold each other
        return self._open[0].members

    def _listen(self) -> None:
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.upper() != "UTF-8":
            self._refuse("FHIR XML is in UTF-8, and this declares another encoding. Send UTF-8", code="invalid")

    def _namespace(self, prefix: str | None, _uri: str) -> None:
        if prefix is None:
            self._default_declared = self._parser.CurrentByteIndex

    def _instruction(self, _target: str, _data: str) -> None:
        self._refuse("A processing instruction has no place in a resource. Remove it", code="invalid")

    def _start(self, name: str, attributes: list[str]) -> None:
        owner = self._open[-1]
        element = owner.element.layout.elements.get(name[_LENGTH:]) if name.startswith(_NAMESPACE) else None
        if element is None or element.narrative:
            element = self._named(name)
        opened = self._opened(owner, element)
        self._open.append(opened)
        if element.narrative:
            self._narrative_start(name, attributes)
        elif attributes:
            self._attributes(opened, attributes)

    def _named(self, name: str) -> Element:
        """The element of a name that is prefixed, or a div, or wrong."""
        owner = self._open[-1].element.layout
        namespace, local = name.partition(" ")[0] if " " in name else "", _local(name)
        element = owner.elements.get(local)
        expected = XHTML if element is not None and element.narrative else FHIR
        if namespace != expected:
            self._refuse(f'This element is in another namespace than FHIR gives it. Declare xmlns="{expected}"')
        if element is None:
            kind = ("R4", "resource type") if owner.container else (owner.name, "element")
            self._refuse(shapes.unknown(*kind, local, owner.elements)().rstrip("."), step=local)
        return element

    def _opened(self, owner: Open, element: Element) -> Open:
        """The element on top of `owner`, its object in place unless it is a primitive, which waits for its end."""
        name, members = element.name, owner.members
        if owner.element.layout.container:
            if "resourceType" in members:
                self._refuse("One resource stands here, and this is a second. Give each a place of its own")
            members["resourceType"] = name
            return Open(element, members, owner.depth)
        if element.repeats:
            index = len(members.get(name) or members.get("_" + name) or ())
            opened = Open(element, {}, owner.depth + 2, index)
        elif name in members or "_" + name in members:
            self._refuse("This element comes once at most. Keep one", step=element.step)
        else:
            opened = Open(element, {}, owner.depth + 1)
        if element.read is None:
            if opened.depth > MAXIMUM_DEPTH:
                self._refuse_depth()
            if opened.index:
                members[name].append(opened.members)
            else:
                members[name] = [opened.members] if element.repeats else opened.members
        return opened

    def _attributes(self, opened: Open, attributes: list[str]) -> None:
        element = opened.element
        for position in range(0, len(attributes), 2):
            name, value = attributes[position], attributes[position + 1]
            if name == "value" and element.read is not None:
                try:
                    opened.value = element.read(value)
                except ValueError:
                    written = _WRITTEN.get(element.layout.name, "digits, without leading zeros")
                    self._refuse(f"A value of type {element.layout.name} is {written}. Correct the value", code="value")
            elif name in element.layout.attributes:
                opened.members[name] = value
            elif not name.startswith(_TOLERATED):
                self._unknown_attribute(element, name)

    def _unknown_attribute(self, element: Element, name: str) -> NoReturn:
        owner = element.name if element.read else element.layout.name
        known = [*element.layout.attributes, *(("value",) if element.read else ())]
        self._refuse(shapes.unknown(owner, "attribute", _local(name), known)().rstrip("."))

    def _text(self, text: str) -> None:
        if text.strip(_SPACE):
            self._refuse("Text stands between the elements. A value is written in the attribute value")

    def _end(self, _name: str) -> None:
        ended = self._open[-1]
        if ended.value is None and not ended.members:
            self._refuse("ele-1: The element is empty. Give it content or leave it out", code="invariant")
        self._open.pop()
        if ended.element.read is not None:
            self._put(self._open[-1], ended)

    def _put(self, owner: Open, ended: Open) -> None:
        """A primitive into its owner, null where only its id and extensions came, or only its value."""
        inside = ended.members or None
        if (ended.depth if inside else ended.depth - 1) > MAXIMUM_DEPTH:
            self._refuse_depth()
        name = ended.element.name
        for key, value in ((name, ended.value), ("_" + name, inside)):
            if ended.index and key in owner.members:
                owner.members[key].append(value)
            elif value is not None:
                owner.members[key] = value if ended.index is None else [None] * ended.index + [value]

    def _narrative_start(self, name: str, attributes: list[str]) -> None:
        """The narrative listens from here to the end tag of its div."""
        parser = self._parser
        own_namespace = name == _DIV and self._default_declared == parser.CurrentByteIndex
        self._narrative = narrative = Narrative(parser, self._body, own_namespace, self._refuse)
        narrative.start(name, attributes)
        parser.StartElementHandler = narrative.start
        parser.EndElementHandler = self._narrative_end
        parser.CharacterDataHandler = narrative.text

    def _narrative_end(self, name: str) -> None:
        if (div := self._narrative.end()) is not None:
            self._open[-1].value = div
            self._listen()
            self._end(name)

    def _refuse_depth(self) -> NoReturn:
        self._refuse(f"The resource is nested deeper than {MAXIMUM_DEPTH} levels. Flatten it, or send it in parts")

    def _refuse(self, text: str, *, code: str = "structure", step: str = "") -> NoReturn:
        """Ends the walk with `text`, the line and column and the FHIRPath of the element, or of its child `step`."""
        line, column = self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1
        raise BadRequest(f"{text} (line {line}, column {column}).", self._place(step), code=code)

    def _place(self, step: str) -> str | None:
        place = ""
        for around, inner in pairwise(self._open):
            if not around.element.layout.container:
                place += "." + inner.element.step + ("" if inner.index is None else f"[{inner.index}]")
            elif not place:
                place = inner.element.name
        return f"{place}.{step}" if place and shapes.NAME.fullmatch(step) else place or None


def _local(name: str) -> str:
    """The name without its namespace and prefix; expat writes `namespace name prefix`."""
    return name.split(" ")[1] if " " in name else name
