"""Bundles and what they carry. https://hl7.org/fhir/R4/bundle.html"""

import copy

import pytest

from fhir_ins.fhir.structure import validate

PATIENT = {"resourceType": "Patient", "gender": "female"}
BAD_PATIENT = {"resourceType": "Patient", "gender": "F"}
BINARY = {"resourceType": "Binary", "contentType": "application/pdf", "data": "JVBERg=="}
POST = {"method": "POST", "url": "Patient"}


def bundle(*entries, **more):
    return {"resourceType": "Bundle", "type": "batch", "entry": copy.deepcopy(list(entries)), **more}


def entry(resource=PATIENT, **more):
    return {"resource": resource, "request": POST, **more}


# What the Bundle is; the places of its own faults; those of each faulty entry.
CASES = {
    "all is well": (bundle(entry(), entry(BINARY)), [], {}),
    "one resource is bad": (
        bundle(entry(), entry(BAD_PATIENT)), [], {1: ["Bundle.entry[1].resource.gender"]}),
    "two entries are bad": (
        bundle(entry(BAD_PATIENT), entry(), {"resource": PATIENT, "request": {"method": "POST"}}), [],
        {0: ["Bundle.entry[0].resource.gender"], 2: ["Bundle.entry[2].request"]}),
    "an entry is no object": (bundle(entry(), 1), [], {1: ["Bundle.entry[1]"]}),
    "an entry is null": (bundle(None), [], {0: ["Bundle.entry[0]"]}),
    "an entry is empty": (bundle({"fullUrl": "urn:oid:1.2"}), [], {0: ["Bundle.entry[0]"]}),
    "a resource has no type": (bundle(entry({"id": "a"})), [], {0: ["Bundle.entry[0].resource"]}),
    "the envelope has a total": (bundle(entry(), total=1), ["Bundle"], {}),
    "the envelope has an unknown element": (bundle(entry(BAD_PATIENT), totals=1), ["Bundle.totals"],
                                            {0: ["Bundle.entry[0].resource.gender"]}),
    "an entry has no request": (bundle(entry(), {"resource": PATIENT}), ["Bundle"], {}),
    "two entries have one fullUrl": (
        bundle(entry(fullUrl="urn:oid:1.2"), entry(fullUrl="urn:oid:1.2"), entry(BAD_PATIENT)), ["Bundle"],
        {2: ["Bundle.entry[2].resource.gender"]}),
    "a fullUrl names a version": (
        bundle(entry(fullUrl="http://example.org/Patient/1/_history/2")), [], {0: ["Bundle.entry[0]"]}),
    "there is no entry": (bundle(), ["Bundle.entry"], {}),
    "entry is no array": (bundle() | {"entry": entry()}, ["Bundle.entry"], {}),
    "a conditional reference in a batch": (
        bundle(entry({**PATIENT, "managingOrganization": {"reference": "Organization?name=a"}})), [],
        {0: ["Bundle.entry[0].resource.managingOrganization.reference"]}),
    "a conditional reference in a transaction": (
        bundle(entry({**PATIENT, "managingOrganization": {"reference": "Organization?name=a"}}), type="transaction"),
        [], {}),
}  # fmt: skip


@pytest.mark.parametrize(("whole", "envelope", "entries"), CASES.values(), ids=CASES)
def test_a_bundle_is_well_formed_when_its_parts_are(whole, envelope, entries):
    assert bool(validate(whole)) == bool(envelope or entries)


@pytest.mark.parametrize(
    ("resource", "expressions"),
    [
        (BINARY, []),
        ({"resourceType": "Binary", "contentType": "a/b", "data": "?"}, ["Binary.data"]),
        ({"resourceType": "Binary", "data": "QQ=="}, ["Binary"]),
        ({**BINARY, "text": {"status": "empty"}}, ["Binary.text"]),
        ({"resourceType": "Parameters", "parameter": [{"name": "a", "resource": bundle(entry(BAD_PATIENT))}]},
         ["Parameters.parameter[0].resource.entry[0].resource.gender"]),
        ({"resourceType": "Parameters", "parameter": [{"name": "a", "resource": BINARY, "valueCode": "a"}]},
         ["Parameters.parameter[0]"]),
    ],
)  # fmt: skip
def test_resources_that_are_no_domain_resources(resource, expressions):
    assert [issue.expression for issue in validate(resource)] == expressions
