"""The published examples are what the server answers, ids, instants, days of calls and message ids aside."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from conformance.statement import example
from people import document_checked, out, traits

Json = dict[str, Any]

VOLATILE = {"id", "lastUpdated", "reference"}


def lasting(value: Any) -> Any:
    """The same without what differs from one day or installation to the next; that it is there still counts."""
    if isinstance(value, list):
        return [lasting(item) for item in value]
    if not isinstance(value, dict):
        return value
    volatile = set(VOLATILE)
    if value.get("name") == "messageId":
        volatile.add("valueString")
    if value.get("url") == "dateCollection":
        volatile.add("valueDate")
    return {name: type(item) if name in volatile else lasting(item) for name, item in value.items()}


async def provisoire(fhir: httpx.AsyncClient) -> httpx.Response:
    """A Patient created by its EHR, read again."""
    sent = {name: value for name, value in example("Patient-provisoire").items() if name not in ("id", "meta")}
    created = await fhir.post(
        "/Patient", json={**sent, "meta": {"profile": example("Patient-provisoire")["meta"]["profile"]}}
    )
    return await fhir.get(f"/Patient/{created.json()['id']}")


async def recuperee(fhir: httpx.AsyncClient) -> httpx.Response:
    """A Patient that $ins-fetch stored, as an ordinary caller reads it."""
    answer = await fhir.post("/Patient/$ins-fetch", json=example("Parameters-ins-fetch-in"))
    return await fhir.get("/" + out(answer.json(), "stored")[0]["valueReference"]["reference"])


async def qualifiee(fhir: httpx.AsyncClient) -> httpx.Response:
    """The same of somebody INSi has a history of, after the document check."""
    asked = traits("ECETINSI", ["PIERRE-ALAIN", "MURIEL", "FLORIANT"], "male", "2009-07-14")
    answer = await fhir.post("/Patient/$ins-fetch", json=asked)
    path = "/" + out(answer.json(), "stored")[0]["valueReference"]["reference"]
    read = await fhir.get(path)
    await fhir.put(path, json=document_checked(read.json()), headers={"If-Match": read.headers["etag"]})
    return await fhir.get(path)


async def ins_fetch(fhir: httpx.AsyncClient) -> httpx.Response:
    return await fhir.post("/Patient/$ins-fetch", json=example("Parameters-ins-fetch-in"))


async def ins_verify(fhir: httpx.AsyncClient) -> httpx.Response:
    return await fhir.post("/Patient/$ins-verify", json=example("Parameters-ins-verify-in"))


@pytest.mark.parametrize(
    ("name", "answered"),
    [
        ("Patient-provisoire", provisoire),
        ("Patient-recuperee", recuperee),
        ("Patient-qualifiee", qualifiee),
        ("Parameters-ins-fetch-out", ins_fetch),
        ("Parameters-ins-verify-out", ins_verify),
    ],
)
async def test_the_server_answers_like_the_example(
    fhir: httpx.AsyncClient, name: str, answered: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]
) -> None:
    answer = await answered(fhir)
    assert answer.status_code == 200, answer.text
    assert lasting(answer.json()) == lasting(example(name))
    assert list(answer.json()) == list(example(name))  # the order of the elements too
