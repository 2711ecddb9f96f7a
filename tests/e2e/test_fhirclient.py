"""A client we did not write, without special handling: fhirclient, of SMART. It is synchronous: it runs in a thread."""

import asyncio

import httpx
import pytest
from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.observation import Observation
from fhirclient.models.parameters import Parameters
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException, FHIRServer
from people import ADRUN_TRAITS, patient
from requests import HTTPError

_URN = "urn:uuid:0c3201bd-1cbf-4d64-b04d-cd9187a4c6e0"


@pytest.fixture
def server(fhir: httpx.AsyncClient) -> FHIRServer:
    return FHIRClient(settings={"app_id": "tests", "api_base": str(fhir.base_url)}).server


def scenario(server: FHIRServer) -> None:
    assert server.capabilityStatement.fhirVersion == "4.0.1"
    made = Patient(Patient(patient()).create(server))
    read = Patient.read(made.id, server)
    read.active = True
    assert read.update()["meta"]["versionId"] == "2"
    assert patched(server, made.id)["entry"][0]["response"]["status"] == "200"
    assert Patient.read(made.id, server).active is False
    history = Bundle.read_from(f"Patient/{made.id}/_history", server)
    assert [entry.request.method for entry in history.entry] == ["PATCH", "PUT", "POST"]
    for _ in range(4):
        Patient(patient()).create(server)
    pages = list(Patient.where({"family": "adrun", "_count": "2"}).perform_iter(server))
    assert len({entry.resource.id for page in pages for entry in page.entry}) == 5
    assert len(pages) == 3
    both = transaction(server)["entry"]
    weighed = Observation.read_from("/".join(both[1]["response"]["location"].split("/")[-4:-2]), server)
    assert weighed.subject.reference in both[0]["response"]["location"]
    found = Parameters(server.post_json("Patient/$ins-fetch", ADRUN_TRAITS).json())
    assert found.parameter[0].valueCode == "found"
    Patient.read(made.id, server).delete()
    with pytest.raises((FHIRNotFoundException, HTTPError)):
        Patient.read(made.id, server)


def patched(server: FHIRServer, id_: str) -> dict:
    """It has no PATCH of its own: a batch carries one."""
    operation = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Patient.active"},
        {"name": "value", "valueBoolean": False},
    ]
    change = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": operation}]}
    return bundle(server, "batch", {"resource": change, "request": {"method": "PATCH", "url": f"Patient/{id_}"}})


def transaction(server: FHIRServer) -> dict:
    weight = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Poids"},
        "subject": {"reference": _URN},
    }
    return bundle(
        server,
        "transaction",
        {"fullUrl": _URN, "resource": patient(), "request": {"method": "POST", "url": "Patient"}},
        {"resource": weight, "request": {"method": "POST", "url": "Observation"}},
    )


def bundle(server: FHIRServer, kind: str, *entries: dict) -> dict:
    return Bundle({"resourceType": "Bundle", "type": kind, "entry": list(entries)}).create(server)


async def test_every_interaction_an_ehr_begins_with(server: FHIRServer) -> None:
    await asyncio.to_thread(scenario, server)
