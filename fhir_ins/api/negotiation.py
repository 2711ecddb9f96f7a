"""Which format goes in and out. https://hl7.org/fhir/R4/http.html#mime-type

FHIR's JSON and XML; where neither is preferred, JSON. The generic names of both are understood as FHIR's.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from starlette.requests import Request

from fhir_ins.fhir.outcome import NotAcceptable, UnsupportedMediaType


class Format(StrEnum):
    """The media types of answers; pictures are those of the operations that draw."""

    JSON = "application/fhir+json"
    XML = "application/fhir+xml"
    PNG = "image/png"
    SVG = "image/svg+xml"


FHIR = (Format.JSON, Format.XML)
PATCHES = ("application/json-patch+json", "application/merge-patch+json", Format.JSON, Format.XML)

_NAMES = {
    **dict.fromkeys((Format.JSON, "application/json", "text/json", "application/json+fhir", "json"), Format.JSON),
    **dict.fromkeys((Format.XML, "application/xml", "text/xml", "application/xml+fhir", "xml"), Format.XML),
    Format.PNG: Format.PNG,
    Format.SVG: Format.SVG,
}
_SHORT = ("json", "xml")
_R4 = "This server speaks FHIR R4: use fhirVersion=4.0, or leave it out."
_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?", re.ASCII)


class _Range(NamedTuple):
    """One range of an Accept header; `quality` is 0 where it is refused."""

    name: str
    parameters: list[str]
    quality: float


def answer_format(request: Request, offered: Sequence[Format] = FHIR) -> Format:
    """The format that `_format` (which prevails) or Accept prefers. Raises NotAcceptable when none that is offered."""
    wanted = request.query_params.get("_format")
    if wanted is not None:
        return named_format(wanted, offered)
    header = request.headers.get("accept")
    if header is None or header == "*/*":
        return offered[0]
    ranges = [_range(item) for item in header.split(",") if item.strip()] or [_Range("*/*", [], 1.0)]
    qualities = {format_: _quality_of(format_, ranges) for format_ in offered}
    best = max(offered, key=qualities.__getitem__)
    if qualities[best] > 0:
        return best
    if any(_fits(format_, found) and found.quality for format_ in offered for found in ranges):
        raise NotAcceptable(_R4)
    raise NotAcceptable(f"This address answers in {' or '.join(offered)}: send one of them as Accept.")


def named_format(wanted: str, offered: Sequence[Format] = FHIR) -> Format:
    """The format that a value of `_format` names. Raises NotAcceptable."""
    name, parameters = media_type(wanted.replace(" ", "+"))  # an unescaped + arrives as a blank
    format_ = _NAMES.get(name)
    if format_ is None or format_ not in offered:
        short = [name for name in _SHORT if _NAMES[name] in offered]
        raise NotAcceptable(f"This address answers in {' or '.join(offered)}: use _format={short[0]}.")
    if not _is_r4(parameters):
        raise NotAcceptable(_R4)
    return format_


def body_format(request: Request) -> Format:
    """The format a body is declared to be in. Raises UnsupportedMediaType unless it is FHIR's JSON or XML, in UTF-8."""
    given = request.headers.get("content-type", "")
    format_, (_, parameters) = named(given), media_type(given)
    if format_ is None or format_ not in FHIR:
        raise UnsupportedMediaType("The body must be FHIR: send Content-Type: application/fhir+json, or +xml.")
    charset = next((item.partition("=")[2].strip('"') for item in parameters if item.startswith("charset=")), "utf-8")
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType("FHIR is sent in UTF-8: send charset=utf-8, or no charset.")
    if not _is_r4(parameters):
        raise UnsupportedMediaType(_R4)
    return format_


def accepts(request: Request, formats: Sequence[Format]) -> bool:
    """Whether Accept names one of these formats itself, not by a wildcard."""
    ranges = [_range(item) for item in request.headers.get("accept", "").split(",")]
    return any(named(found.name) in formats and found.quality for found in ranges)


def named(text: str) -> Format | None:
    """The format that a media type means; None where it is none of ours."""
    name, _ = media_type(text)
    return _NAMES.get(name) if name not in _SHORT else None


def media_type(text: str) -> tuple[str, list[str]]:
    """The name of a media type and its parameters, in lower case."""
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    return name, parameters


def _range(text: str) -> _Range:
    name, parameters = media_type(text)
    given = next((item.partition("=")[2] for item in parameters if item.startswith("q=")), "1")
    return _Range(name, parameters, float(given) if _QUALITY.fullmatch(given) else 0.0)


def _quality_of(format_: Format, ranges: Sequence[_Range]) -> float:
    """The quality of the most specific range of R4 that this format is in."""
    fitting = [found for found in ranges if _fits(format_, found) and _is_r4(found.parameters)]
    fewest = min((found.name.count("*") for found in fitting), default=0)
    return max((found.quality for found in fitting if found.name.count("*") == fewest), default=0.0)


def _fits(format_: Format, found: _Range) -> bool:
    """Whether a format is in a range; those of text stand for FHIR's formats too."""
    if found.name in ("*/*", format_.partition("/")[0] + "/*"):
        return True
    return (found.name == "text/*" and format_ in FHIR) or named(found.name) == format_


def _is_r4(parameters: list[str]) -> bool:
    version = next((item.partition("=")[2].strip('"') for item in parameters if item.startswith("fhirversion=")), "4.0")
    return version in ("4.0", "4.0.1")
