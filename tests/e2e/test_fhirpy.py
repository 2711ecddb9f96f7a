"""A client we did not write, without special handling: fhirpy."""

from typing import Any

import httpx
import pytest
from fhirpy import AsyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound
from people import ADRUN, ADRUN_TRAITS, document_checked, patient


def elements() -> dict[str, Any]:
    return {name: value for name, value in patient().items() if name != "resourceType"}


@pytest.fixture
def client(fhir: httpx.AsyncClient) -> AsyncFHIRClient:
    return AsyncFHIRClient(str(fhir.base_url).rstrip("/"))


async def test_create_read_update_search_page_and_delete(client: AsyncFHIRClient) -> None:
    made = client.resource("Patient", **elements())
    await made.create()
    assert made.id
    read = await client.reference("Patient", made.id).to_resource()
    read["active"] = True
    await read.save()
    assert (await client.resources("Patient").search(gender="female").fetch_all())[0]["active"] is True
    for _ in range(4):
        await client.resource("Patient", **elements()).create()
    found = await client.resources("Patient").search(family="adrun").limit(2).fetch_all()
    assert len({one.id for one in found}) == 5
    await read.delete()
    with pytest.raises((ResourceNotFound, OperationOutcome)):
        await client.reference("Patient", made.id).to_resource()


async def test_patch_history_and_transaction(client: AsyncFHIRClient) -> None:
    made = client.resource("Patient", **elements())
    await made.create()
    await made.update()
    patched = await client.patch("Patient", made.id, active=True, gender=None)
    assert (patched["active"], "gender" in patched) == (True, False)
    await made.refresh()
    await made.patch(active=False)
    history = await client.execute(f"Patient/{made.id}/_history", method="get")
    assert [entry.request.method for entry in history.entry] == ["PATCH", "PATCH", "PUT", "POST"]
    urn = "urn:uuid:0c3201bd-1cbf-4d64-b04d-cd9187a4c6e0"
    weight = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Poids"},
        "subject": {"reference": urn},
    }
    bundle = client.resource(
        "Bundle",
        type="transaction",
        entry=[
            {"fullUrl": urn, "resource": patient(), "request": {"method": "POST", "url": "Patient"}},
            {"resource": weight, "request": {"method": "POST", "url": "Observation"}},
        ],
    )
    answer = await client.execute("", data=bundle.serialize())
    assert [entry.response.status for entry in answer.entry] == ["201", "201"]


async def test_conditional_update(client: AsyncFHIRClient) -> None:
    identifier = {"system": "urn:oid:1.2.250.1.999.1", "value": "7"}
    mine = client.resources("Patient").search(identifier="urn:oid:1.2.250.1.999.1|7")
    first, was_made = await mine.update(client.resource("Patient", **elements(), identifier=[identifier]))
    assert was_made is True
    updated, was_made = await mine.update(
        client.resource("Patient", **elements(), identifier=[identifier], active=True)
    )
    assert (updated.id, updated["active"], was_made) == (first.id, True, False)


async def test_an_operation_then_a_document_check(client: AsyncFHIRClient) -> None:
    answer = await client.execute("Patient/$ins-fetch", data=ADRUN_TRAITS)
    stored = next(part for part in answer["parameter"] if part["name"] == "stored")["valueReference"]["reference"]
    read = await client.get("Patient", stored.removeprefix("Patient/"))
    checked = document_checked(dict(read))
    careful = AsyncFHIRClient(client.url, extra_headers={"If-Match": 'W/"1"'})
    response = await careful.execute(stored, method="PUT", data=checked)
    assert response["identifier"][0]["value"] == ADRUN


async def test_an_error_is_an_operation_outcome_to_it(client: AsyncFHIRClient) -> None:
    with pytest.raises(OperationOutcome) as raised:
        await client.resources("Patient").search(shoe="42").fetch_all()
    assert "family, gender" in str(raised.value)
