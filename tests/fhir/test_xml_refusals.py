"""What has no place in FHIR XML is refused with its place and a remedy, in work that grows as its size does."""

import sys
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_ins.fhir.json import MAXIMUM_DEPTH, parse, serialise
from fhir_ins.fhir.outcome import BadRequest, FhirError
from fhir_ins.fhir.xml import parse_xml, serialise_xml

NARRATIVE = '<text><status value="generated"/>{}</text>'
DIV = 'div xmlns="http://www.w3.org/1999/xhtml"'
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


def patient(inside):
    return f'<Patient xmlns="http://hl7.org/fhir">{inside}</Patient>'


# What is sent; the code of the issue; where; words of its text.
REFUSED = {
    "nothing": ("", "invalid", None, "it is empty"),
    "a byte order mark alone": ("\ufeff", "invalid", None, "it is empty"),
    "JSON": ('{"resourceType":"Patient"}', "invalid", None, "no well-formed XML"),
    "an end tag of another name": (patient("<name></nom>"), "invalid", None, "line 1, column"),
    "two roots": (patient("") * 2, "invalid", None, "junk"),
    "an attribute twice": (patient('<active value="true" value="false"/>'), "invalid", None, "duplicate attribute"),
    "a character XML has not": (patient('<gender value="&#0;"/>'), "invalid", None, "invalid character"),
    "an entity of HTML": (patient(NARRATIVE.format(f"<{DIV}>&nbsp;</div>")), "invalid", None, "undefined entity"),
    "a DTD": ("<!DOCTYPE Patient>" + patient(""), "invalid", None, "DTD"),
    "a DTD behind comments": (
        "\ufeff<?xml version='1.0'?><!-- - -->\n<!DOCTYPE a>" + patient(""), "invalid", None, "DTD"),
    "a processing instruction": (patient('<?php echo "a"?>'), "invalid", "Patient", "processing instruction"),
    "a style sheet": ('<?xml-stylesheet href="a"?>' + patient(""), "invalid", None, "processing instruction"),
    "an instruction in the narrative": (
        patient(NARRATIVE.format(f"<{DIV}><?a?></div>")), "invalid", "Patient.text.div", "processing instruction"),
    "another encoding": ('<?xml version="1.0" encoding="ISO-8859-1"?>' + patient(""), "invalid", None, "UTF-8"),
    "no namespace": ("<Patient/>", "structure", None, 'xmlns="http://hl7.org/fhir"'),
    "another namespace": ('<Patient xmlns="urn:hl7-org:v3"/>', "structure", None, 'xmlns="http://hl7.org/fhir"'),
    "an element of another namespace": (
        patient('<name xmlns="urn:hl7-org:v3"/>'), "structure", "Patient", 'xmlns="http://hl7.org/fhir"'),
    "an unknown type": ('<Patiente xmlns="http://hl7.org/fhir"/>', "structure", None, "Did you mean Patient"),
    "an abstract type": ('<DomainResource xmlns="http://hl7.org/fhir"/>', "structure", None, "no resource type"),
    "a datatype": ('<HumanName xmlns="http://hl7.org/fhir"/>', "structure", None, "no resource type"),
    "an unknown element": (patient('<birthdate value="1985"/>'), "structure", "Patient.birthdate", "birthDate"),
    "the stem of a choice": (patient('<deceased value="true"/>'), "structure", "Patient.deceased", "deceasedBoolean"),
    "an unknown element inside": (
        patient('<name><givn value="a"/></name>'),
        "structure", "Patient.name[0].givn", "Did you mean given"),
    "an element of BackboneElement elsewhere": (
        patient('<name><modifierExtension url="a"/></name>'),
        "structure", "Patient.name[0].modifierExtension", "no element"),
    "an element that its profile takes away": (
        patient('<extension url="a"><valueDosage><doseAndRate><doseQuantity><comparator value="&lt;"/></doseQuantity>'
                "</doseAndRate></valueDosage></extension>"),
        "structure", "Patient.extension[0].value.doseAndRate[0].dose.comparator", "no element"),
    "an attribute of JSON as an element": (
        patient('<extension><url value="a"/></extension>'), "structure", "Patient.extension[0].url", "no element"),
    "an id of a resource as an attribute": (
        '<Patient xmlns="http://hl7.org/fhir" id="a"/>', "structure", "Patient", "no attribute"),
    "an unknown attribute": (patient('<active value="true" Id="a"/>'), "structure", "Patient.active", "“Id”"),
    "an attribute of another namespace": (
        patient('<active xmlns:f="http://hl7.org/fhir" f:value="true"/>'), "structure", "Patient.active", "“value”"),
    "a type by schema": (patient(f'<name {XSI} xsi:type="HumanName"/>'), "structure", "Patient.name[0]", "“type”"),
    "a value of a complex element": (patient('<name value="a"/>'), "structure", "Patient.name[0]", "“value”"),
    "text": (patient("<name>\n a</name>"), "structure", "Patient.name[0]", "Text"),
    "a space that is none of XML's": (patient("\u00a0"), "structure", "Patient", "Text"),
    "text in a primitive": (patient("<gender>male</gender>"), "structure", "Patient.gender", "Text"),
    "CDATA": (patient("<name><![CDATA[a]]></name>"), "structure", "Patient.name[0]", "Text"),
    "an element inside a primitive": (
        patient('<gender value="male"><code value="a"/></gender>'), "structure", "Patient.gender.code", "no element"),
    "an empty element": (patient("<active value='true'/><name/>"), "invariant", "Patient.name[0]", "ele-1"),
    "an empty primitive": (
        patient("<name><given value='a'/><given/></name>"), "invariant", "Patient.name[0].given[1]", "ele-1"),
    "an element twice": (
        patient("<active value='true'/><active value='true'/>"), "structure", "Patient.active", "once"),
    "an element twice, once without value": (
        patient("<gender><extension url='a'/></gender><gender value='male'/>"), "structure", "Patient.gender", "once"),
    "an object twice": (patient("<text><status value='a'/></text>" * 2), "structure", "Patient.text", "once"),
    "an empty container": (patient("<contained/>"), "invariant", "Patient.contained[0]", "ele-1"),
    "two resources in a container": (
        patient("<contained><Basic/><Basic/></contained>"), "structure", "Patient.contained[0]", "second"),
    "a datatype in a container": (
        patient("<contained><name/></contained>"), "structure", "Patient.contained[0].name", "no resource type"),
    "a number that is none": (
        patient('<multipleBirthInteger value="two"/>'), "value", "Patient.multipleBirth", "digits"),
    "a div of FHIR's namespace": (
        patient(NARRATIVE.format("<div>a</div>")), "structure", "Patient.text", 'xmlns="http://www.w3.org/1999/xhtml"'),
    "FHIR in the narrative": (
        patient(NARRATIVE.format(f'<{DIV}><p xmlns="http://hl7.org/fhir"/></div>')),
        "invariant", "Patient.text.div", "txt-1"),
    "no namespace in the narrative": (
        patient(NARRATIVE.format(f'<{DIV}><p xmlns=""/></div>')), "invariant", "Patient.text.div", "txt-1"),
    "a foreign attribute in the narrative": (
        patient(NARRATIVE.format(f'<{DIV}><p {XSI} xsi:nil="true"/></div>')), "invariant", "Patient.text.div", "txt-1"),
    "deep in a Bundle": (
        '<Bundle xmlns="http://hl7.org/fhir"><entry><fullUrl value="a"/></entry>'
        "<entry><resource><Parameters><parameter><part><resource><Patient><nom/></Patient></resource></part></parameter>"
        "</Parameters></resource></entry></Bundle>",
        "structure", "Bundle.entry[1].resource.parameter[0].part[0].resource.nom", "Patient has no element"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "code", "place", "words"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused(body, code, place, words):
    with pytest.raises(BadRequest) as refused:
        parse_xml(body.encode())
    (issue,) = refused.value.issues
    assert (issue.code, issue.expression) == (code, place)
    assert words in issue.text
    assert issue.text.endswith(".")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-32-le", "latin-1", "cp037"])
def test_other_encodings_are_refused(encoding):
    """A DTD could hide in them, and the source of a narrative could not be found again."""
    for inside in ("", '<gender value="é"/>', NARRATIVE.format(f"<{DIV}>é</div>")):
        if inside or encoding != "latin-1":
            with pytest.raises(BadRequest, match=r"UTF-8|well-formed"):
                parse_xml(patient(inside).encode(encoding))


def test_the_line_and_column_are_told():
    with pytest.raises(BadRequest, match=r"\(line 2, column 5\)\.$"):
        parse_xml(patient('\n  é <active value="true"/>').replace("é", " ").replace("active", "activ").encode())


def nested(levels):
    """Extensions in extensions: each level is an array and an object of JSON."""
    return patient('<extension url="a">' * levels + '<valueCode value="b"/>' + "</extension>" * levels).encode()


def test_depth_is_that_of_json():
    """What is too deep for JSON is too deep for XML, so that what is stored can be read again."""
    deepest = (MAXIMUM_DEPTH - 1) // 2
    assert parse(serialise(parse_xml(nested(deepest))))
    for body in (nested(deepest + 1), nested(50_000), nested(MAXIMUM_DEPTH).replace(b"</extension>", b"")):
        with pytest.raises(BadRequest, match=f"deeper than {MAXIMUM_DEPTH} levels") as refused:
            parse_xml(body)
        assert refused.value.issues[0].code == "structure"


def parameters(levels, value):
    """A value within as many Parameters: each level is two objects and an array of JSON."""
    resource = {"resourceType": "Parameters", "parameter": [{"name": "a", "valueHumanName": value}]}
    for _ in range(levels):
        resource = {"resourceType": "Parameters", "parameter": [{"name": "a", "resource": resource}]}
    return resource


AT_THE_EDGE = [
    {"family": "a"},
    {"given": ["a"]},
    {"family": "a", "_family": {"id": "a"}},
    {"given": ["a"], "_given": [{"id": "a"}]},
    {"_given": [{"extension": [{"url": "a", "valueCode": "b"}]}]},
    {"period": {"start": "2020"}},
    {"period": {"start": "2020", "_start": {"id": "a"}}},
    {"extension": [{"url": "a"}]},
]


@pytest.mark.parametrize("value", AT_THE_EDGE, ids=str)
def test_depth_is_that_of_json_to_the_level(value):
    answers = [
        (reads(parse, serialise(resource)), reads(parse_xml, serialise_xml(resource)))
        for resource in (parameters(levels, value) for levels in range(17, 23))
    ]
    assert {as_json for as_json, _ in answers} == {True, False}
    assert all(as_json == as_xml for as_json, as_xml in answers)


def reads(read, body):
    try:
        read(body)
    except BadRequest:
        return False
    return True


@given(st.binary(max_size=60) | st.text("<>/&;!?[]=\"' aA1:-x", max_size=60).map(lambda text: patient(text).encode()))
def test_any_bytes_are_read_or_refused(body):
    with suppress(BadRequest):
        parse_xml(body)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))

# Hostile documents whose size grows with n.
HOSTILE = {
    "a billion laughs": lambda n: f'<!DOCTYPE a [<!ENTITY l0 "{"x" * n}">{LAUGHS}]>' + patient("<name>&l9;</name>"),
    "an external entity": lambda n: '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + patient("&e;" * n),
    "comments before a DTD": lambda n: "<!-- a -->\n" * n + "<!DOCTYPE a>",
    "a comment that never ends": lambda n: "<!--" * n,
    "space before nothing": lambda n: " " * n,
    "comments": lambda n: patient("<!-- - -->" * n),
    "space": lambda n: patient("\n" * n),
    "text": lambda n: patient("a" * n),
    "attributes": lambda n: patient("<name " + " ".join(f'a{i}="b"' for i in range(n)) + "/>"),
    "schema locations": lambda n: patient(f'<name {XSI} xsi:schemaLocation="{"a" * n}" id="a"/>' * 2),
    "a long attribute": lambda n: patient(f'<gender value="{"a" * n}"/>'),
    "a long name": lambda n: patient(f"<{'a' * n}/>"),
    "a long number": lambda n: patient(f'<multipleBirthInteger value="{"1" * n}"/>'),
    "a long fraction": lambda n: patient(
        f'<extension url="a"><valueDecimal value="0.{"1" * n}e-{"9" * n}"/></extension>'),
    "references to characters": lambda n: patient(f'<gender value="{"&#x41;" * n}"/>'),
    "namespaces": lambda n: patient("<active " + " ".join(f'xmlns:n{i}="b"' for i in range(n)) + ' value="true"/>'),
    "a long namespace for many": lambda n: patient(
        f'<name xmlns:n="{"a" * n}">' + '<given n:value="a"/>' * n + "</name>"),
    "a long namespace in the narrative": lambda n: patient(
        NARRATIVE.format(f'<{DIV} xmlns:n="{"a" * n}">' + "<n:p/>" * n + "</div>")),
    "repeated elements": lambda n: patient('<name id="a"/>' * n),
    "nulls": lambda n: patient("<name>" + '<given id="a"/><given value="a"/>' * n + "</name>"),
    "one null after many values": lambda n: patient("<name>" + '<given value="a"/>' * n + '<given id="a"/></name>'),
    "alternating elements": lambda n: patient('<name id="a"/><address id="b"/>' * n),
    "depth": lambda n: patient('<extension url="a">' * n),
    "depth of the narrative": lambda n: patient(NARRATIVE.format(f"<{DIV}>" + "<p>" * n + "</p>" * n + "</div>")),
    "markup in the narrative": lambda n: patient(NARRATIVE.format(f"<{DIV}>" + "<p a='&lt;'/>&amp;" * n + "</div>")),
    "narratives": lambda n: patient(
        ("<contained><Basic>" + NARRATIVE.format(f"<{DIV}/>") + "</Basic></contained>") * n),
}  # fmt: skip


IN_C = [
    "a billion laughs", "comments before a DTD", "a comment that never ends", "space before nothing", "comments",
    "attributes", "schema locations", "a long attribute", "a long name", "a long number", "a long fraction",
    "references to characters", "namespaces", "a long namespace for many", "depth",
]  # fmt: skip


def work(body):
    """How many calls are made, of our functions and those they use, before `body` is read or refused."""
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        with suppress(FhirError):
            parse_xml(body)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("made", HOSTILE.values(), ids=HOSTILE)
def test_twice_the_size_is_twice_the_work_at_most(made):
    small, large = made(1_000).encode(), made(2_000).encode()
    assert work(large) <= 2 * work(small) + 100


@pytest.mark.parametrize("name", IN_C)
def test_two_megabytes_end(name):
    """What costs no calls would cost time, minutes if it were quadratic."""
    body = HOSTILE[name](2_000_000 * 10_000 // len(HOSTILE[name](10_000))).encode()
    assert len(body) > 1_500_000
    with suppress(BadRequest):
        parse_xml(body)


def test_a_refused_document_is_not_read_on():
    documents = [patient("<nom/>" + "<name><given value='a'/></name>" * times).encode() for times in (0, 1_000)]
    assert work(documents[0]) == work(documents[1])


def test_texts_quote_no_values():
    for body, *_ in REFUSED.values():
        secret = body.replace('"1985"', '"SECRET"').replace('"two"', '"SECRET"').replace("\n a<", "SECRET<")
        with pytest.raises(BadRequest) as refused:
            parse_xml(secret.encode())
        assert "SECRET" not in str(refused.value)
