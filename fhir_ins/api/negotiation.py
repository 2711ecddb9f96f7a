"""Which format goes in and out. https://hl7.org/fhir/R4/http.html#mime-type

JSON is what we speak: application/fhir+json, with application/json understood as the same.
"""

import re

from starlette.requests import Request

from fhir_ins.fhir.outcome import NotAcceptable, UnsupportedMediaType

JSON = "application/fhir+json; charset=utf-8"
PNG = "image/png"
SVG = "image/svg+xml"

_JSON_TYPES = frozenset({"application/fhir+json", "application/json", "text/json", "application/json+fhir"})
_WILDCARDS = frozenset({"*/*", "application/*", "text/*"})
_FORMATS = _JSON_TYPES | {"json"}
_R4 = "This server speaks FHIR R4: use fhirVersion=4.0, or leave it out."
_PICTURES = (PNG, SVG)
_DRAWN = "This operation answers application/fhir+json, image/png and image/svg+xml: ask for one of them."
_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?", re.ASCII)
_ZERO = re.compile(r"q=0(\.0*)?")


def require_json_answer(request: Request) -> None:
    """Raise NotAcceptable unless `_format` (which prevails) or Accept allows JSON of R4."""
    wanted = request.query_params.get("_format")
    if wanted is not None:
        require_json_format(wanted)
        return
    accept = request.headers.get("accept", "*/*")
    ranges = [_media_type(item) for item in accept.split(",") if item.strip()] or [("*/*", [])]
    fitting = [parameters for name, parameters in ranges if _is_json_range(name, parameters)]
    if not fitting:
        raise NotAcceptable("This server answers in JSON: send Accept: application/fhir+json.")
    if not any(_is_r4(parameters) for parameters in fitting):
        raise NotAcceptable(_R4)


def require_json_format(wanted: str) -> None:
    """Raise NotAcceptable unless this value of `_format` is JSON of R4."""
    name, parameters = _media_type(wanted.replace(" ", "+"))  # an unescaped + arrives as a blank
    if name not in _FORMATS:
        raise NotAcceptable("This server answers in JSON: use _format=json.")
    if not _is_r4(parameters):
        raise NotAcceptable(_R4)


def require_json_body(request: Request) -> None:
    """Raise UnsupportedMediaType unless the body is declared to be FHIR JSON, in UTF-8."""
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("The body must not be compressed: leave Content-Encoding out.")
    name, parameters = _media_type(request.headers.get("content-type", ""))
    if name not in _JSON_TYPES:
        raise UnsupportedMediaType("The body must be FHIR JSON: send Content-Type: application/fhir+json.")
    charset = next((item.partition("=")[2].strip('"') for item in parameters if item.startswith("charset=")), "utf-8")
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType("FHIR JSON is in UTF-8: send charset=utf-8, or no charset.")
    if not _is_r4(parameters):
        raise UnsupportedMediaType(_R4)


def _is_json_range(name: str, parameters: list[str]) -> bool:
    refused = any(_ZERO.fullmatch(parameter) for parameter in parameters)
    return name in _JSON_TYPES | _WILDCARDS and not refused


def _is_r4(parameters: list[str]) -> bool:
    version = next((item.partition("=")[2].strip('"') for item in parameters if item.startswith("fhirversion=")), "4.0")
    return version in ("4.0", "4.0.1")


def _media_type(text: str) -> tuple[str, list[str]]:
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    return name, parameters


def picture_answer(request: Request) -> str | None:
    """The picture type that `_format` (which prevails) or Accept prefers to JSON; None where JSON is the answer.

    For the one operation that draws; raises NotAcceptable as `require_json_answer` does where neither is wanted.
    """
    wanted = request.query_params.get("_format")
    if wanted is not None:
        name, _ = _media_type(wanted.replace(" ", "+"))
        if name in _PICTURES:
            return name
        if name not in _FORMATS:
            raise NotAcceptable(_DRAWN)
    else:
        accepted = [_media_type(item) for item in request.headers.get("accept", "*/*").split(",")]
        json = max(
            (_quality(parameters) for name, parameters in accepted if name in _JSON_TYPES | _WILDCARDS), default=0
        )
        qualities = {picture: _picture_quality(picture, accepted) for picture in _PICTURES}
        best = max(_PICTURES, key=qualities.__getitem__)
        if qualities[best] > json:
            return best
        if not json and not any(name in _JSON_TYPES for name, _ in accepted):
            raise NotAcceptable(_DRAWN)
    require_json_answer(request)
    return None


def _picture_quality(picture: str, accepted: list[tuple[str, list[str]]]) -> float:
    """The quality Accept gives this type by its own name, else as one of image/*."""
    given = {name: _quality(parameters) for name, parameters in accepted}
    return given.get(picture, given.get("image/*", 0.0))


def _quality(parameters: list[str]) -> float:
    """The q of a media range, 1 where it has none; what is no number counts for nothing."""
    given = next((item.partition("=")[2] for item in parameters if item.startswith("q=")), "1")
    return float(given) if _QUALITY.fullmatch(given) else 0.0
