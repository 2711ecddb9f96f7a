"""FHIR JSON in and out, strictly. https://hl7.org/fhir/R4/json.html, https://www.rfc-editor.org/rfc/rfc8259

Number literals survive (72.50 stays 72.50, as https://hl7.org/fhir/R4/datatypes.html#decimal asks), duplicate
keys, NaN and Infinity are refused, a byte order mark is stripped. Error texts say where and never quote a value:
values may identify a patient.
"""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NoReturn

import orjson

from fhir_ins.fhir.outcome import BadRequest

MAXIMUM_DEPTH = 64

_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_NOT_A_NUMBER = re.compile(_STRING + r"|(-?Infinity|NaN)", re.DOTALL)
_MARK = re.compile(_STRING + r"|[{}\[\],]", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_LONGEST_INTEGER = 18  # characters that surely fit the 64 bits orjson writes
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)((?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)")


class Number(float):
    """A JSON number that a Python float or 64-bit int would not write back as it came."""

    __slots__ = ("literal",)

    literal: str

    def __new__(cls, literal: str | float) -> "Number":
        number = super().__new__(cls, literal)
        number.literal = str(literal)
        return number

    def __repr__(self) -> str:
        return self.literal


class _DuplicateKey(Exception):
    """An object has a key twice."""


class _NotANumber(Exception):
    """NaN, Infinity or -Infinity."""


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object in `body` (UTF-8); a number with a fraction or an exponent, or too long, is a `Number`.

    Raises BadRequest, code `invalid` for what is no JSON and `structure` for a duplicate key, a top level that
    is no object, or nesting beyond 64.
    """
    value = _parsed(body)
    if type(value) is not dict:
        raise BadRequest("The body is JSON but no object. Send one resource, as an object.", code="structure")
    return value


def parse_array(body: bytes) -> list[Any]:
    """The JSON array in `body`, as strictly as `parse` reads an object: a JSON Patch is one."""
    value = _parsed(body)
    if type(value) is not list:
        raise BadRequest("The body is JSON but no array. Send an array of operations.", code="structure")
    return value


def too_deep(value: Any) -> bool:
    """Whether objects and arrays are nested beyond 64 levels in `value`."""
    level = [value] if type(value) is dict or type(value) is list else []
    for _ in range(MAXIMUM_DEPTH):
        level = [
            child
            for container in level
            for child in (container.values() if type(container) is dict else container)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


def _parsed(body: bytes) -> Any:
    try:
        text = body.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise BadRequest(f"Byte {error.start + 1} of the body is no UTF-8. Send JSON in UTF-8.") from None
    try:
        value = _decode(text)
    except json.JSONDecodeError as error:
        reason = "it is empty" if not text.strip() else error.msg.partition(":")[0].lower()
        _refuse(text, error.pos, f"The body is no well-formed JSON: {reason}")
    except _DuplicateKey:
        _refuse_duplicate(text)
    except _NotANumber:
        found = next(match for match in _NOT_A_NUMBER.finditer(text) if match[1])
        _refuse(text, found.start(), f"{found[1]} is no JSON number. Leave the element out")
    except RecursionError:
        _refuse_depth()
    if too_deep(value):
        _refuse_depth()
    if _ESCAPED_SURROGATE.search(body):
        _check_surrogates(text)
    return value


def serialise(value: Any, *, pretty: bool = False) -> bytes:
    """`value` as UTF-8 JSON, minified or `pretty` for people, keys in their order, every `Number` with its literal."""
    option = orjson.OPT_PASSTHROUGH_SUBCLASS | (orjson.OPT_INDENT_2 if pretty else 0)
    return orjson.dumps(value, default=_literal, option=option)


def number(literal: str) -> int | Number:
    """What `parse` makes of a JSON number, such as 72.50. Raises ValueError for what is none."""
    match = _NUMBER.fullmatch(literal)
    if match is None:
        raise ValueError("no JSON number")
    return Number(literal) if match[1] else _integer(literal)


def _literal(value: object) -> orjson.Fragment:
    if isinstance(value, Number):
        return orjson.Fragment(value.literal)
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} has no form in FHIR JSON")


def _integer(literal: str) -> int | Number:
    if len(literal) > _LONGEST_INTEGER or literal == "-0":
        return Number(literal)
    return int(literal)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _DuplicateKey
    return members


def _refuse_constant(_name: str) -> NoReturn:
    raise _NotANumber


_decode = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=Number,
    parse_int=_integer,
    parse_constant=_refuse_constant,
).decode


def _check_surrogates(text: str) -> None:
    """Half a surrogate pair is no character: UTF-8 cannot hold it, so it could not be sent back."""
    high_end = -1  # where a high surrogate awaits its low half
    for match in _ESCAPE.finditer(text):
        unit = int(match[1], 16) if match[1] else 0
        low = 0xDC00 <= unit <= 0xDFFF
        if (high_end >= 0 and not (low and match.start() == high_end)) or (low and high_end < 0):
            _refuse(text, match.start(), "An escape \\uXXXX is half a surrogate pair. Send the character itself")
        high_end = match.end() if 0xD800 <= unit <= 0xDBFF else -1
    if high_end >= 0:
        _refuse(text, high_end, "An escape \\uXXXX is half a surrogate pair. Send the character itself")


def _refuse(text: str, position: int, reason: str, code: str = "invalid") -> NoReturn:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    raise BadRequest(f"{reason} (line {line}, column {column}).", code=code)


def _refuse_depth() -> NoReturn:
    text = f"The JSON is nested deeper than {MAXIMUM_DEPTH} levels. Flatten it, or send it in parts."
    raise BadRequest(text, code="structure")


def _refuse_duplicate(text: str) -> NoReturn:
    position, key = next(_duplicates(text))
    shown = "".join(character for character in key[:40] if character.isprintable())
    _refuse(text, position, f"The key “{shown}” comes twice in one object. Keep one of the two", "structure")


def _duplicates(text: str) -> Iterator[tuple[int, str]]:
    """Where a key comes again, and the key; slow, so only asked once there surely is one."""
    open_objects: list[set[str] | None] = []  # None for an array
    key_expected = False
    for match in _MARK.finditer(text):
        mark = match[0]
        keys = open_objects[-1] if open_objects else None
        if mark[0] == '"':
            if key_expected and keys is not None:
                key = json.loads(mark)
                if key in keys:
                    yield match.start(), key
                keys.add(key)
            key_expected = False
        elif mark in "{[":
            open_objects.append(set() if mark == "{" else None)
            key_expected = mark == "{"
        elif mark in "}]":
            open_objects.pop()
        else:
            key_expected = keys is not None
