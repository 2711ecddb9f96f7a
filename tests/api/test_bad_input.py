"""What a tired integrator sends by mistake: a 4xx OperationOutcome with the place and the remedy; nothing is stored."""

from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from people import ADRUN, ins_identifier, patient, reliability

TYPE = {"Content-Type": "application/fhir+json"}

CASES: list[tuple[str, bytes, int, str | None]] = [
    ("malformed JSON", b'{"resourceType":"Patient",', 400, None),
    ("an array", b"[]", 400, None),
    ("not UTF-8", b'{"resourceType":"Patient","language":"\xff"}', 400, None),
    ("a duplicate key", b'{"resourceType":"Patient","active":true,"active":false}', 400, None),
    ("nothing", b"", 400, None),
    ("no resourceType", b"{}", 400, "resourceType"),
    ("another type", b'{"resourceType":"Observation"}', 400, "resourceType"),
    ("an unknown element", orjson.dumps(patient(nickname="Zo")), 400, "Patient.nickname"),
    ("gender M", orjson.dumps(patient(gender="M")), 400, "Patient.gender"),
    ("30 February", orjson.dumps(patient(birthDate="1975-02-30")), 400, "Patient.birthDate"),
    ("a French date", orjson.dumps(patient(birthDate="31/12/1975")), 400, "Patient.birthDate"),
    ("a name that is no list", orjson.dumps(patient(name={"family": "ADRUN"})), 400, "Patient.name"),
    ("an empty list", orjson.dumps(patient(telecom=[])), 400, "Patient.telecom"),
    ("a null", orjson.dumps(patient(active=None)), 400, "Patient.active"),
    ("a wrong key", orjson.dumps(patient(identifier=[ins_identifier("275126322074975")])), 422,
     "Patient.identifier[0].value"),
    ("13 characters", orjson.dumps(patient(identifier=[ins_identifier("2751263220749")])), 422,
     "Patient.identifier[0].value"),
    ("an INS without value", orjson.dumps(patient(identifier=[{"system": "urn:oid:1.2.250.1.213.1.4.8"}])), 422,
     "Patient.identifier[0].value"),
    ("a matricule as an IPP", orjson.dumps(patient(identifier=[{"system": "urn:ipp", "value": ADRUN}])), 422,
     "Patient.identifier[0].value"),
    ("a matricule in an address", orjson.dumps(patient(address=[{"text": "INS 2 75 12 63 220 749 74"}])), 422,
     "Patient.address[0].text"),
    ("a matricule as a number",
     b'{"resourceType":"Patient","extension":[{"url":"urn:x","valueDecimal":275126322074974}]}', 422,
     "Patient.extension[0].valueDecimal"),
    ("a matricule in full-width digits",
     orjson.dumps(patient(address=[{"text": "２７５１２６３２２０７４９７４"}])), 422, "Patient.address[0].text"),
    ("a matricule in a link",
     orjson.dumps(patient(link=[{"other": {"identifier": ins_identifier()}, "type": "seealso"}])), 422,
     "Patient.link[0].other.identifier"),
    ("a citizen address",
     orjson.dumps(patient(telecom=[{"system": "email", "value": f"{ADRUN}@patient.mssante.fr"}])), 422,
     "Patient.telecom[0].value"),
    ("VALI without date", orjson.dumps(patient(extension=[reliability("VALI")])), 422, None),
    ("VALI tomorrow", orjson.dumps(patient(extension=[reliability("VALI", "2999-01-01", "CN")])), 422, None),
    ("VALI by driving licence", orjson.dumps(patient(extension=[reliability("VALI", "2026-01-01", "PC")])), 422, None),
    ("douteux and fictif", orjson.dumps(patient(extension=[reliability("DOUT"), reliability("FICT")])), 422, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "expression"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
async def test_a_mistake_is_told_with_its_place_and_nothing_is_stored(
    fhir: httpx.AsyncClient, body: bytes, status: int, expression: str | None
) -> None:
    answer = await fhir.post("/Patient", content=body, headers=TYPE)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/fhir+json")
    issue = answer.json()["issue"][0]
    assert issue["severity"] == "error"
    assert issue["details"]["text"]
    if expression:
        assert expression in issue["expression"]
    assert ADRUN not in answer.text
    assert (await fhir.get("/Patient")).json()["total"] == 0


async def test_lower_case_traits_are_accepted(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.post("/Patient", json=patient(name=[{"use": "official", "family": "adrun", "given": ["zoé"]}]))
    assert answer.status_code == 201
    assert answer.json()["name"][0]["family"] == "adrun"


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/x-www-form-urlencoded",
        "text/turtle",
        "text/plain",
        "application/fhir+json; charset=iso-8859-1",
        "application/fhir+json; fhirVersion=5.0",
    ],
)
async def test_another_media_type_is_415(fhir: httpx.AsyncClient, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await fhir.post("/Patient", content=orjson.dumps(patient()), headers=headers)
    assert answer.status_code == 415
    assert "application/fhir+json" in answer.text or "UTF-8" in answer.text or "R4" in answer.text


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/fhir+json", 200),
        ("application/json", 200),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", 200),
        ("application/fhir+json; fhirVersion=4.0", 200),
        ("application/fhir+json; fhirVersion=5.0, application/fhir+json", 200),
        ("application/fhir+xml", 200),
        ("text/turtle", 406),
        ("application/json;q=0", 406),
        ("application/fhir+json; fhirVersion=5.0", 406),
    ],
)
async def test_accept(fhir: httpx.AsyncClient, accept: str, status: int) -> None:
    assert (await fhir.get("/metadata", headers={"Accept": accept})).status_code == status


@pytest.mark.parametrize(
    ("wanted", "status"), [("json", 200), ("application/fhir%2Bjson", 200), ("xml", 200), ("ttl", 406)]
)
async def test_format_prevails_over_accept(fhir: httpx.AsyncClient, wanted: str, status: int) -> None:
    answer = await fhir.get(f"/metadata?_format={wanted}", headers={"Accept": "application/fhir+xml"})
    assert answer.status_code == status


async def test_a_body_compressed_otherwise_than_by_gzip_is_415(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.post("/Patient", content=b"{}", headers={**TYPE, "Content-Encoding": "deflate"})
    assert answer.status_code == 415
    assert "Content-Encoding" in answer.text


async def test_more_search_keys_than_an_index_bears_are_422(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.post("/Patient", json=patient(identifier=[{"value": str(number)} for number in range(3000)]))
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["code"] == "too-costly"


async def test_an_observation_of_many_components_is_taken(fhir: httpx.AsyncClient) -> None:
    """A full panel of the laboratory, each component with its code, its words and what it measures."""
    component = [
        {
            "code": {
                "coding": [{"system": "http://loinc.org", "code": f"{number}-1", "display": f"Dosage {number} sérum"}],
                "text": f"Dosage de la substance {number} dans le sérum ou le plasma",
            },
            "valueQuantity": {
                "value": number,
                "unit": "mmol/L",
                "system": "http://unitsofmeasure.org",
                "code": "mmol/L",
            },
        }
        for number in range(62)
    ]
    panel = {"resourceType": "Observation", "status": "final", "code": {"text": "Bilan"}, "component": component}
    assert (await fhir.post("/Observation", json=panel)).status_code == 201
    assert (await fhir.get("/Observation?component-code:text=dosage 61")).json()["total"] == 1


async def test_a_body_beyond_the_limit_is_413(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.post("/Patient", content=b" " * 2_100_000, headers=TYPE)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/MedicationRequest", 404),
        ("GET", "/Patient/a/b", 404),
        ("GET", "/Patient/$ins-fetch", 405),
        ("DELETE", "/AuditEvent/x", 405),
        ("PATCH", "/ValueSet/x", 405),
        ("POST", "/Patient/x", 405),
        ("POST", "/metadata", 405),
        ("GET", "/Patient/..%2f..%2fetc", 404),
        ("GET", "/Patient/" + "x" * 65, 404),
    ],
)
async def test_an_address_or_method_we_do_not_have(
    fhir: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await fhir.request(method, path)
    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"
    if status == 405:
        assert answer.headers["allow"]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["id", "meta", "text", "contained", "extension", "identifier", "name", "telecom", "gender", "birthDate", "link",
         "deceasedBoolean", "address", "contact", "_birthDate", "language", "implicitRules"]  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(elements=st.dictionaries(st.sampled_from(NAMES), JSON_VALUES, max_size=4))
async def test_whatever_is_sent_never_makes_a_500(fhir: httpx.AsyncClient, elements: dict[str, Any]) -> None:
    answer = await fhir.post("/Patient", json={"resourceType": "Patient", **elements})
    assert answer.status_code in (201, 400, 422)


INSEE = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code"
TWO_CODES = {
    "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
    "valueAddress": {"extension": [{"url": f"{INSEE}", "valueCoding": {"code": "63220"}}, {"url": INSEE}]},
}


async def test_odd_but_legal_shapes_are_answered(fhir: httpx.AsyncClient) -> None:
    assert (await fhir.post("/Patient", json=patient(extension=[TWO_CODES]))).status_code < 500
    lone = patient(meta={"profile": [None], "_profile": [{"extension": [{"url": "urn:x", "valueCode": "a"}]}]})
    created = await fhir.post("/Patient", json=lone)
    assert created.status_code == 201
    path = f"/Patient/{created.json()['id']}"
    assert (await fhir.get(f"{path}/$validate")).status_code == 200
    claim = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient"
    mixed = {**lone, "meta": {"profile": [None, claim], "_profile": [*lone["meta"]["_profile"], None]}}
    again = await fhir.post("/Patient", json=mixed)
    assert (await fhir.put(f"/Patient/{again.json()['id']}", json=again.json())).status_code == 200


@pytest.mark.parametrize(
    ("method", "address", "status", "message"),
    [
        ("GET", "/Patient/unknown", 404, "MSG_NO_EXIST"),
        ("GET", "/Account/1", 404, "MSG_UNKNOWN_TYPE"),
        ("GET", "/nowhere/at/all", 404, "MSG_NO_MODULE"),
        ("DELETE", "/metadata", 405, "MSG_OP_NOT_ALLOWED"),
        ("GET", "/Patient?nickname=x", 400, "MSG_PARAM_UNKNOWN"),
        ("GET", "/Patient?birthdate:near=2000", 400, "MSG_PARAM_MODIFIER_INVALID"),
        ("GET", "/Patient?family=", 400, "MSG_PARAM_INVALID"),
        ("DELETE", "/Patient", 400, "SEARCH_NONE"),
    ],
)
async def test_details_say_which_of_the_messages_of_r4_it_is(
    fhir: httpx.AsyncClient, method: str, address: str, status: int, message: str
) -> None:
    """https://hl7.org/fhir/R4/codesystem-operation-outcome.html"""
    answer = await fhir.request(method, address)
    assert answer.status_code == status
    (coding,) = answer.json()["issue"][0]["details"]["coding"]
    assert coding == {"system": "http://terminology.hl7.org/CodeSystem/operation-outcome", "code": message}
