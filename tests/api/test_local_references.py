"""References to resources of this server. https://hl7.org/fhir/R4/references.html#literal"""

from typing import Any

import httpx
import pytest
from people import patient

Json = dict[str, Any]


def flag(subject: str) -> Json:
    return {"resourceType": "Flag", "status": "active", "code": {"text": "allergy"}, "subject": {"reference": subject}}


async def stored(fhir: httpx.AsyncClient) -> str:
    return str((await fhir.post("/Patient", json=patient())).json()["id"])


@pytest.mark.parametrize("version", ["", "/_history/1"])
async def test_an_absolute_reference_to_this_server_is_kept_as_a_local_one(
    fhir: httpx.AsyncClient, version: str
) -> None:
    id_ = await stored(fhir)
    made = await fhir.post("/Flag", json=flag(f"{fhir.base_url}Patient/{id_}{version}"))
    assert made.json()["subject"]["reference"] == f"Patient/{id_}{version}"
    assert (await fhir.get(f"/Flag?subject=Patient/{id_}&_count=0")).json()["total"] == 1
    refused = await fhir.delete(f"/Patient/{id_}")
    assert refused.status_code == 409
    assert f"Flag/{made.json()['id']}" in refused.text


@pytest.mark.parametrize(
    "address", ["http://elsewhere.example/fhir/Patient/1", "{base}/Patient", "{base}x/Patient/1", "urn:uuid:{uuid}"]
)
async def test_any_other_reference_stays_as_it_was_sent(fhir: httpx.AsyncClient, address: str) -> None:
    uuid = "0c3201bd-1cbf-4d64-b04d-cd9187a4c6e0"
    sent = address.format(base=str(fhir.base_url).rstrip("/"), uuid=uuid)
    made = await fhir.post("/Flag", json=flag(sent))
    assert made.status_code == 201, made.text
    assert made.json()["subject"]["reference"] == sent
