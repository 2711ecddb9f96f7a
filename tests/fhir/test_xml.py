"""FHIR XML in and out: https://hl7.org/fhir/R4/xml.html, lossless against JSON."""

from pathlib import Path

import pytest
from any_resource import DIVS, resources
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from fhir_ins.fhir.json import parse, serialise
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.structure import resource_types, validate
from fhir_ins.fhir.xml import parse_xml, serialise_xml
from fhir_ins.fhir.xml_layouts import of_resource

PROFILES = Path(__file__).parents[2] / "profiles"
SERVED = """AuditEvent Basic Binary Bundle CapabilityStatement Condition Consent Coverage DocumentManifest
    DocumentReference Encounter EpisodeOfCare Flag List Location Observation OperationOutcome Organization Parameters
    Patient Person Practitioner PractitionerRole Provenance RelatedPerson Task""".split()  # noqa: SIM905

# The same Patient twice: an attribute, a choice, a null in each list, an id and an extension of a primitive.
JSON = """{"resourceType":"Patient","id":"a",
 "text":{"status":"generated","div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\">é<br/></div>"},
 "contained":[{"resourceType":"Practitioner","id":"b","active":true},{"resourceType":"Organization","id":"c","name":"y"}],
 "extension":[{"id":"e","url":"http://e.org","valueDecimal":72.50}],
 "active":true,
 "name":[{"id":"n","given":["M","J",null],
          "_given":[null,{"id":"g"},{"extension":[{"url":"http://e.org","valueString":"\\"\\n< &"}]}]}],
 "_gender":{"extension":[{"url":"http://e.org","valueCode":"unknown"}]},
 "birthDate":"1985","_birthDate":{"extension":[{"url":"http://e.org","valueBoolean":false}]},
 "multipleBirthInteger":2,
 "generalPractitioner":[{"reference":"#b"}],"managingOrganization":{"reference":"#c"}}""".encode()
XML = """<?xml version="1.0" encoding="UTF-8"?>
<Patient xmlns="http://hl7.org/fhir"><id value="a"/>
<text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">é<br/></div></text>
<contained><Practitioner><id value="b"/><active value="true"/></Practitioner></contained>
<contained><Organization><id value="c"/><name value="y"/></Organization></contained>
<extension id="e" url="http://e.org"><valueDecimal value="72.50"/></extension>
<active value="true"/>
<name id="n"><given value="M"/><given value="J" id="g"/>
<given><extension url="http://e.org"><valueString value="&quot;&#10;&lt; &amp;"/></extension></given></name>
<gender><extension url="http://e.org"><valueCode value="unknown"/></extension></gender>
<birthDate value="1985"><extension url="http://e.org"><valueBoolean value="false"/></extension></birthDate>
<multipleBirthInteger value="2"/>
<generalPractitioner><reference value="#b"/></generalPractitioner>
<managingOrganization><reference value="#c"/></managingOrganization></Patient>""".encode()


def literally(value):
    """Values as JSON writes them, keys in order, so that 72.5 and 72.50 differ, and True and 1."""
    if isinstance(value, dict):
        return {key: literally(inner) for key, inner in sorted(value.items())}
    return [literally(inner) for inner in value] if isinstance(value, list) else serialise(value)


def canonical(xml):
    return etree.tostring(etree.fromstring(xml, etree.XMLParser(remove_blank_text=True)), method="c14n")


def test_xml_says_what_json_says():
    assert literally(parse_xml(XML)) == literally(parse(JSON))
    assert validate(parse_xml(XML)) == []


def test_json_is_written_as_the_xml_it_is():
    lines = XML.decode().splitlines()
    assert serialise_xml(parse(JSON)).decode() == lines[0] + "\n" + "".join(lines[1:])


E = '{"extension":[{"url":"e","valueCode":"a"}]}'
X = '<extension url="e"><valueCode value="a"/></extension>'

# Elements of a HumanName or Dosage in JSON, and the same in XML.
SHAPES = [
    ("HumanName", '"given":["a","b"]', '<given value="a"/><given value="b"/>'),
    ("HumanName", '"given":["a",null,"b"],"_given":[null,{"id":"g"},null]',
     '<given value="a"/><given id="g"/><given value="b"/>'),
    ("HumanName", f'"given":[null,null,"b","c"],"_given":[{{"id":"g"}},{E},null,null]',
     f'<given id="g"/><given>{X}</given><given value="b"/><given value="c"/>'),
    ("HumanName", f'"given":["a","b","c"],"_given":[null,null,{E}]',
     f'<given value="a"/><given value="b"/><given value="c">{X}</given>'),
    ("HumanName", '"_given":[{"id":"g"},{"id":"h"}]', '<given id="g"/><given id="h"/>'),
    ("HumanName", f'"family":"a","_family":{{"id":"g"}},"_given":[{E}]',
     f'<family id="g" value="a"/><given>{X}</given>'),
    ("HumanName", f'"_family":{E}', f'<family>{X}</family>'),
    ("Dosage", '"doseAndRate":[{"doseQuantity":{"value":1},"rateRatio":{"numerator":{"value":1.0}}}]',
     '<doseAndRate><doseQuantity><value value="1"/></doseQuantity>'
     '<rateRatio><numerator><value value="1.0"/></numerator></rateRatio></doseAndRate>'),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "json", "xml"), SHAPES)
def test_elements_of_each_shape(type_, json, xml):
    in_json = parse(f'{{"resourceType":"Basic","extension":[{{"url":"e","value{type_}":{{{json}}}}}]}}'.encode())
    in_xml = f'<extension url="e"><value{type_}>{xml}</value{type_}></extension>'
    in_xml = f'<Basic xmlns="http://hl7.org/fhir">{in_xml}</Basic>'
    assert literally(parse_xml(in_xml.encode())) == literally(in_json)
    assert canonical(serialise_xml(in_json)) == canonical(in_xml)


@given(resources())
@settings(max_examples=60, deadline=None)
def test_any_resource_comes_back_from_xml(resource):
    xml = serialise_xml(resource)
    back = parse_xml(xml)
    assert literally(back) == literally(resource)
    assert serialise_xml(back) == xml


@given(resources().filter(lambda resource: "<div" not in str(resource)))
@settings(max_examples=20, deadline=None)
def test_the_spelling_of_the_xml_changes_nothing(resource):
    """Indentation, comments, a prefix, a byte order mark and a schema location."""
    root = etree.Element("{http://hl7.org/fhir}" + resource["resourceType"], nsmap={"f": "http://hl7.org/fhir"})
    root.set("{http://www.w3.org/2001/XMLSchema-instance}schemaLocation", "http://hl7.org/fhir ../fhir-all.xsd")
    root.extend(etree.fromstring(serialise_xml(resource)))
    for element in root.iter("{http://hl7.org/fhir}*"):
        element.insert(0, etree.Comment("<!DOCTYPE a>"))
    etree.indent(root, "\t")
    xml = b"\xef\xbb\xbf<!-- <!DOCTYPE a> -->\r\n" + etree.tostring(root)
    assert literally(parse_xml(xml)) == literally(resource)


@pytest.mark.parametrize("path", sorted(PROFILES.rglob("*.json")), ids=lambda path: path.name)
def test_what_we_publish_comes_back_from_xml(path):
    resource = parse(path.read_bytes())
    assert literally(parse_xml(serialise_xml(resource))) == literally(resource)


@pytest.mark.parametrize("type_", SERVED)
def test_elements_stand_in_the_order_in_which_another_library_writes_them(type_):
    model = get_fhir_model_class(type_)
    order = [name for name in of_resource(type_).order if name in of_resource(type_).elements]
    assert order == list(model.elements_sequence())


def test_another_library_writes_the_same():
    kept = JSON.replace(b"72.50", b"72.5")  # it drops the zero, and misplaces the ids of these elements
    kept = kept.replace(b'"id":"n",', b"").replace(b'{"id":"g"}', b"null")
    model = get_fhir_model_class("Patient").model_validate_json(kept)
    assert canonical(model.model_dump_xml()) == canonical(serialise_xml(parse(kept)))


def test_every_type_is_read_and_written():
    for type_ in resource_types():
        mixed = {"language": "fr", "meta": {"tag": [{"code": "a"}]}, "id": "a", "resourceType": type_}
        assert list(parse_xml(serialise_xml(mixed))) == ["resourceType", "id", "meta", "language"]


def test_attributes_and_values_keep_their_white_space():
    resource = {"resourceType": "Basic", "extension": [{"url": "a", "valueString": " a\tb\r\nc\u00a0\u2028\x7f\x85"}]}
    assert parse_xml(serialise_xml(resource)) == resource


def test_what_xml_cannot_hold_is_replaced():
    """Validation refuses it, so that only a resource nobody has judged can have it."""
    written = serialise_xml({"resourceType": "Basic", "language": "a\x00\uffff\ud800b"})
    assert parse_xml(written)["language"] == "a\ufffd\ufffd\ufffdb"


# What the value is in XML, and what it is in JSON.
VALUES = [
    ("valueDecimal", "72.50", "72.50"), ("valueDecimal", "1.20e-3", "1.20e-3"), ("valueDecimal", "1E400", "1E400"),
    ("valueDecimal", "-0", "-0"), ("valueDecimal", "9" * 30, "9" * 30), ("valueDecimal", "72", "72"),
    ("valueInteger", "72", "72"), ("valueInteger", "7.0", "7.0"), ("valueInteger", "99999999999", "99999999999"),
    ("valueBoolean", "true", "true"), ("valueBoolean", "false", "false"), ("valueString", "72.50", '"72.50"'),
    ("valueString", "", '""'), ("valueDate", "01", '"01"'), ("valueBase64Binary", "QQ==", '"QQ=="'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "xml", "json"), VALUES)
def test_a_value_is_what_it_is_in_json(name, xml, json):
    """Whether it is a good one, `validate` says in the words it has for JSON."""
    body = f'{{"resourceType":"Basic","code":{{"text":"a"}},"extension":[{{"url":"a","{name}":{json}}}]}}'.encode()
    read = parse_xml(
        f'<Basic xmlns="http://hl7.org/fhir"><extension url="a"><{name} value="{xml}"/></extension>'
        '<code><text value="a"/></code></Basic>'.encode()
    )
    assert literally(read) == literally(parse(body))
    assert validate(read) == validate(parse(body))
    assert literally(parse_xml(serialise_xml(read))) == literally(read)


@pytest.mark.parametrize("type_", ["decimal", "integer", "positiveInt", "unsignedInt", "boolean"])
@pytest.mark.parametrize(
    "value", ["", " 5", "5 ", "01", "+5", "5.", ".5", "0x5", "1_0", "INF", "NaN", "٥", "True", "1e", "a"]
)
def test_a_number_or_boolean_in_no_form_of_json_is_refused(type_, value):
    element = f'<value{type_[0].upper()}{type_[1:]} value="{value}"/>'
    body = f'<Basic xmlns="http://hl7.org/fhir"><extension url="a">{element}</extension></Basic>'.encode()
    with pytest.raises(BadRequest, match=f"of type {type_} is ") as refused:
        parse_xml(body)
    assert (refused.value.issues[0].code, refused.value.issues[0].expression) == ("value", "Basic.extension[0].value")
    assert not value.strip() or f"“{value}”" not in str(refused.value)


@given(st.text("0123456789.eE+-", min_size=1, max_size=8))
def test_any_number_is_one_in_both_formats_or_in_neither(literal):
    xml = f'<Basic xmlns="http://hl7.org/fhir"><extension url="a"><valueDecimal value="{literal}"/></extension></Basic>'
    json = f'{{"resourceType":"Basic","extension":[{{"url":"a","valueDecimal":{literal}}}]}}'
    try:
        expected = literally(parse(json.encode()))
    except BadRequest:
        with pytest.raises(BadRequest):
            parse_xml(xml.encode())
    else:
        assert literally(parse_xml(xml.encode())) == expected


def narrated(div, namespaces='xmlns="http://hl7.org/fhir"', prefix=""):
    xml = f"<f:Basic {namespaces}><f:text><f:status value='additional'/>{div}</f:text></f:Basic>"
    return xml.replace("f:", prefix).encode()


@pytest.mark.parametrize("div", DIVS)
def test_a_narrative_goes_through_as_it_came(div):
    assert parse_xml(narrated(div))["text"]["div"] == div
    assert parse_xml(serialise_xml(parse_xml(narrated(div))))["text"]["div"] == div


H = 'xmlns="http://www.w3.org/1999/xhtml"'
F = 'xmlns:f="http://hl7.org/fhir"'
LEANING = [
    (narrated("<div>a</div>", f"{H} {F}", "f:"), f"<div {H}>a</div>"),
    (narrated("<h:div a='1'><h:br></h:br>&lt;\n&#13;\"</h:div>", f"xmlns:h={H[6:]} {F}", "f:"),
     f'<div {H} a="1"><br/>&lt;\n&#13;"</div>'),
    (narrated(f"<h:div xmlns:h={H[6:]} xml:lang='fr'><!-- c --><h:p/></h:div>"), f'<div {H} xml:lang="fr"><p/></div>'),
    (narrated(f"<div {H}><h:p/></div>", f'xmlns:h={H[6:]} xmlns="http://hl7.org/fhir"'), f"<div {H}><p/></div>"),
    (narrated(f"<div:div {H}/>", f'xmlns:div={H[6:]} xmlns="http://hl7.org/fhir"'), f"<div {H}/>"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "div"), LEANING)
def test_a_narrative_that_leans_on_outer_namespaces_is_written_anew(body, div):
    resource = parse_xml(body)
    assert resource["text"]["div"] == div
    assert parse_xml(serialise_xml(resource)) == resource


def test_a_narrative_is_found_again_beyond_a_megabyte():
    resource = {"resourceType": "Binary", "contentType": "a/b", "data": "QUJD" * 400_000}
    entry = {"resource": {"resourceType": "Basic", "text": {"status": "generated", "div": DIVS[1]}}}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource}, entry]}
    assert parse_xml(serialise_xml(bundle)) == bundle
