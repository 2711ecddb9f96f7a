"""CDA recordTarget against the rules of ANS's schematron for a document that carries an INS."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ins.pat_trois import pat_trois
from lxml import etree

from fhir_ins.ins.national_identity import LocalIdentifier, UsedName
from fhir_ins.ins.oid import InsOid
from fhir_ins.ins.traits import Sex
from fhir_ins.ins.wire.cda import record_target

V3 = {"c": "urn:hl7-org:v3"}

# TestContenuCDA-3-0, ASIP-STRUCT-MIN, each test on its own; `patient` is patientRole/patient.
RULES = [
    "count(c:patientRole/c:id[@root and string-length(@extension) = 15]) >= 1",
    "count(c:patientRole/c:patient/c:name) = 1",
    "c:patientRole/c:patient/c:name/c:family/@qualifier = 'BR'",
    "not(c:patientRole/c:patient/c:name/c:family[not(@qualifier)])",
    "not(c:patientRole/c:patient/c:name/c:family[@qualifier != 'BR' and @qualifier != 'CL'])",
    "c:patientRole/c:patient/c:name/c:given/@qualifier = 'BR'",
    "count(c:patientRole/c:patient/c:name/c:given[not(@qualifier)]) = 1",
    "not(c:patientRole/c:patient/c:name/c:given[@qualifier and not(@qualifier='BR' or @qualifier='CL')])",
    "count(c:patientRole/c:patient/c:birthTime[@value]) = 1",
    "string-length(c:patientRole/c:patient/c:birthplace/c:place/c:addr/c:county) = 5",
    "count(c:patientRole/c:patient/c:administrativeGenderCode[@code]) = 1",
]


def parsed(xml: str) -> etree._Element:
    return etree.fromstring(xml)


def texts(target: etree._Element, path: str) -> list[Any]:
    return list(target.xpath(f"c:patientRole/{path}", namespaces=V3))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("used", [None, UsedName("DUBOIS", "Domi"), UsedName("DUBOIS", "")])
def test_each_rule_of_the_schematron(rule: str, used: UsedName | None) -> None:
    target = parsed(record_target(pat_trois(), used=used))
    assert target.tag == "{urn:hl7-org:v3}recordTarget"
    assert target.xpath(rule, namespaces=V3) is True


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("c:id/@root", ["1.2.250.1.213.1.4.10", "1.2.3"]),
        ("c:id/@extension", ["279035121518989", "000003"]),
        ("c:patient/c:name/c:family[@qualifier='BR']/text()", ["PAT-TROIS"]),
        ("c:patient/c:name/c:given[not(@qualifier)]/text()", ["DOMINIQUE MARIE-LOUISE"]),
        ("c:patient/c:name/c:given[@qualifier='BR']/text()", ["DOMINIQUE"]),
        ("c:patient/c:name/c:family[@qualifier='CL']/text()", ["DUBOIS"]),
        ("c:patient/c:name/c:given[@qualifier='CL']/text()", ["Domi"]),
        ("c:patient/c:administrativeGenderCode/@codeSystem", ["2.16.840.1.113883.5.1"]),
        ("c:patient/c:administrativeGenderCode/@displayName", ["Féminin"]),
        ("c:patient/c:birthTime/@value", ["19790328"]),
        ("c:patient/c:birthplace/c:place/c:addr/c:county/text()", ["51215"]),
        ("c:patient/*[last()]/c:place/c:addr/c:county/text()", ["51215"]),  # the schema's order
    ],
)
def test_what_stands_where(path: str, expected: list[str]) -> None:
    local = (
        LocalIdentifier("000003", "1.2.3", is_oid=True),
        LocalIdentifier("X", "https://chu.example", is_oid=False),
    )
    xml = record_target(pat_trois(), used=UsedName("DUBOIS", "Domi"), local=local)
    assert texts(parsed(xml), path) == expected


@pytest.mark.parametrize(
    ("changes", "path", "expected"),
    [
        ({"sex": Sex.MALE}, "c:patient/c:administrativeGenderCode/@code", "M"),
        ({"oid": InsOid.NIA}, "c:id/@root", "1.2.250.1.213.1.4.9"),
        ({"birth_date": "1936-00-00"}, "c:patient/c:birthTime/@value", "1936"),
        ({"birth_place": "2A020"}, "c:patient/c:birthplace/c:place/c:addr/c:county/text()", "2A020"),
    ],
)
def test_another_identity(changes: dict[str, Any], path: str, expected: str) -> None:
    assert texts(parsed(record_target(pat_trois(**changes))), path) == [expected]


@given(st.text(min_size=1).filter(lambda text: "\r" not in text), st.text(min_size=1))
def test_whatever_the_names_it_is_xml_and_says_them(family: str, value: str) -> None:
    local = (LocalIdentifier(value, "1.2.3", is_oid=True),)
    target = parsed(record_target(pat_trois(family=family), local=local))
    (written,) = texts(target, "c:patient/c:name/c:family/text()")
    assert len(written) == len(family)
    assert all(one == other or one == "\ufffd" for one, other in zip(written, family, strict=True))
    assert len(texts(target, "c:id")) == 2
