"""JSON Patch and FHIRPath Patch on stored resources. https://hl7.org/fhir/R4/http.html#patch"""

import asyncio
from base64 import b64encode
from typing import Any

import httpx
import pytest
from people import ADRUN, document_checked, patient
from qualifying import qualified
from servers import SANDBOX_RIGHTS, StartServer

from fhir_ins.fhir.xml import serialise_xml
from fhir_ins.security.caller import Right

Json = dict[str, Any]

JSON_PATCH = {"Content-Type": "application/json-patch+json"}


async def made(fhir: httpx.AsyncClient, **elements: Any) -> str:
    return f"/Patient/{(await fhir.post('/Patient', json=patient(**elements))).json()['id']}"


def by_fhirpath(kind: str, path: str, **parts: Json) -> Json:
    """Parameters of one operation."""
    given = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    given += [{"name": name, **value} for name, value in parts.items()]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": given}]}


async def test_by_json_patch(fhir: httpx.AsyncClient) -> None:
    path = await made(fhir)
    changed = await fhir.patch(path, json=[{"op": "add", "path": "/active", "value": True}], headers=JSON_PATCH)
    assert (changed.status_code, changed.json()["active"], changed.headers["etag"]) == (200, True, 'W/"2"')
    assert (await fhir.get(path)).content == changed.content
    latest = (await fhir.get(f"{path}/_history")).json()["entry"][0]
    assert latest["request"] == {"method": "PATCH", "url": path[1:]}


@pytest.mark.parametrize("content_type", ["application/merge-patch+json", "application/json"])
async def test_by_merge_patch(fhir: httpx.AsyncClient, content_type: str) -> None:
    path = await made(fhir)
    sent = {"active": True, "gender": None}
    changed = await fhir.patch(path, json=sent, headers={"Content-Type": content_type})
    assert (changed.status_code, changed.json()["active"], "gender" in changed.json()) == (200, True, False)
    assert (await fhir.get(path)).content == changed.content


async def test_by_fhirpath_patch_in_both_formats(fhir: httpx.AsyncClient) -> None:
    path = await made(fhir)
    changed = await fhir.patch(path, json=by_fhirpath("replace", "Patient.gender", value={"valueCode": "male"}))
    assert (changed.status_code, changed.json()["gender"]) == (200, "male")
    in_xml = serialise_xml(by_fhirpath("delete", "Patient.gender"))
    changed = await fhir.patch(path, content=in_xml, headers={"Content-Type": "application/fhir+xml"})
    assert (changed.status_code, "gender" in changed.json()) == (200, False)


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json-patch+json", "[", 400),
        ("application/json-patch+json", "{}", 400),
        ("application/json-patch+json", '[{"op":"grow","path":"/active"}]', 400),
        ("application/json-patch+json", '[{"op":"remove","path":"/photo/3"}]', 422),
        ("application/json-patch+json", '[{"op":"test","path":"/gender","value":"male"}]', 422),
        ("application/json-patch+json", '[{"op":"add","path":"/gender","value":"unheard-of"}]', 422),
        ("application/json-patch+json", '[{"op":"replace","path":"/id","value":"other"}]', 422),
        ("application/json-patch+json", '[{"op":"replace","path":"/resourceType","value":"Group"}]', 422),
        ("application/fhir+json", '{"resourceType":"Patient"}', 400),
        ("application/fhir+json", '{"resourceType":"Parameters","parameter":[{"name":"operation"}]}', 400),
        ("application/merge-patch+json", "[]", 400),
        ("application/merge-patch+json", '{"gender":"unheard-of"}', 422),
        ("application/merge-patch+json", '{"id":"other"}', 422),
        ("application/json", '{"op":"add","path":"/active","value":true}', 422),
        ("application/json", '{"resourceType":"Patient","active":true}', 400),
        ("application/fhir+json", '{"active":true}', 400),
        ("text/plain", "{}", 415),
        ("", "{}", 415),
    ],
)
async def test_what_cannot_be_applied_changes_nothing(
    fhir: httpx.AsyncClient, content_type: str, body: str, status: int
) -> None:
    path = await made(fhir)
    refused = await fhir.patch(path, content=body, headers={"Content-Type": content_type})
    assert (refused.status_code, refused.json()["resourceType"]) == (status, "OperationOutcome"), refused.text
    assert (await fhir.get(path)).headers["etag"] == 'W/"1"'


async def test_what_is_not_there_cannot_be_patched(fhir: httpx.AsyncClient) -> None:
    path = await made(fhir)
    await fhir.delete(path)
    for address, status in ((path, 410), ("/Patient/nobody", 404), ("/Patient?identifier=nobody", 404)):
        assert (await fhir.patch(address, json=[], headers=JSON_PATCH)).status_code == status
    assert (await fhir.patch("/Patient", json=[], headers=JSON_PATCH)).status_code == 400


async def test_by_a_condition(fhir: httpx.AsyncClient) -> None:
    await made(fhir, identifier=[{"value": "IPP-1"}])
    change = [{"op": "add", "path": "/active", "value": True}]
    assert (await fhir.patch("/Patient?identifier=IPP-1", json=change, headers=JSON_PATCH)).json()["active"] is True
    await made(fhir, identifier=[{"value": "IPP-1"}])
    assert (await fhir.patch("/Patient?identifier=IPP-1", json=change, headers=JSON_PATCH)).status_code == 412


async def test_if_match_holds(fhir: httpx.AsyncClient) -> None:
    path, change = await made(fhir), [{"op": "add", "path": "/active", "value": True}]
    for tag, status in (('W/"2"', 412), ('W/"1"', 200)):
        assert (await fhir.patch(path, json=change, headers=JSON_PATCH | {"If-Match": tag})).status_code == status


async def test_concurrent_ones_are_all_applied(fhir: httpx.AsyncClient) -> None:
    path = await made(fhir)
    sent = [[{"op": "add", "path": "/identifier/-", "value": {"value": str(number)}}] for number in range(10)]
    await fhir.patch(path, json=[{"op": "add", "path": "/identifier", "value": [{"value": "x"}]}], headers=JSON_PATCH)
    answers = await asyncio.gather(*(fhir.patch(path, json=change, headers=JSON_PATCH) for change in sent))
    assert {answer.status_code for answer in answers} == {200}
    found = (await fhir.get(path)).json()["identifier"]
    assert sorted(identifier["value"] for identifier in found) == sorted(["x", *map(str, range(10))])


async def test_in_a_bundle(fhir: httpx.AsyncClient) -> None:
    path = await made(fhir)
    change = b64encode(b'[{"op":"add","path":"/active","value":true}]').decode()
    packed = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": change}
    for kind, sent in (("batch", packed), ("transaction", by_fhirpath("delete", "Patient.active"))):
        entry = {"resource": sent, "request": {"method": "PATCH", "url": path[1:]}}
        answer = await fhir.post("", json={"resourceType": "Bundle", "type": kind, "entry": [entry]})
        assert answer.json()["entry"][0]["response"]["status"] == "200", answer.text
        assert ("active" in (await fhir.get(path)).json()) == (kind == "batch")


class TestIdentity:
    """A patch is an update: the rules of the identity hold on it."""

    async def test_a_strict_trait_withdraws_the_matricule(self, fhir: httpx.AsyncClient) -> None:
        path = await qualified(fhir)
        assert ADRUN in (await fhir.get(path)).text
        change = [{"op": "replace", "path": "/birthDate", "value": "1975-12-30"}]
        assert (await fhir.patch(path, json=change, headers=JSON_PATCH)).status_code == 200
        assert ADRUN not in (await fhir.get(path)).text

    async def test_another_element_leaves_it(self, fhir: httpx.AsyncClient) -> None:
        path = await qualified(fhir)
        change = [{"op": "add", "path": "/active", "value": True}]
        assert ADRUN in (await fhir.patch(path, json=change, headers=JSON_PATCH)).text

    async def test_a_document_check_needs_the_version(self, fhir: httpx.AsyncClient) -> None:
        path = await made(fhir)
        extensions = document_checked((await fhir.get(path)).json())["extension"]
        change = [{"op": "add", "path": "/extension", "value": extensions}]
        assert (await fhir.patch(path, json=change, headers=JSON_PATCH)).status_code == 412
        checked = await fhir.patch(path, json=change, headers=JSON_PATCH | {"If-Match": 'W/"1"'})
        assert checked.status_code == 200

    async def test_a_test_of_what_is_concealed_tells_nothing(
        self, fhir: httpx.AsyncClient, reference: httpx.AsyncClient
    ) -> None:
        path = await made(fhir, identifier=[{"system": "urn:oid:1.2.250.1.213.1.4.8", "value": ADRUN}])
        asks = [{"op": "test", "path": "/identifier/0/value", "value": ADRUN}]
        assert (await fhir.patch(path, json=asks, headers=JSON_PATCH)).status_code == 422
        assert (await reference.patch(path, json=asks, headers=JSON_PATCH)).status_code == 200

    async def test_it_needs_the_right_to_read(self, start_server: StartServer) -> None:
        blind = await start_server(rights=SANDBOX_RIGHTS - {Right.READ})
        assert (await blind.patch("/Patient/x", json=[], headers=JSON_PATCH)).status_code == 403
