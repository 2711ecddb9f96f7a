"""The primitive datatypes: what a JSON value must be. https://hl7.org/fhir/R4/datatypes.html#primitive

`PRIMITIVES[type](value)` is None for a good value, else a Problem that says what is expected; it never quotes
the value. Stricter than the published regexes where the prose is: 30 February, blank strings, control
characters. The narrative (xhtml) follows https://hl7.org/fhir/R4/narrative.html#xhtml.
"""

import binascii
import re
from collections.abc import Callable, Mapping
from datetime import date as Day
from decimal import Decimal
from typing import NamedTuple

from lxml import etree

from fhir_ins.fhir.json import Number


class Problem(NamedTuple):
    """A code of http://hl7.org/fhir/issue-type, and what is wrong and what to do."""

    code: str
    text: str


Check = Callable[[object], Problem | None]

_YEAR = r"(?!0000)[0-9]{4}"
_DAY = r"(?:0[1-9]|[12][0-9]|3[01])"
_MONTH = r"(?:0[1-9]|1[0-2])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_DATE = re.compile(rf"{_YEAR}(?:-{_MONTH}(?:-{_DAY})?)?")
_DATE_TIME = re.compile(rf"{_YEAR}(?:-{_MONTH}(?:-{_DAY}(?:T{_CLOCK}{_ZONE})?)?)?")
_INSTANT = re.compile(rf"{_YEAR}-{_MONTH}-{_DAY}T{_CLOCK}{_ZONE}")

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # the last two no XML can hold either
_VISIBLE = r"[^\s\x00-\x1f\ufffe\uffff]"
_LONGEST_STRING = 1024 * 1024
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,99})(?:\.[0-9]{1,100})?(?:[eE][+-]?[0-9]{1,3})?")


def _of_json_type(expected: str) -> Problem:
    return Problem("structure", f"{expected} is expected here. Send one, or leave the element out.")


_NO_STRING = _of_json_type("A JSON string")
_NO_NUMBER = _of_json_type("A JSON number")
_NO_BOOLEAN = _of_json_type("true or false, without quotes,")

_BLANK = Problem("value", "The string is empty or blank. Leave the element out instead.")
_CONTROLS = Problem("value", "The string has control characters. Only tab, carriage return and line feed may stay.")
_TOO_LONG = Problem("too-long", "The string has more than 1 MiB of characters. Shorten it.")


def string(value: object) -> Problem | None:
    """Neither blank, nor with control characters, nor over 1 Mi characters; non-breaking spaces are fine."""
    if type(value) is not str:
        return _NO_STRING
    if value.isspace() or not value:
        return _BLANK
    if not value.isprintable() and _CONTROL.search(value):
        return _CONTROLS
    return _TOO_LONG if len(value) > _LONGEST_STRING else None


def boolean(value: object) -> Problem | None:
    return None if value is True or value is False else _NO_BOOLEAN


def _matching(pattern: str, text: str) -> Check:
    matches = re.compile(pattern, re.ASCII).fullmatch
    problem = Problem("value", text)

    def check(value: object) -> Problem | None:
        if type(value) is not str:
            return _NO_STRING
        return None if matches(value) else problem

    return check


def _unspaced(pattern: str, text: str) -> Check:
    """`pattern` forbids white space and control characters; most values have neither, which is quickly seen."""
    match = _matching(pattern, text)

    def check(value: object) -> Problem | None:
        if type(value) is str and value and value.isprintable() and " " not in value:
            return None
        return match(value)

    return check


def _dated(pattern: re.Pattern[str], text: str) -> Check:
    matches = pattern.fullmatch
    problem = Problem("value", text)

    def check(value: object) -> Problem | None:
        if type(value) is not str:
            return _NO_STRING
        if not matches(value):
            return problem
        return None if len(value) < 10 or _in_calendar(value) else _NO_DAY

    return check


_NO_DAY = Problem("value", "The month has no such day. Correct the day, or leave it out if it is not known.")


def _in_calendar(text: str) -> bool:
    if text[8:10] < "29":
        return True
    try:
        Day(int(text[:4]), int(text[5:7]), int(text[8:10]))
    except ValueError:
        return False
    return True


def _integer(lowest: int, text: str) -> Check:
    problem = Problem("value", text)

    def check(value: object) -> Problem | None:
        if type(value) is int:
            return None if lowest <= value <= 2147483647 else problem
        return problem if isinstance(value, float | Decimal) else _NO_NUMBER

    return check


def decimal(value: object) -> Problem | None:
    """Any JSON number; its length is bounded, so that arithmetic on it and clients' parsers are safe."""
    if type(value) is int:
        return None
    if isinstance(value, Number):
        return None if _DECIMAL.fullmatch(value.literal) else _NO_DECIMAL
    if isinstance(value, float | Decimal):
        return None if Decimal(value).is_finite() else _NO_DECIMAL
    return _NO_NUMBER


_NO_DECIMAL = Problem(
    "value", "A decimal is digits such as 72.50 or 1.2e-3: a hundred at most on each side, three for the exponent."
)


def base64(value: object) -> Problem | None:
    """RFC 4648 section 4 with padding; white space between the characters is allowed."""
    if type(value) is not str:
        return _NO_STRING
    try:
        if not binascii.a2b_base64(b"".join(value.encode("ascii").split()), strict_mode=True):
            return _BLANK
    except ValueError:
        return _NO_BASE64
    return None


_NO_BASE64 = Problem("value", "The content is no base64. Encode it by RFC 4648 section 4, with padding.")

_XHTML = "{http://www.w3.org/1999/xhtml}"
# Chapters 7 to 11 (except 9.4) and 15 of HTML 4, with a, img and style attributes.
_ELEMENTS = frozenset(
    """a abbr acronym address area b bdo big blockquote br caption cite code col colgroup dd dfn div dl dt em
    h1 h2 h3 h4 h5 h6 hr i img kbd li map ol p pre q samp small span strong sub sup table tbody td tfoot th
    thead tr tt ul var""".split()  # noqa: SIM905
)
_ATTRIBUTES = frozenset(
    """abbr accesskey align alt axis border cellpadding cellspacing char charoff charset cite class colspan
    coords dir frame headers height href hreflang id lang longdesc name nowrap rel rev rowspan rules scope
    shape span src start style summary tabindex title type usemap valign value width
    {http://www.w3.org/XML/1998/namespace}lang {http://www.w3.org/XML/1998/namespace}space""".split()  # noqa: SIM905
)
_LINKS = frozenset(("href", "src", "cite", "longdesc", "usemap"))
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_SCHEMES = frozenset(("http", "https", "mailto", "tel", "ftp", "cid", "urn"))
_IMAGE = re.compile(r"data:image/(?:png|gif|jpeg|webp)[;,]", re.IGNORECASE)
_ACTIVE_STYLE = re.compile(
    r"\\|/\*|url\s*\(|image\s*\(|expression|javascript|@import|behaviou?r|binding", re.IGNORECASE
)

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)

_NO_NARRATIVE = Problem(
    "value",
    'The narrative is no well-formed XHTML. Send one <div xmlns="http://www.w3.org/1999/xhtml">…</div>, without'
    " DTD or processing instructions, with characters in place of entities such as &nbsp;.",
)
_EMPTY_NARRATIVE = Problem("invariant", "txt-2: The narrative shows nothing. Give it some text or an image.")
_ELEMENT_FORBIDDEN = Problem(
    "invariant", "txt-1: The narrative has an element that FHIR forbids. Keep basic formatting only."
)
_ATTRIBUTE_FORBIDDEN = Problem(
    "invariant", "txt-1: The narrative has an attribute that FHIR forbids, as event handlers are. Remove it."
)
_ACTIVE_CONTENT = Problem(
    "invariant", "txt-1: The narrative has a link or a style that may run or load something. Remove it."
)


def xhtml(value: object) -> Problem | None:
    """A div in the xhtml namespace holding basic formatting only (txt-1), and something to see (txt-2)."""
    if type(value) is not str:
        return _NO_STRING
    text = value.strip()
    # Starting with the div leaves no room for an XML declaration or a DTD.
    if not text.startswith("<div"):
        return _NO_NARRATIVE
    try:
        root = etree.fromstring(text.encode("utf-8"), _PARSER)
    except (etree.XMLSyntaxError, ValueError):
        return _NO_NARRATIVE
    if root.tag != _XHTML + "div":
        return _NO_NARRATIVE
    for element in root.iter():
        if problem := _forbidden(element):
            return problem
    shown = any(text.strip() for text in root.itertext()) or root.find(f".//{_XHTML}img") is not None
    return None if shown else _EMPTY_NARRATIVE


def _forbidden(element: etree._Element) -> Problem | None:
    if isinstance(element, etree._ProcessingInstruction | etree._Entity):
        return _NO_NARRATIVE
    namespace, _, tag = element.tag.rpartition("}")
    if namespace + "}" != _XHTML or tag not in _ELEMENTS:
        return _ELEMENT_FORBIDDEN
    for name, content in element.items():
        if name not in _ATTRIBUTES:
            return _ATTRIBUTE_FORBIDDEN
        if (name in _LINKS and _active(str(name), str(content))) or (
            name == "style" and _ACTIVE_STYLE.search(str(content))
        ):
            return _ACTIVE_CONTENT
    return None


def _active(attribute: str, link: str) -> bool:
    # Browsers drop white space and control characters before they look at the scheme.
    link = "".join(character for character in link if character > " ")
    scheme = _SCHEME.match(link)
    if scheme is None or scheme[1].lower() in _SCHEMES:
        return False
    return not (attribute == "src" and _IMAGE.match(link))


_id = _matching(r"[A-Za-z0-9.-]{1,64}", "An id is 1 to 64 letters, digits, hyphens or dots.")
_uri = _unspaced(rf"{_VISIBLE}+", "A URI has no spaces or control characters and is not empty.")
_date_text = "A date is YYYY, YYYY-MM or YYYY-MM-DD."
_instant_text = "An instant is YYYY-MM-DDThh:mm:ss with a zone (Z or +hh:mm); fractions of seconds may follow."
_date_time_text = "A dateTime is YYYY, YYYY-MM or YYYY-MM-DD, or has a time with its zone: YYYY-MM-DDThh:mm:ss+hh:mm."

PRIMITIVES: Mapping[str, Check] = {
    "base64Binary": base64,
    "boolean": boolean,
    "canonical": _uri,
    "code": _unspaced(
        rf"{_VISIBLE}+(?: {_VISIBLE}+)*",
        "A code has no spaces but single ones between its words.",
    ),
    "date": _dated(_DATE, _date_text),
    "dateTime": _dated(_DATE_TIME, _date_time_text),
    "decimal": decimal,
    "id": _id,
    "instant": _dated(_INSTANT, _instant_text),
    "integer": _integer(-2147483648, "An integer has no fraction and fits 32 bits."),
    "markdown": string,
    "oid": _matching(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+", "An OID is written urn:oid:1.2.3, no leading zeros."),
    "positiveInt": _integer(1, "A positiveInt is a whole number from 1 to 2147483647."),
    "string": string,
    "time": _matching(_CLOCK, "A time is hh:mm:ss, without a zone; fractions of seconds may follow."),
    "unsignedInt": _integer(0, "An unsignedInt is a whole number from 0 to 2147483647."),
    "uri": _uri,
    "url": _uri,
    "uuid": _matching(
        r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        "A UUID is written urn:uuid: and 8-4-4-4-12 hexadecimal digits in lower case.",
    ),
    "xhtml": xhtml,
}
