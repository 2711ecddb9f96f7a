"""FHIR batch and transaction: POST [base]. https://hl7.org/fhir/R4/http.html#transaction

Each entry is a request that the addresses of this server answer as they answer any other. Those of a batch stand each
for itself; those of a transaction are one: what one of them is refused for, refuses all.
"""

from email.utils import parsedate_to_datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.auditing import interaction_is
from fhir_ins.api.body import bounded_body, of_type, parsed
from fhir_ins.api.context import base_url, context_of
from fhir_ins.api.entries import entries_of
from fhir_ins.api.entry_requests import answered
from fhir_ins.api.responses import OUTCOME, json_response
from fhir_ins.api.transaction import carried_out
from fhir_ins.fhir.outcome import BadRequest, TooLarge
from fhir_ins.fhir.structure import validate
from fhir_ins.frcore.elements import Json

_KINDS = ("batch", "transaction")
_STAND_IN = {"resourceType": "Basic", "code": {"text": "judged by itself"}}


async def bundle(request: Request) -> Response:
    sent = of_type(parsed(request, await bounded_body(request)), "Bundle")
    limit = context_of(request).settings.max_bundle_entries
    if isinstance(sent.get("entry"), list) and len(sent["entry"]) > limit:
        raise TooLarge(f"The Bundle has more than the {limit} entries this server takes: send it in parts.")
    if sent.get("type") not in _KINDS:
        raise BadRequest("The Bundle must be a batch or a transaction: set its type.", "Bundle.type", code="value")
    interaction_is(sent["type"])
    if issues := validate(_envelope(sent)):
        raise BadRequest(issues)
    entries = entries_of(sent, base_url(request))
    if sent["type"] == "transaction":
        return _response("transaction-response", [shown(found) for found in await carried_out(request, entries)])
    return _response("batch-response", [shown(await answered(request, entry)) for entry in entries])


def _envelope(bundle: Json) -> Json:
    """The Bundle without what is in it: each resource is judged where it is written, and is refused by itself."""
    entries = bundle.get("entry")
    if not isinstance(entries, list):
        return bundle
    return {
        **bundle,
        "entry": [
            {**entry, "resource": _STAND_IN} if isinstance(entry, dict) and "resource" in entry else entry
            for entry in entries
        ],
    }


def shown(response: Response) -> bytes:
    """A response as an entry of the answer, around its ready bytes. https://hl7.org/fhir/R4/bundle.html"""
    headers = response.headers
    said: dict[str, Any] = {"status": str(response.status_code)}
    if "location" in headers:
        said["location"] = headers["location"]
    if "etag" in headers:
        said["etag"] = headers["etag"]
    if "last-modified" in headers:
        moment = parsedate_to_datetime(headers["last-modified"])
        said["lastModified"] = moment.isoformat().replace("+00:00", "Z")
    body = bytes(response.body)
    if not body:
        return orjson.dumps({"response": said})
    if body.startswith(OUTCOME) and (response.status_code >= 400 or "etag" in headers):
        return b'{"response":%b,"outcome":%b}}' % (orjson.dumps(said)[:-1], body)
    return b'{"resource":%b,"response":%b}' % (body, orjson.dumps(said))


def _response(kind: str, entries: list[bytes]) -> Response:
    opening = orjson.dumps({"resourceType": "Bundle", "type": kind})
    return json_response(opening[:-1] + b',"entry":[' + b",".join(entries) + b"]}" if entries else opening)
