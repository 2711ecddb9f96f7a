"""The values of an element under a search parameter, by the parameter's kind and the element's type.

Source: https://hl7.org/fhir/R4/search.html, the tables of token, string, date, reference and uri.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from fhir_ins.fhir.dates import Span, span_of, span_of_period, span_of_timing
from fhir_ins.fhir.references import local_reference, unversioned


class Kind(StrEnum):
    """The search parameter types in use."""

    DATE = "date"
    REFERENCE = "reference"
    STRING = "string"
    TOKEN = "token"  # noqa: S105 - a search parameter type
    URI = "uri"


class Token(NamedTuple):
    """A coded value; `system` is None where the element has none."""

    system: str | None
    code: str


Value = Token | str | Span  # a string, or a uri, or what a reference may be asked by
Put = Callable[[Any, list[Any]], None]  # adds the values of one element, as JSON has it, to a list

SPECIAL_VALUES = "http://hl7.org/fhir/special-values"
LASTING = frozenset({"Period", "Timing"})  # the types of dates that may last for years


def values_of(kind: Kind, type_: str, systems: Mapping[str, str]) -> Put | None:
    """How elements of a type give values of a kind; None where the specification has no way.

    `systems` is the code system of each code the element is bound to.
    """
    if kind is Kind.TOKEN and type_ == "code":
        return lambda code, found: found.append(Token(systems.get(code), code))
    return _VALUES[kind].get(type_)


def _coding(coding: Any, found: list[Any]) -> None:
    if code := coding.get("code"):
        found.append(Token(coding.get("system"), code))


def _concept(concept: Any, found: list[Any]) -> None:
    for coding in concept.get("coding", ()):
        _coding(coding, found)


def _identifier(identifier: Any, found: list[Any]) -> None:
    if value := identifier.get("value"):
        found.append(Token(identifier.get("system"), value))


def _contact_point(contact: Any, found: list[Any]) -> None:
    if value := contact.get("value"):
        found.append(Token(None, value))


def _boolean(value: Any, found: list[Any]) -> None:
    found.append(Token(SPECIAL_VALUES, "true" if value else "false"))


def _plain_token(text: Any, found: list[Any]) -> None:
    found.append(Token(None, text))


def _text(text: Any, found: list[Any]) -> None:
    found.append(text)


def _parts(*names: str) -> Put:
    """All strings among these elements of a datatype."""

    def put(element: Any, found: list[Any]) -> None:
        for name in names:
            part = element.get(name)
            if type(part) is str:
                found.append(part)
            elif part:
                found.extend([text for text in part if text])

    return put


def _span(span: Callable[[Any], Span | None]) -> Put:
    """The span of time an element covers, when it is one of the calendar."""

    def put(element: Any, found: list[Any]) -> None:
        if known := span(element):
            found.append(known)

    return put


def _canonical(text: Any, found: list[Any]) -> None:
    """With the version it names and, for who asks for any, without. https://hl7.org/fhir/R4/references.html#canonical"""
    url, bar, _ = text.partition("|")
    found.append(text)
    if bar:
        found.append(url)


def _reference(reference: Any, found: list[Any]) -> None:
    """A local one by type and id, and by id alone; one into the resource itself is none to be asked by."""
    text = reference.get("reference")
    if not text or text.startswith("#"):
        return
    if local := local_reference(text):
        found += (local, local.partition("/")[2])
    else:
        found.append(unversioned(text))


_VALUES: Mapping[Kind, Mapping[str, Put]] = {
    Kind.TOKEN: {
        "Coding": _coding,
        "CodeableConcept": _concept,
        "Identifier": _identifier,
        "ContactPoint": _contact_point,
        "boolean": _boolean,
        "id": _plain_token,
        "string": _plain_token,
        "uri": _plain_token,
    },
    Kind.STRING: {
        "Address": _parts("text", "line", "city", "district", "state", "postalCode", "country"),
        "HumanName": _parts("text", "family", "given", "prefix", "suffix"),
        "markdown": _text,
        "string": _text,
    },
    Kind.DATE: {
        "Period": _span(span_of_period),
        "Timing": _span(span_of_timing),
        "date": _span(span_of),
        "dateTime": _span(span_of),
        "instant": _span(span_of),
    },
    Kind.REFERENCE: {"Reference": _reference, "canonical": _canonical, "uri": _text},
    Kind.URI: {"canonical": _canonical, "uri": _text, "url": _text},
}
