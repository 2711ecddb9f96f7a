"""The examples of R4's search page, asked of a server that holds what they speak of.

https://hl7.org/fhir/R4/search.html; each row names the section it stands in.
"""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import httpx
import pytest
from servers import SANDBOX_RIGHTS, serving

from fhir_ins.settings import Settings
from fhir_ins.store.mongod import Mongod

Json = dict[str, Any]

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
CODES, V2 = "http://acme.org/conditions/codes", "http://terminology.hl7.org/CodeSystem/v2-0203"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


def named(given: str, **elements: Any) -> Json:
    return {"resourceType": "Patient", "name": [{"given": [given]}], **elements}


def observed(code: str, **elements: Any) -> Json:
    coding = {"system": LOINC, "code": code}
    return {"resourceType": "Observation", "status": "final", "code": {"coding": [coding]}, **elements}


def milligrams(value: float, unit: str = "mg") -> Json:
    return {"valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": unit}}


def pressure(systolic: int) -> Json:
    coding = {"coding": [{"system": LOINC, "code": "8480-6"}]}
    return {"component": [{"code": coding, "valueQuantity": {"value": systolic, "system": UCUM, "code": "mm[Hg]"}}]}


def at(**when: Any) -> Json:
    return observed("date", **when)


def risk(probability: float) -> Json:
    prediction = {"probabilityDecimal": probability}
    about = {"subject": {"reference": "Patient/<eve>"}}
    return {"resourceType": "RiskAssessment", "status": "final", "prediction": [prediction], **about}


def condition(**code: Any) -> Json:
    return {"resourceType": "Condition", "code": code, "subject": {"reference": "Patient/<eve>"}}


def group(characteristic: str, value: str) -> Json:
    said = {
        "code": {"coding": [{"code": characteristic}]},
        "valueCodeableConcept": {"coding": [{"code": value}]},
        "exclude": False,
    }
    return {"resourceType": "Group", "type": "person", "actual": False, "characteristic": [said]}


def ordered(*uris: str) -> Json:
    about = {"subject": {"reference": "Patient/<eve>"}}
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "instantiatesUri": [*uris],
        **about,
    }


# By name, in the order they are made; <name> in one is the id of another.
HELD: Mapping[str, Json] = {
    "joe": {"resourceType": "Practitioner", "name": [{"text": "Joe"}], "address": [{"state": "MN"}]},
    "eve": named(
        "Eve",
        gender="female",
        active=True,
        identifier=[
            {"system": "http://acme.org/patient", "value": "2345"},
            {"type": {"coding": [{"system": V2, "code": "MR"}]}, "value": "446053"},
        ],
        generalPractitioner=[{"reference": "Practitioner/<joe>"}],
        communication=[{"language": {"coding": [{"code": "FR"}]}}, {"language": {"coding": [{"code": "NL"}]}}],
    ),
    "evelyn": named("Evelyn", gender="male", communication=[{"language": {"coding": [{"code": "NL"}]}}]),
    "severine": named(
        "Severine",
        birthDate="2013-01-14",
        identifier=[{"system": "http://other.org/patient", "value": "2345"}],
        meta={
            "tag": [{"system": "http://acme.org/codes", "code": "needs-review"}],
            "security": [{"system": CONFIDENTIALITY, "code": "R"}],
            "source": "http://acme.org/interface/adt",
        },
    ),
    "EVE": named("EVE", name=[{"given": ["EVE"], "family": "Peter"}], gender="unknown"),
    "midnight": at(effectiveDateTime="2013-01-14T00:00:00Z"),
    "ten": at(effectiveDateTime="2013-01-14T10:00:00Z"),
    "next day": at(effectiveDateTime="2013-01-15T00:00:00Z"),
    "from 21-Jan": at(effectivePeriod={"start": "2013-01-21"}),
    "from 15-Mar": at(effectivePeriod={"start": "2013-03-15"}),
    "to 21-Jan": at(effectivePeriod={"end": "2013-01-21"}),
    "0.7": risk(0.7),
    "0.9": risk(0.9),
    "headache": condition(
        text="Bad headache", coding=[{"system": CODES, "code": "ha125", "display": "Headache, migraine"}]
    ),
    "ha125 of others": condition(coding=[{"system": "http://other.org", "code": "ha125"}]),
    "ha125 of none": condition(coding=[{"code": "ha125"}]),
    "5.4 mg": observed("dose", **milligrams(5.4)),
    "5.44 mg": observed("dose", **milligrams(5.44)),
    "5.5 mg": observed("dose", **milligrams(5.5)),
    "0.0054 g": observed("dose", **milligrams(0.0054, "g")),
    "9 mg": observed("dose", **milligrams(9)),
    "potassium": observed(
        "2823-3", subject={"reference": "Patient/<EVE>"}, valueQuantity={"value": 5.6, "system": UCUM, "code": "mmol/L"}
    ),
    "report": {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": {"text": "Blood"},
        "subject": {"reference": "Patient/<EVE>"},
        "result": [{"reference": "Observation/<potassium>"}],
    },
    "abroad": observed("x", subject={"reference": "http://acme.org/fhir/Patient/23"}),
    "logical": observed("x", subject={"identifier": {"system": "http://acme.org/fhir/identifier/mrn", "value": "12"}}),
    "hers": observed("1234-5", subject={"reference": "Patient/<eve>"}),
    "low": observed("85354-9", **pressure(55)),
    "high": observed("85354-9", **pressure(140)),
    "mixed": group("gender", "mixed"),
    "other group": group("gender", "female"),
    "123": ordered("http://acme.org/fhir/ValueSet/123"),
    "history": ordered("http://acme.org/fhir/ValueSet/123/_history/5"),
    "urn": ordered("urn:oid:1.2.3.4.5"),
    "comma": condition(coding=[{"system": "http://a", "code": "a,b|c$d"}]),
    "prescribed": {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "x"},
        "subject": {"reference": "Patient/<evelyn>"},
        "requester": {"reference": "Practitioner/<joe>"},
    },
    "dispensed": {
        "resourceType": "MedicationDispense",
        "status": "completed",
        "medicationCodeableConcept": {"text": "x"},
        "authorizingPrescription": [{"reference": "MedicationRequest/<prescribed>"}],
    },
    "provenance": {
        "resourceType": "Provenance",
        "target": [{"reference": "MedicationRequest/<prescribed>"}],
        "recorded": "2013-01-14T10:00:00Z",
        "agent": [{"who": {"reference": "Practitioner/<joe>"}}],
    },
}

DATES = "code=date"
DOSES = "code=dose"

# Section, type and query, and the names of what it finds, then after a bar of what is included.
EXAMPLES: list[tuple[str, str, str]] = [
    ("3.1.1.3.1", "Patient?_id=<eve>", "eve"),
    ("3.1.1.3.1", "Patient?_lastUpdated=gt2010-10-01&_count=0", ""),
    ("3.1.1.3.3", "Condition?code=http://acme.org/conditions/codes|ha125", "headache"),
    ("3.1.1.4.1", "Patient?gender:missing=true", "severine"),
    ("3.1.1.4.1", "Patient?gender:missing=false", "eve;evelyn;EVE"),
    ("3.1.1.4.1", "Patient?language=FR,NL", "eve;evelyn"),
    ("3.1.1.4.1", "Patient?language=FR&language=NL", "eve"),
    ("3.1.1.4.5 number", "RiskAssessment?probability=gt0.8", "0.9"),
    ("3.1.1.4.5 number", "RiskAssessment?probability=lt0.8", "0.7"),
    ("3.1.1.4.5 number", "RiskAssessment?probability=0.9", "0.9"),
    ("3.1.1.4.5 number", "RiskAssessment?probability=9e-1", "0.9"),
    ("3.1.1.4.5 number", "RiskAssessment?probability=0.90", "0.9"),
    ("3.1.1.4.5 number", "RiskAssessment?probability=1", "0.7;0.9"),
    ("3.1.1.4.5 number", "RiskAssessment?probability=ne0.9", "0.7"),
    ("3.1.1.4.6 prefixes", f"Observation?{DATES}&date=eq2013-01-14", "midnight;ten"),
    ("3.1.1.4.6 prefixes", f"Observation?{DATES}&date=ne2013-01-14", "next day;from 21-Jan;from 15-Mar;to 21-Jan"),
    ("3.1.1.4.6 prefixes", f"Observation?{DATES}&date=lt2013-01-14T10:00Z", "midnight;to 21-Jan"),
    (
        "3.1.1.4.6 prefixes",
        f"Observation?{DATES}&date=gt2013-01-14T10:01Z",
        "next day;from 21-Jan;from 15-Mar;to 21-Jan",
    ),
    ("3.1.1.4.6 prefixes", f"Observation?{DATES}&date=ge2013-03-14", "from 21-Jan;from 15-Mar"),
    ("3.1.1.4.6 prefixes", f"Observation?{DATES}&date=le2013-03-14", "midnight;ten;next day;from 21-Jan;to 21-Jan"),
    ("3.1.1.4.6 prefixes", f"Observation?{DATES}&date=sa2013-03-14", "from 15-Mar"),
    ("3.1.1.4.6 prefixes", f"Observation?{DATES}&date=eb2013-03-14", "midnight;ten;next day;to 21-Jan"),
    ("3.1.1.4.7 date", "Patient?birthdate=2013-01-14", "severine"),
    ("3.1.1.4.7 date", "Patient?birthdate=ge2013-01-01&birthdate=le2013-01-31", "severine"),
    ("3.1.1.4.8 string", "Patient?given=eve", "eve;evelyn;EVE"),
    ("3.1.1.4.8 string", "Patient?given:contains=eve", "eve;evelyn;severine;EVE"),
    ("3.1.1.4.8 string", "Patient?given:exact=Eve", "eve"),
    ("3.1.1.4.9 uri", "ServiceRequest?instantiates-uri=http://acme.org/fhir/ValueSet/123", "123"),
    ("3.1.1.4.9 uri", "ServiceRequest?instantiates-uri:below=http://acme.org/fhir/", "123;history"),
    (
        "3.1.1.4.9 uri",
        "ServiceRequest?instantiates-uri:above=http://acme.org/fhir/ValueSet/123/_history/5",
        "123;history",
    ),
    ("3.1.1.4.9 uri", "ServiceRequest?instantiates-uri=urn:oid:1.2.3.4.5", "urn"),
    ("3.1.1.4.10 token", "Patient?identifier=http://acme.org/patient|2345", "eve"),
    ("3.1.1.4.10 token", "Patient?identifier=2345", "eve;severine"),
    ("3.1.1.4.10 token", "Patient?gender=male", "evelyn"),
    ("3.1.1.4.10 token", "Patient?gender:not=male", "eve;severine;EVE"),
    ("3.1.1.4.10 token", "Patient?active=true", "eve"),
    ("3.1.1.4.10 token", "Condition?code=ha125", "headache;ha125 of others;ha125 of none"),
    ("3.1.1.4.10 token", "Condition?code=|ha125", "ha125 of none"),
    ("3.1.1.4.10 token", "Condition?code=http://acme.org/conditions/codes|", "headache"),
    ("3.1.1.4.10 token", "Condition?code:text=headache", "headache"),
    ("3.1.1.4.10 token", f"Patient?identifier:of-type={V2}|MR|446053", "eve"),
    ("3.1.1.4.11 quantity", f"Observation?{DOSES}&value-quantity=5.4|{UCUM}|mg", "5.4 mg;5.44 mg"),
    ("3.1.1.4.11 quantity", f"Observation?{DOSES}&value-quantity=5.40|{UCUM}|mg", "5.4 mg"),
    ("3.1.1.4.11 quantity", f"Observation?{DOSES}&value-quantity=5.40e-3|{UCUM}|g", "0.0054 g"),
    ("3.1.1.4.11 quantity", f"Observation?{DOSES}&value-quantity=5.4||mg", "5.4 mg;5.44 mg"),
    ("3.1.1.4.11 quantity", f"Observation?{DOSES}&value-quantity=5.4", "5.4 mg;5.44 mg"),
    ("3.1.1.4.11 quantity", f"Observation?{DOSES}&value-quantity=le5.4|{UCUM}|mg", "5.4 mg"),
    ("3.1.1.4.11 quantity", f"Observation?{DOSES}&value-quantity=ap5.4|{UCUM}|mg", "5.4 mg;5.44 mg;5.5 mg"),
    ("3.1.1.4.12 reference", "Observation?subject=Patient/<eve>", "hers"),
    ("3.1.1.4.12 reference", "Observation?subject=<eve>", "hers"),
    ("3.1.1.4.12 reference", "Observation?subject:Patient=<eve>", "hers"),
    ("3.1.1.4.12 reference", "Observation?subject=http://acme.org/fhir/Patient/23", "abroad"),
    ("3.1.1.4.12 reference", "Observation?subject:identifier=http://acme.org/fhir/identifier/mrn|12", "logical"),
    (
        "3.1.1.4.13 composite",
        f"DiagnosticReport?result.code-value-quantity=http://loinc.org|2823-3$gt5.4|{UCUM}|mmol/L",
        "report",
    ),
    ("3.1.1.4.13 composite", "Observation?component-code-value-quantity=http://loinc.org|8480-6$lt60", "low"),
    ("3.1.1.4.13 composite", "Observation?component-code-value-quantity=http://loinc.org|8480-6$gt140", ""),
    ("3.1.1.4.13 composite", "Group?characteristic-value=gender$mixed", "mixed"),
    ("3.1.1.4.14 escaping", r"Condition?code=http://a|a\,b\|c\$d", "comma"),
    ("3.1.1.4.14 escaping", r"Condition?code=x,http://a|a\,b\|c\$d,y", "comma"),
    ("3.1.1.4.17 tags", "Patient?_tag=http://acme.org/codes|needs-review", "severine"),
    ("3.1.1.4.17 tags", f"Patient?_security={CONFIDENTIALITY}|R", "severine"),
    ("3.1.1.4.17 tags", "Patient?_source=http://acme.org/interface/adt", "severine"),
    ("3.1.1.4.18 chains", "DiagnosticReport?subject:Patient.name=peter", "report"),
    ("3.1.1.4.18 chains", "DiagnosticReport?subject.name=peter", "report"),
    ("3.1.1.4.18 chains", "Patient?general-practitioner.name=Joe&general-practitioner.address-state=MN", "eve"),
    ("3.1.1.4.19 reverse chains", "Patient?_has:Observation:patient:code=1234-5", "eve"),
    ("3.1.1.4.19 reverse chains", "Patient?_has:Observation:patient:code=1234-5,2823-3", "eve;EVE"),
    (
        "3.1.1.4.19 reverse chains",
        "Patient?_has:Observation:patient:code=1234-5&_has:Observation:patient:code=2823-3",
        "",
    ),
    (
        "3.1.1.4.19 reverse chains",
        "Practitioner?_has:MedicationRequest:requester:_has:Provenance:target:agent=<joe>",
        "joe",
    ),
    ("3.1.1.5.4 included", "MedicationRequest?status=active&_include=MedicationRequest:patient", "prescribed|evelyn"),
    (
        "3.1.1.5.4 included",
        "MedicationRequest?_include=MedicationRequest:patient&_revinclude=Provenance:target",
        "prescribed|evelyn;provenance",
    ),
    (
        "3.1.1.5.4 included",
        "MedicationDispense?_include=MedicationDispense:prescription&_include:iterate=MedicationRequest:requester",
        "dispensed|prescribed;joe",
    ),
    (
        "3.1.1.5.4 included",
        "MedicationDispense?_include=MedicationDispense:prescription&"
        "_include:iterate=MedicationRequest:requester:Practitioner",
        "dispensed|prescribed;joe",
    ),
    ("3.1.1.5.4 included", "MedicationRequest?_include=*", "prescribed|evelyn;joe"),
]


@dataclass(frozen=True)
class Server:
    fhir: httpx.AsyncClient
    ids: Mapping[str, str]

    def asked(self, text: str) -> str:
        return re.sub(r"<([\w -]+)>", lambda one: self.ids[one[1]], text)


@pytest.fixture(scope="module")
async def server(mongod: Mongod) -> AsyncIterator[Server]:
    settings = Settings(
        mongodb_uri=mongod.uri,
        mongodb_database="tests",
        tenant=uuid4().hex,
        rights=SANDBOX_RIGHTS,
        further_types=frozenset(body["resourceType"] for body in HELD.values()),
    )
    async with serving(settings) as url, httpx.AsyncClient(base_url=url, timeout=30, verify=False) as fhir:
        held = Server(fhir, {})
        for name, body in HELD.items():
            text = held.asked(httpx.Request("POST", url, json=body).content.decode())
            headers = {"Content-Type": "application/fhir+json"}
            answer = await fhir.post(f"/{body['resourceType']}", content=text, headers=headers)
            assert answer.status_code == 201, answer.text
            held = Server(fhir, {**held.ids, name: answer.json()["id"]})
        yield held


@pytest.mark.parametrize(("section", "query", "names"), EXAMPLES)
async def test_an_example_of_the_page_finds_what_it_says(server: Server, section: str, query: str, names: str) -> None:
    type_, _, parameters = server.asked(query).partition("?")
    pairs = [tuple(pair.split("=", 1)) for pair in parameters.split("&")]
    by_id = {id_: name for name, id_ in server.ids.items()}
    found, form = await server.fhir.get(f"/{type_}", params=pairs), urlencode(pairs, quote_via=quote)  # type: ignore[arg-type]
    posted = await server.fhir.post(
        f"/{type_}/_search", content=form, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    expected = [_split(part) for part in (*names.split("|"), "")[:2]]
    for answer in (found, posted):
        assert answer.status_code == 200, (section, answer.text)
        entries = answer.json().get("entry", [])
        shown = [
            {by_id[entry["resource"]["id"]] for entry in entries if entry["search"]["mode"] == mode}
            for mode in ("match", "include")
        ]
        assert shown == expected, section


def _split(names: str) -> set[str]:
    return {name for name in names.split(";") if name}


async def test_what_is_found_is_sorted_as_asked(server: Server) -> None:
    """3.1.1.5.1: `_sort=status,-date,category`."""
    answer = await server.fhir.get("/Observation", params={"code": "date", "_sort": "status,-date,category"})
    by_id = {id_: name for name, id_ in server.ids.items()}
    names = [by_id[entry["resource"]["id"]] for entry in answer.json()["entry"]]
    assert names.index("from 15-Mar") < names.index("next day") < names.index("ten") < names.index("midnight")


@pytest.mark.parametrize(
    "query",
    [
        "Condition?code:below=http://snomed.info/sct|235856003",
        "Condition?code:in=http://snomed.info/sct?fhir_vs=ecl/<32485007",
        "Patient?_text=bone",
        "Patient?_content=bone",
        "Patient?_filter=name eq x",
        "Patient?_query=everything",
        "Patient?_list=42",
        "Patient?_contained=true",
        "Patient?gender:exact=male",
        "Patient?favourite-colour=blue",
    ],
)
async def test_what_is_not_offered_is_refused(server: Server, query: str) -> None:
    """3.1.1.3.2: errors and unsupported parameters are not ignored."""
    type_, _, pair = query.partition("?")
    refused = await server.fhir.get(f"/{type_}", params=[tuple(pair.split("=", 1))])  # type: ignore[list-item]
    assert refused.status_code == 400, refused.text
