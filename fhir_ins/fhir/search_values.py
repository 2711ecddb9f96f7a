"""The values of an element under a search parameter, by the parameter's kind and the element's type.

Source: https://hl7.org/fhir/R4/search.html, the tables of number, date, string, token, reference, quantity and uri.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, NamedTuple

from fhir_ins.fhir.dates import Span, span_of, span_of_period, span_of_timing
from fhir_ins.fhir.references import local_reference, unversioned


class Kind(StrEnum):
    """The search parameter types. https://hl7.org/fhir/R4/valueset-search-param-type.html"""

    COMPOSITE = "composite"
    DATE = "date"
    NUMBER = "number"
    QUANTITY = "quantity"
    REFERENCE = "reference"
    SPECIAL = "special"
    STRING = "string"
    TOKEN = "token"  # noqa: S105 - a search parameter type
    URI = "uri"


class Token(NamedTuple):
    """A coded value; `system` is None where the element has none."""

    system: str | None
    code: str


class Amount(NamedTuple):
    """A number or a quantity, from `low` to `high`, both included; they differ for a Range or a comparator.

    `code` is of `system`; `unit` is how it is shown. https://hl7.org/fhir/R4/search.html#quantity
    """

    low: Decimal
    high: Decimal
    system: str | None = None
    code: str | None = None
    unit: str | None = None


class Position(NamedTuple):
    """Where a Location is, in degrees (WGS 84)."""

    longitude: float
    latitude: float


# A string, or a uri, or what a reference may be asked by; of a composite, a value of each of its components.
Single = Token | str | Span | Amount | Position
Value = Single | tuple[Single, ...]
Put = Callable[[Any, list[Any]], None]  # adds the values of one element, as JSON has it, to a list

# The strings that a datatype is found by. https://hl7.org/fhir/R4/search.html#string
STRINGS_OF: Mapping[str, tuple[str, ...]] = {
    "Address": ("text", "line", "city", "district", "state", "postalCode", "country"),
    "HumanName": ("text", "family", "given", "prefix", "suffix"),
}
CURRENCIES = "urn:iso:std:iso:4217"
LARGEST_EXPONENT = 6000  # what a Decimal128 of MongoDB holds
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


def _span(span: Callable[[Any], Span | None]) -> Put:
    """The span of time an element covers, when it is one of the calendar."""

    def put(element: Any, found: list[Any]) -> None:
        if known := span(element):
            found.append(known)

    return put


_ENDLESS = Decimal("Infinity")


def _decimal(number: Any) -> Decimal | None:
    """The number as JSON wrote it; None where it is none, or has more digits than any measure."""
    try:
        decimal = Decimal(str(number))
    except InvalidOperation:
        return None
    return decimal if decimal.is_finite() and abs(decimal.adjusted()) < LARGEST_EXPONENT else None


def _number(number: Any, found: list[Any]) -> None:
    if (value := _decimal(number)) is not None:
        found.append(Amount(value, value))


def _quantity(quantity: Any, found: list[Any]) -> None:
    """https://hl7.org/fhir/R4/datatypes.html#quantity: with a comparator, all it may be."""
    value = _decimal(quantity.get("value"))
    if value is None:
        return
    comparator = quantity.get("comparator", "")
    low = -_ENDLESS if comparator[:1] == "<" else value
    high = _ENDLESS if comparator[:1] == ">" else value
    found.append(Amount(low, high, quantity.get("system"), quantity.get("code"), quantity.get("unit")))


def _money(money: Any, found: list[Any]) -> None:
    value = _decimal(money.get("value"))
    if value is not None:
        currency = money.get("currency")
        found.append(Amount(value, value, CURRENCIES if currency else None, currency))


def _range(range_: Any, found: list[Any]) -> None:
    """Open at the end that is not given; the units are those of the end that is."""
    low, high = range_.get("low", {}), range_.get("high", {})
    least, most = _decimal(low.get("value")), _decimal(high.get("value"))
    if least is None and most is None:
        return
    units = low if least is not None else high
    bounds = (-_ENDLESS if least is None else least, _ENDLESS if most is None else most)
    found.append(Amount(*bounds, units.get("system"), units.get("code"), units.get("unit")))


def _position(position: Any, found: list[Any]) -> None:
    longitude, latitude = position.get("longitude"), position.get("latitude")
    if longitude is not None and latitude is not None and abs(longitude) <= 180 and abs(latitude) <= 90:
        found.append(Position(float(longitude), float(latitude)))


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


def texts_of(type_: str) -> Put | None:
    """The words that go with the codes of a type, which `:text` searches; None where there are none."""
    return _TEXTS.get(type_)


def _shown(coding: Any, found: list[Any]) -> None:
    if display := coding.get("display"):
        found.append(display)


def _concept_texts(concept: Any, found: list[Any]) -> None:
    if text := concept.get("text"):
        found.append(text)
    for coding in concept.get("coding", ()):
        _shown(coding, found)


def _identifier_text(identifier: Any, found: list[Any]) -> None:
    if text := identifier.get("type", {}).get("text"):
        found.append(text)


def identifiers_of_type(type_: str) -> Put | None:
    """What `:of-type` searches; None for a type that is no Identifier."""
    return _typed_identifier if type_ == "Identifier" else None


def logical_references(type_: str) -> Put | None:
    """What `:identifier` searches; None for a type that is no Reference."""
    return _logical_reference if type_ == "Reference" else None


def _typed_identifier(identifier: Any, found: list[Any]) -> None:
    """The codings of the type, each with the value as `code|value`."""
    if value := identifier.get("value"):
        for coding in identifier.get("type", {}).get("coding", ()):
            if code := coding.get("code"):
                found.append(Token(coding.get("system"), f"{code}|{value}"))


def _logical_reference(reference: Any, found: list[Any]) -> None:
    """https://hl7.org/fhir/R4/references.html#logical"""
    _identifier(reference.get("identifier", {}), found)


_TEXTS: Mapping[str, Put] = {
    "CodeableConcept": _concept_texts,
    "Coding": _shown,
    "Identifier": _identifier_text,
}
_QUANTITIES = dict.fromkeys(("Age", "Count", "Distance", "Duration", "Quantity", "SimpleQuantity"), _quantity)
_VALUES: Mapping[Kind, Mapping[str, Put]] = {
    Kind.NUMBER: {**dict.fromkeys(("decimal", "integer", "positiveInt", "unsignedInt"), _number), "Range": _range},
    Kind.QUANTITY: {**_QUANTITIES, "Money": _money, "Range": _range},
    Kind.SPECIAL: {"BackboneElement": _position},
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
    Kind.STRING: {"markdown": _text, "string": _text},
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
