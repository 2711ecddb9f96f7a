"""The primitive datatypes: https://hl7.org/fhir/R4/datatypes.html#primitive"""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_ins.fhir.json import Number, parse
from fhir_ins.fhir.primitives import PRIMITIVES
from fhir_ins.fhir.structure import definitions

GOOD = {
    "base64Binary": ["QQ==", "QUJD", "QU\nJD", " QUJD "],
    "boolean": [True, False],
    "canonical": ["http://example.org/a|1.0", "#a", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
    "code": ["male", "two words", "N'Ko"],
    "date": ["1985", "1985-02", "1985-02-28", "2024-02-29", "0001", "9999-12-31"],
    "dateTime": [
        "1985",
        "1985-02",
        "1985-02-28",
        "2024-02-29T00:00:00Z",
        "1985-02-28T23:59:60+14:00",
        "1985-02-28T01:02:03.123456789-03:30",
    ],
    "decimal": [0, -1, Number("72.50"), Number("1.20e-3"), Number("-0"), 72.5, Decimal("72.50"), 10**30],
    "id": ["a", "A-1.b", "x" * 64],
    "instant": ["2015-02-07T13:28:17.239+02:00", "2015-02-07T13:28:17Z"],
    "integer": [0, -2147483648, 2147483647],
    "markdown": ["# a\n\tb"],
    "oid": ["urn:oid:1.2.250.1.213.1.4.8", "urn:oid:2.0"],
    "positiveInt": [1, 2147483647],
    "string": ["é", " a ", "a\r\n\tb", "Jean\u00a0Paul", "😀", "\x7f"],
    "time": ["00:00:00", "23:59:60", "12:00:00.001"],
    "unsignedInt": [0, 2147483647],
    "uri": ["http://example.org/é?a=b#c", "urn:oid:1.2", "a"],
    "url": ["mailto:a@example.org"],
    "uuid": ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
}

BAD = {
    "base64Binary": ["", " ", "Q", "QQ", "QQ=", "Q=Q=", "Q!==", "é===", "QQ==QQ=="],
    "boolean": ["true", 1, 0],
    "canonical": ["", "a b"],
    "code": ["", " a", "a ", "a  b", "a\tb", "a\n", "\x01", "a\uffff"],
    "date": ["", "85", "0000", "1985-00", "1985-13", "1985-02-30", "2023-02-29", "1985-2-1", "1985-02-01T00:00:00Z",
             "1985-04-31", "1985-02-01\n", "１９８５"],
    "dateTime": ["1985-02-28T10:00", "1985-02-28T10:00:00", "1985-02-30T10:00:00Z", "1985-02-28T24:00:00Z",
                 "1985-02-28T10:00:00+14:01", "1985-02-28 10:00:00Z", "0000-01-01", "1985-02-28T10:00:00z"],
    "decimal": ["1", "", Number("1e1000"), float("nan"), float("inf"), Decimal("NaN")],
    "id": ["", "x" * 65, "a_b", "a b", "a/b", "é", "a\n"],
    "instant": ["2015-02-07", "2015-02-30T13:28:17Z", "2015-02-07T13:28:17"],
    "integer": ["1", 2147483648, -2147483649, Number("1.0"), Number("1e2"), 1.0, 10**30],
    "markdown": ["", " \n"],
    "oid": ["1.2.250", "urn:oid:3.1", "urn:oid:1.02", "urn:oid:1"],
    "positiveInt": [0, -1, 2147483648, "1"],
    "string": ["", " ", "\u00a0", "a\x00b", "a\x0bb", "a\x1f", "a\ufffe", "x" * (1024 * 1024 + 1)],
    "time": ["24:00:00", "12:00", "12:00:00Z"],
    "unsignedInt": [-1, 2147483648, Number("-0")],
    "uri": ["", "a b", "a\nb", "a\x00"],
    "url": ["", "http://a b"],
    "uuid": ["urn:uuid:C757873D-EC9A-4326-A141-556F43239520", "c757873d-ec9a-4326-a141-556f43239520"],
}  # fmt: skip


@pytest.mark.parametrize(("type_", "value"), [(type_, value) for type_ in GOOD for value in GOOD[type_]])
def test_good_value(type_, value):
    assert PRIMITIVES[type_](value) is None


@pytest.mark.parametrize(("type_", "value"), [(type_, value) for type_ in BAD for value in BAD[type_]])
def test_bad_value(type_, value):
    problem = PRIMITIVES[type_](value)
    assert problem is not None
    assert problem.code in {"value", "structure", "too-long"}


@pytest.mark.parametrize("type_", sorted(PRIMITIVES))
@pytest.mark.parametrize("value", [None, [], {}, ["a"]])
def test_other_json_types_are_a_wrong_structure(type_, value):
    assert PRIMITIVES[type_](value).code == "structure"


def test_every_primitive_of_the_definitions_has_its_check():
    assert set(PRIMITIVES) == set(definitions()["primitives"])


# The published \s and \S are those of XML Schema and Java: ASCII.
REGEXES = {
    type_: re.compile(regex, re.ASCII)
    for type_, regex in definitions()["primitives"].items()
    if regex and type_ not in {"base64Binary", "boolean"}  # the first backtracks without end
}
samples = st.one_of(
    st.text(max_size=12),
    st.text("0123456789-T:+Z.", max_size=25),
    st.text("ab 09.-:urnoid", max_size=12),
    *(st.from_regex(regex, fullmatch=True) for regex in REGEXES.values()),
)


@given(st.sampled_from(sorted(REGEXES)), samples)
def test_what_we_accept_the_published_regex_accepts(type_, text):
    value = text
    if type_ in {"decimal", "integer", "positiveInt", "unsignedInt"}:
        try:
            value = parse(f'{{"v":{text}}}'.encode())["v"]
        except Exception:
            return
        text = text.strip()
    if PRIMITIVES[type_](value) is None:
        assert REGEXES[type_].fullmatch(text)


def div(inner, attributes=""):
    return f'<div xmlns="http://www.w3.org/1999/xhtml"{attributes}>{inner}</div>'


@pytest.mark.parametrize(
    "narrative",
    [
        div("DURAND Marie"),
        div("<p>a</p>", ' xml:lang="fr" lang="fr" style="color: red"'),
        div('<table class="grid"><tr><td colspan="2">a &amp; &#160;b</td></tr></table>'),
        div('<a href="Patient/1">a</a><a href="#b" name="c">b</a><a href="https://example.org">c</a>'),
        div('<img src="data:image/png;base64,AAAA" alt="a"/>'),
        div("<!-- a comment -->a"),
        "\n" + div("a") + "\n",
    ],
)
def test_good_narrative(narrative):
    assert PRIMITIVES["xhtml"](narrative) is None


@pytest.mark.parametrize(
    ("narrative", "code"),
    [
        ("", "value"),
        ("DURAND", "value"),
        ("<div>DURAND</div>", "value"),
        (div("<p>"), "value"),
        (div("&nbsp;"), "value"),
        (div("&eacute;"), "value"),
        ("<!DOCTYPE div>" + div("a"), "value"),
        ('<?xml version="1.0"?>' + div("a"), "value"),
        ('<!DOCTYPE div [<!ENTITY a "b">]>' + div("&a;"), "value"),
        (div("a") + div("b"), "value"),
        ('<p xmlns="http://www.w3.org/1999/xhtml">a</p>', "value"),
        (div("a<?php b ?>"), "value"),
        (div("a\x00"), "value"),
        (div("a\ud800"), "value"),
        (div(""), "invariant"),
        (div(" <p>\n</p><!-- a -->"), "invariant"),
        (div("a<script>b</script>"), "invariant"),
        (div("a<iframe/>"), "invariant"),
        (div("<form><input/></form>a"), "invariant"),
        (div("<svg xmlns='http://www.w3.org/2000/svg'/>a"), "invariant"),
        (div("<p xmlns=''>a</p>"), "invariant"),
        (div("a", ' onclick="b()"'), "invariant"),
        (div('<a href="javascript:a()">b</a>'), "invariant"),
        (div('<a href="java&#10;script:a()">b</a>'), "invariant"),
        (div('<a href="data:text/html,a">b</a>'), "invariant"),
        (div('<img src="data:text/html,a"/>'), "invariant"),
        (div('<p style="background: url(http://example.org)">a</p>'), "invariant"),
        (div('<p style="background: u\\72l(a)">a</p>'), "invariant"),
        (div('<p xmlns:x="http://www.w3.org/1999/xlink" x:href="a">a</p>'), "invariant"),
    ],
)
def test_bad_narrative(narrative, code):
    problem = PRIMITIVES["xhtml"](narrative)
    assert problem is not None
    assert problem.code == code
    assert "DURAND" not in problem.text


@given(st.sampled_from(sorted(PRIMITIVES)), st.text() | st.text("<div>&;!x=\"'/ ").map(div))
def test_no_text_raises(type_, text):
    PRIMITIVES[type_](text)
