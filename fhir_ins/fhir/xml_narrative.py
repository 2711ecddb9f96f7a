"""The narrative of a resource in XML: the source of its div, as JSON holds it. https://hl7.org/fhir/R4/narrative.html

A div that stands on its own feet goes through as it came, comments and quotes included, so that nothing is lost
between JSON and XML. One that leans on namespaces declared outside it is written anew, without prefixes.
"""

from typing import NoReturn, Protocol
from xml.parsers.expat import XMLParserType

from fhir_ins.fhir import xml_text
from fhir_ins.fhir.xml_layouts import XHTML

_XML = "http://www.w3.org/XML/1998/namespace"


class Refuse(Protocol):
    """Ends the reading with a text, to which the place is added."""

    def __call__(self, text: str, *, code: str) -> NoReturn: ...


class Narrative:
    """Follows a div from its start tag on, by the events of `parser`, which writes names `namespace name prefix`.

    `own_namespace` says that the div declares the default namespace itself and has no prefix.
    """

    def __init__(self, parser: XMLParserType, body: bytes, own_namespace: bool, refuse: Refuse) -> None:
        self._parser = parser
        self._body = body
        self._begin = parser.CurrentByteIndex
        self._refuse = refuse
        self._verbatim = own_namespace
        self._open: list[str] = []
        self._anew: list[str] = []

    def start(self, name: str, attributes: list[str]) -> None:
        namespace, tag, *prefix = name.split(" ") if " " in name else ("", name)
        if namespace != XHTML:
            self._refuse("txt-1: The narrative has an element that is no XHTML. Remove it", code="invariant")
        if prefix:
            self._verbatim = False
        written = [f' xmlns="{XHTML}"'] if not self._open else []
        for key, value in zip(attributes[::2], attributes[1::2], strict=True):
            written.append(f' {self._attribute(key)}="{xml_text.attribute(value)}"')
        self._open.append(tag)
        self._anew += ("<", tag, *written, ">")

    def _attribute(self, name: str) -> str:
        if " " not in name:
            return name
        namespace, local, *_ = name.split(" ")
        if namespace != _XML:
            text = "txt-1: The narrative has an attribute of another namespace. Remove it"
            self._refuse(text, code="invariant")
        return "xml:" + local

    def text(self, text: str) -> None:
        self._anew.append(xml_text.content(text))

    def end(self) -> str | None:
        """The div once its end tag came, None at the end tags inside it."""
        tag = self._open.pop()
        if self._anew[-1] == ">":
            self._anew[-1] = "/>"
        else:
            self._anew += ("</", tag, ">")
        if self._open:
            return None
        return self._source() if self._verbatim else "".join(self._anew)

    def _source(self) -> str:
        end = self._parser.CurrentByteIndex  # at the end tag, or behind a tag that is both start and end
        if self._body[end : end + 6] in _END_TAGS:
            end = self._body.index(b">", end) + 1
        return self._body[self._begin : end].decode("utf-8")


_END_TAGS = frozenset(b"</div" + mark for mark in (b">", b" ", b"\t", b"\r", b"\n"))
