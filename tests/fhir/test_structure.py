"""Structure: what R4's own definitions say of a Patient and of the resources it travels in.

https://hl7.org/fhir/R4/validation.html. fhir.resources (R4B) is a second opinion on the good ones.
"""

import copy
import json

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_ins.fhir.structure import definitions, resource_types, validate

XHTML = '<div xmlns="http://www.w3.org/1999/xhtml">Marie</div>'
ORGANIZATION = {"resourceType": "Organization", "id": "org", "name": "Clinique"}

PATIENT = {
    "resourceType": "Patient",
    "id": "pat-1",
    "meta": {"versionId": "3", "lastUpdated": "2026-11-01T09:30:10.123+01:00", "profile": ["http://example.org/p"]},
    "text": {"status": "generated", "div": XHTML},
    "contained": [ORGANIZATION],
    "extension": [
        {"url": "http://example.org/e", "extension": [{"url": "a", "valueCode": "b"}, {"url": "c", "valueUrl": "d"}]},
    ],
    "identifier": [{"use": "official", "system": "urn:oid:1.2.3", "value": "42", "period": {"start": "2020"}}],
    "active": True,
    "name": [
        {
            "use": "official",
            "family": "DURAND",
            "_family": {"extension": [{"url": "http://example.org/e", "valueString": "x"}]},
            "given": ["Marie", None],
            "_given": [None, {"extension": [{"url": "http://example.org/e", "valueBoolean": False}]}],
        }
    ],
    "telecom": [{"system": "phone", "value": "+33600000000", "rank": 1}],
    "gender": "female",
    "birthDate": "1985-02",
    "_birthDate": {"id": "b"},
    "deceasedBoolean": False,
    "multipleBirthInteger": 2,
    "contact": [{"gender": "male", "name": {"family": "MARTIN"}, "organization": {"reference": "#org"}}],
    "communication": [{"language": {"text": "français"}, "preferred": True}],
    "generalPractitioner": [{"reference": "Practitioner/1/_history/2"}, {"type": "Organization", "display": "x"}],
    "managingOrganization": {"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"},
    "link": [{"other": {"reference": "https://example.org/fhir/RelatedPerson/1"}, "type": "seealso"}],
}  # fmt: skip


def patient(**changes):
    """The good Patient with some elements replaced, or taken out when None."""
    changed = {**copy.deepcopy(PATIENT), **changes}
    return {name: value for name, value in changed.items() if value is not None}


def parameters(*parts):
    return {"resourceType": "Parameters", "parameter": list(parts)}


def bundle(*resources, type="collection"):
    request = {"request": {"method": "POST", "url": "Patient"}} if type in ("batch", "transaction") else {}
    return {
        "resourceType": "Bundle",
        "type": type,
        "entry": [{"resource": resource, **request} for resource in resources],
    }


GOOD = {
    "the whole": patient(),
    "the least": {"resourceType": "Patient"},
    "a year of birth": patient(birthDate="1985", _birthDate=None),
    "a birth date that is only an extension": patient(
        birthDate=None, _birthDate={"extension": [{"url": "http://example.org/e", "valueCode": "unknown"}]}
    ),
    "deceased at a time": patient(deceasedBoolean=None, deceasedDateTime="2024-02-29T10:00:00+01:00"),
    "a choice that is only an extension": patient(
        deceasedBoolean=None, _deceasedBoolean={"extension": [{"url": "http://example.org/e", "valueCode": "a"}]}
    ),
    "a value that is only an extension": patient(extension=[
        {"url": "http://example.org/f", "_valueString": {"extension": [{"url": "a", "valueInteger": 1}]}}
    ]),
    "contained resources that refer to each other": patient(
        contained=[{"resourceType": "Organization", "id": "a", "endpoint": [{"reference": "#b"}], "name": "x"},
                   {"resourceType": "Endpoint", "id": "b", "status": "active", "payloadType": [{"text": "a"}],
                    "connectionType": {"code": "a"}, "address": "http://example.org",
                    "managingOrganization": {"reference": "#a"}}],
        contact=None,
    ),
    "Parameters of parts and resources": parameters(
        {"name": "a", "part": [{"name": "b", "valueString": "c"}, {"name": "d", "resource": patient()}]},
        {"name": "e", "valueDate": "2024-01-01"},
    ),
    "a Bundle": bundle(patient(), ORGANIZATION),
    "a transaction with a conditional reference": bundle(
        patient(managingOrganization={"reference": "Organization?identifier=a|b"}), type="transaction"
    ),
    "an Observation with a decimal": {
        "resourceType": "Observation", "status": "final", "code": {"text": "weight"},
        "valueQuantity": {"value": 72.5, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    },
    "a Condition with its required concept": {
        "resourceType": "Condition", "subject": {"reference": "Patient/1"},
        "clinicalStatus": {"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]},
    },
}  # fmt: skip

# What is changed in the Patient; the code of the issue; where; a word of its text.
BAD_PATIENTS = [
    ({"birthdate": "1985"}, "structure", "Patient.birthdate", "birthDate"),
    ({"nom": "DURAND"}, "structure", "Patient.nom", "“nom”"),
    ({"deceased": True}, "structure", "Patient.deceased", "deceasedBoolean"),
    ({"deceasedString": "yes"}, "structure", "Patient.deceasedString", "deceasedString"),
    ({"deceasedDateTime": "2024"}, "structure", "Patient.deceased", "one type"),
    ({"name": {"family": "DURAND"}}, "structure", "Patient.name", "array"),
    ({"name": ["DURAND"]}, "structure", "Patient.name[0]", "object"),
    ({"name": []}, "structure", "Patient.name", "empty"),
    ({"name": [{}]}, "invariant", "Patient.name[0]", "ele-1"),
    ({"name": [{"id": "a"}]}, "invariant", "Patient.name[0]", "ele-1"),
    ({"name": [None]}, "structure", "Patient.name[0]", "object"),
    ({"name": [{"family": None}]}, "structure", "Patient.name[0].family", "string"),
    ({"name": [{"family": ["DURAND"]}]}, "structure", "Patient.name[0].family", "string"),
    ({"name": [{"given": "DURAND"}]}, "structure", "Patient.name[0].given", "array"),
    ({"name": [{"given": ["a", None]}]}, "structure", "Patient.name[0].given[1]", "null"),
    ({"name": [{"given": ["a", 1]}]}, "structure", "Patient.name[0].given[1]", "string"),
    ({"name": [{"given": ["a"], "_given": [None]}]}, "structure", "Patient.name[0].given", "object at least"),
    ({"name": [{"given": ["a"], "_given": [None, {"id": "b"}]}]}, "structure", "Patient.name[0].given", "length"),
    ({"name": [{"_given": [None, {"extension": [{"url": "a", "valueCode": "b"}]}]}]}, "structure",
     "Patient.name[0].given[0]", "null"),
    ({"name": [{"family": " "}]}, "value", "Patient.name[0].family", "blank"),
    ({"name": [{"use": "main"}]}, "code-invalid", "Patient.name[0].use", "maiden"),
    ({"gender": "M"}, "code-invalid", "Patient.gender", "male, female, other, unknown"),
    ({"gender": ["male"]}, "structure", "Patient.gender", "string"),
    ({"active": "true"}, "structure", "Patient.active", "true or false"),
    ({"multipleBirthInteger": "2"}, "structure", "Patient.multipleBirth", "number"),
    ({"multipleBirthInteger": 2.5}, "value", "Patient.multipleBirth", "integer"),
    ({"birthDate": "1985-02-30"}, "value", "Patient.birthDate", "no such day"),
    ({"birthDate": "01/02/1985"}, "value", "Patient.birthDate", "YYYY-MM-DD"),
    ({"_birthDate": "1985"}, "structure", "Patient.birthDate", "object"),
    ({"_birthDate": {"value": "1985"}}, "structure", "Patient.birthDate.value", "“value”"),
    ({"_birthDate": {"extension": [{"url": "a"}]}}, "invariant", "Patient.birthDate.extension[0]", "ext-1"),
    ({"birthDate": None, "_birthDate": {"id": "a"}}, "invariant", "Patient.birthDate", "ele-1"),
    ({"_name": [{"id": "a"}]}, "structure", "Patient", "“_name”"),
    ({"id": "a_b"}, "value", "Patient.id", "64"),
    ({"id": "x" * 65}, "value", "Patient.id", "64"),
    ({"meta": {"lastUpdated": "2026-11-01"}}, "value", "Patient.meta.lastUpdated", "instant"),
    ({"text": {"status": "generated"}}, "required", "Patient.text", "div"),
    ({"text": {"status": "generated", "div": "<p/>"}}, "value", "Patient.text.div", "XHTML"),
    ({"text": {"status": "generated", "div": XHTML, "_div": {"id": "a"}}}, "structure", "Patient.text", "“_div”"),
    ({"extension": [{"valueString": "a"}]}, "required", "Patient.extension[0]", "url"),
    ({"extension": [{"url": "a", "_url": {"id": "b"}, "valueCode": "a"}]}, "structure", "Patient.extension[0]", "_url"),
    ({"extension": [{"url": "a b", "valueString": "a"}]}, "value", "Patient.extension[0].url", "spaces"),
    ({"extension": [{"url": "a", "valueString": "a", "extension": [{"url": "b", "valueCode": "c"}]}]}, "invariant",
     "Patient.extension[0]", "ext-1"),
    ({"extension": [{"url": "a", "valueString": "a", "valueCode": "b"}]}, "structure",
     "Patient.extension[0].value", "one type"),
    ({"extension": [{"url": "a", "valueFoo": "a"}]}, "structure", "Patient.extension[0].valueFoo", "“valueFoo”"),
    ({"telecom": [{"system": "telephone", "value": "1"}]}, "code-invalid", "Patient.telecom[0].system", "phone"),
    ({"telecom": [{"system": "phone", "value": "1", "rank": 0}]}, "value", "Patient.telecom[0].rank", "positiveInt"),
    ({"contact": [{"gender": "x" * 99, "name": {"text": "a"}}], "contained": None}, "code-invalid",
     "Patient.contact[0].gender", "“" + "x" * 40 + "”"),
    ({"communication": [{"preferred": True}]}, "required", "Patient.communication[0]", "language"),
    ({"link": [{"other": {"reference": "Patient/2"}, "type": "a"}]}, "code-invalid", "Patient.link[0].type", "refer"),
    ({"managingOrganization": {"reference": "Practitioner/1"}}, "value",
     "Patient.managingOrganization.reference", "Organization"),
    ({"managingOrganization": {"reference": "http://example.org/fhir/Practitioner/1"}}, "value",
     "Patient.managingOrganization.reference", "Organization"),
    ({"managingOrganization": {"type": "Practitioner", "display": "a"}}, "value",
     "Patient.managingOrganization.type", "Organization"),
    ({"managingOrganization": {"reference": "Orga/1"}}, "value", "Patient.managingOrganization.reference", "Type/id"),
    ({"managingOrganization": {"reference": "1"}}, "value", "Patient.managingOrganization.reference", "Type/id"),
    ({"managingOrganization": {"reference": "urn:uuid:1"}}, "value", "Patient.managingOrganization.reference", "UUID"),
    ({"managingOrganization": {"reference": "Organization?name=a"}}, "value",
     "Patient.managingOrganization.reference", "transaction"),
    ({"generalPractitioner": [{"reference": "#nobody"}]}, "invariant", "Patient.generalPractitioner[0]", "ref-1"),
    ({"link": [{"other": {"reference": "#org"}, "type": "seealso"}]}, "value",
     "Patient.link[0].other.reference", "RelatedPerson"),
    ({"contained": ORGANIZATION}, "structure", "Patient.contained", "array"),
    ({"contained": [{"id": "org"}]}, "required", "Patient.contained[0]", "resourceType"),
    ({"contained": [{**ORGANIZATION, "nom": "a"}]}, "structure", "Patient.contained[0].nom", "“nom”"),
    ({"contained": [{**ORGANIZATION, "contained": [{"resourceType": "Basic", "id": "b"}]}]}, "invariant",
     "Patient.contained[0]", "dom-2"),
    ({"contact": None}, "invariant", "Patient", "dom-3"),
    ({"photo": [{"data": "QQ=", "contentType": "image/png"}]}, "value", "Patient.photo[0].data", "base64"),
]  # fmt: skip

BAD_RESOURCES = [
    ({}, "required", None, "resourceType"),
    ({"resourceType": 1}, "required", None, "resourceType"),
    ({"resourceType": "Pacient"}, "structure", None, "Patient"),
    ({"resourceType": "DomainResource"}, "structure", None, "no resource type"),
    ({"resourceType": "HumanName", "family": "a"}, "structure", None, "no resource type"),
    (parameters({"valueString": "a"}), "required", "Parameters.parameter[0]", "name"),
    (parameters({"name": "a", "part": [{"name": "b", "valueDate": "1985-02-30"}]}), "value",
     "Parameters.parameter[0].part[0].value", "no such day"),
    (parameters({"name": "a", "resource": {**PATIENT, "gender": "M"}}), "code-invalid",
     "Parameters.parameter[0].resource.gender", "male"),
    (bundle({**PATIENT, "gender": "M"}), "code-invalid", "Bundle.entry[0].resource.gender", "male"),
    (bundle({"resourceType": "Nope"}), "structure", "Bundle.entry[0].resource", "“Nope”"),
    ({"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "clinicalStatus": {"text": "a"}},
     "code-invalid", "Condition.clinicalStatus", "condition-clinical"),
    ({"resourceType": "Observation", "status": "final", "code": {"text": "a"},
      "valueRange": {"low": {"value": 1, "comparator": "<"}}}, "structure",
      "Observation.value.low.comparator", "comparator"),
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_good_resource(name):
    assert validate(GOOD[name]) == []


@pytest.mark.parametrize("name", sorted(set(GOOD) - {"a value that is only an extension"}))
def test_fhir_resources_agrees_that_they_are_good(name):
    # fhir.resources 8.3 wrongly refuses `_valueString` in an Extension.
    resource = json.loads(json.dumps(GOOD[name]))
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)


@pytest.mark.parametrize(("changes", "code", "expression", "text"), BAD_PATIENTS, ids=lambda part: str(part)[:60])
def test_bad_patient(changes, code, expression, text):
    issues = validate(patient(**changes))
    assert (code, expression) in [(issue.code, issue.expression) for issue in issues]
    assert any(text in issue.text for issue in issues)
    assert not any("DURAND" in issue.text or "1985" in issue.text for issue in issues)


@pytest.mark.parametrize(("resource", "code", "expression", "text"), BAD_RESOURCES, ids=lambda part: str(part)[:60])
def test_bad_resource(resource, code, expression, text):
    issues = validate(resource)
    assert [(issue.code, issue.expression) for issue in issues] == [(code, expression)]
    assert text in issues[0].text


def test_every_error_is_told_at_once():
    issues = validate(patient(gender="M", birthDate="x", name=[{"use": "main"}, {"given": []}]))
    assert {issue.expression for issue in issues} == {
        "Patient.gender", "Patient.birthDate", "Patient.name[0].use", "Patient.name[1].given"
    }  # fmt: skip


def test_the_list_of_errors_ends():
    issues = validate(patient(**{f"element{number}": 1 for number in range(5000)}, name=[{"given": [1] * 5000}]))
    assert len(issues) == 101
    assert issues[-1].code == "informational"


def test_deep_nesting_is_an_answer():
    extension = {"url": "a", "valueCode": "b"}
    for _ in range(20_000):
        extension = {"url": "a", "extension": [extension]}
    assert [issue.code for issue in validate(patient(extension=[extension]))] == ["structure"]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("Patient"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*PATIENT, "url", "value", "extension", "reference", ""]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(anything)
def test_any_json_gets_an_answer(value):
    assert all(issue.severity == "error" for issue in validate(value))


@given(st.dictionaries(st.sampled_from([*PATIENT, "_gender", "_name", "photo", "resourceType"]), anything))
def test_any_patient_gets_an_answer(elements):
    validate({**elements, "resourceType": "Patient"})


def places(value):
    """Every (container, key) inside a resource."""
    for key, child in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(child, dict | list):
            yield from places(child)


@given(st.data())
@settings(max_examples=300)
def test_a_mutated_resource_gets_an_answer(data):
    resource = copy.deepcopy(data.draw(st.sampled_from(list(GOOD.values()))))
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(list(places(resource))))
        container[key] = data.draw(anything)
    for issue in validate(resource):
        assert issue.text
        assert issue.code


def test_the_table_names_its_source():
    assert definitions()["source"].startswith("hl7.fhir.r4.core 4.0.1 (CC0-1.0)")


def test_the_table_has_all_of_r4():
    assert len(resource_types()) == 146
    assert {"Patient", "Bundle", "Parameters", "Binary", "OperationOutcome"} <= resource_types()
    assert not {"Resource", "DomainResource", "Element", "HumanName"} & resource_types()


def test_pinned_facts_of_the_table():
    types, valuesets = definitions()["types"], definitions()["valuesets"]
    elements = types["Patient"]["elements"]
    assert elements["contact.gender"]["codes"] == "administrative-gender"
    assert valuesets["administrative-gender"] == {
        "http://hl7.org/fhir/administrative-gender": ["male", "female", "other", "unknown"]
    }
    assert elements["deceased[x]"] == {"types": ["boolean", "dateTime"], "summary": 1, "modifier": 1}
    assert elements["contact"] == {"max": "*", "types": ["BackboneElement"], "invariants": ["pat-1"]}
    assert elements["link.other"] == {
        "min": 1, "types": ["Reference"], "targets": ["Patient", "RelatedPerson"], "summary": 1,
    }  # fmt: skip
    assert types["Parameters"]["elements"]["parameter.part"] == {"max": "*", "content": "parameter", "summary": 1}
    assert types["Resource"]["elements"]["id"] == {"types": ["id"], "summary": 1}
    assert types["Range"]["elements"]["low"] == {"types": ["SimpleQuantity"], "summary": 1}
