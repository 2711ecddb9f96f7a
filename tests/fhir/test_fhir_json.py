"""JSON in and out: https://hl7.org/fhir/R4/json.html, with number literals as they came."""

import json
from contextlib import suppress
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_ins.fhir.json import parse, parse_array, serialise
from fhir_ins.fhir.outcome import BadRequest

LITERALS = [
    "72.50",
    "1.20e-3",
    "0.1000000000000000055511151231",
    "-0",
    "-0.0",
    "0",
    "1E400",
    "9223372036854775807",
    "18446744073709551616",
    "123456789012345678901234567890",
    "9" * 5000,
]


@pytest.mark.parametrize("literal", LITERALS, ids=lambda literal: literal[:30])
def test_a_number_is_written_back_as_it_came(literal):
    body = f'{{"value":{literal},"list":[{literal}]}}'.encode()
    assert serialise(parse(body)) == body
    assert serialise(deepcopy(parse(body))) == body


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,6})?", fullmatch=True))
def test_any_number_literal_survives(literal):
    body = f'{{"value":{literal}}}'.encode()
    assert serialise(parse(body)) == body


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), values, max_size=5), st.sampled_from([None, 2]), st.booleans())
def test_what_any_json_library_writes_is_read(value, indent, ascii_only):
    body = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    assert json.loads(serialise(parse(body))) == value


def test_key_order_and_characters_are_kept():
    body = '{"z":"é\\u2028😀","a":{"y":[],"b":"\\n\\""}}'.encode()
    assert list(parse(body)) == ["z", "a"]
    assert serialise(parse(body)) == '{"z":"é\u2028😀","a":{"y":[],"b":"\\n\\""}}'.encode()


def test_a_byte_order_mark_is_stripped():
    assert parse(b'\xef\xbb\xbf{"a":1}') == {"a": 1}


def nested(depth):
    return b'{"a":' * depth + b"1" + b"}" * depth


def test_nesting_is_bounded_at_64_levels():
    assert parse(nested(64))
    for body in (nested(65), b'{"a":' + b"[" * 64 + b"]" * 64 + b"}", nested(100_000), b'{"a":' + b"[" * 100_000):
        with pytest.raises(BadRequest, match="deeper than 64"):
            parse(body)


REFUSED = [
    (b"", "invalid", "it is empty"),
    (b"  \n", "invalid", "it is empty"),
    (b'{"name": "DURAND"', "invalid", r"line 1, column 18"),
    (b'{"name": "DURAND",\n "given": \'Marie\'}', "invalid", r"line 2, column 11"),
    (b'{"name": "DURAND"} {}', "invalid", "extra data"),
    (b'{"name": "DUR\nAND"}', "invalid", "control character"),
    (b'{"name": "DURAND",}', "invalid", "property name"),
    (b'{"name": "DUR\xe9"}', "invalid", "Byte 14"),
    ('{"name": "DURAND"}'.encode("utf-16"), "invalid", "UTF-8"),
    (b'{"name": "DURAND", "weight": NaN}', "invalid", r"NaN is no JSON number.*column 30"),
    (b'{"name": "NaN", "weight": -Infinity}', "invalid", r"-Infinity.*column 27"),
    (b'{"value": 01}', "invalid", "column 12"),
    (b'{"name": "DURAND", "name": "MARTIN"}', "structure", r"“name” comes twice.*column 20"),
    (b'{"a": [{"name": 1},\n{"n\\u0061me": 1, "name": 2}]}', "structure", r"“name”.*line 2, column 18"),
    (b'{"name": "\\ud83d"}', "invalid", "surrogate"),
    (b'{"name": "\\ude00"}', "invalid", "surrogate"),
    (b'{"name": "\\ud83d \\ude00"}', "invalid", "surrogate"),
    (b'{"name": "\\ud83d\\ud83d\\ude00"}', "invalid", "surrogate"),
    (b'["DURAND"]', "structure", "no object"),
    (b'"DURAND"', "structure", "no object"),
    (b"null", "structure", "no object"),
]


@pytest.mark.parametrize(("body", "code", "text"), REFUSED)
def test_what_is_refused_says_where_and_quotes_no_value(body, code, text):
    with pytest.raises(BadRequest, match=text) as refused:
        parse(body)
    assert [issue.code for issue in refused.value.issues] == [code]
    assert "DURAND" not in str(refused.value)
    assert "Marie" not in str(refused.value)


def test_an_array_is_read_as_strictly_as_an_object():
    assert serialise(parse_array(b'[{"value": 72.50}, []]')) == b'[{"value":72.50},[]]'
    for body in (b"{}", b'"DURAND"', b"null", b"3"):
        with pytest.raises(BadRequest, match="no array"):
            parse_array(body)
    for body, text in ((b'[{"a": 1, "a": 2}]', "twice"), (b"[" * 65 + b"]" * 65, "deeper"), (b"[NaN]", "no JSON")):
        with pytest.raises(BadRequest, match=text):
            parse_array(body)
    assert parse_array(b"[" * 64 + b"]" * 64)


def test_surrogate_pairs_and_escaped_backslashes_are_fine():
    assert parse(b'{"a": "\\ud83d\\ude00", "b": "\\\\ud83d"}') == {"a": "😀", "b": "\\ud83d"}


def test_a_long_or_unprintable_key_is_cut():
    key = "\\u0007" + "x" * 1000
    with pytest.raises(BadRequest) as refused:
        parse(f'{{"{key}": 1, "{key}": 2}}'.encode())
    assert "x" * 39 in str(refused.value)
    assert "x" * 40 not in str(refused.value)
    assert "\x07" not in str(refused.value)


@given(st.binary() | st.text().map(str.encode) | st.text('{}[]",:\\u1dD8.0eN ').map(str.encode))
def test_no_body_raises_anything_else(body):
    with suppress(BadRequest):
        assert isinstance(parse(body), dict)


def test_only_json_is_serialised():
    with pytest.raises(TypeError):
        serialise({"a": object()})
