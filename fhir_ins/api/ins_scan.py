"""$ins-scan: POST [base]/Patient/$ins-scan.

Reads an INS datamatrix, given as its payload or as a picture, into what $ins-verify takes. Nothing is stored and INSi
is not asked. profiles/OperationDefinition-ins-scan.json
"""

import asyncio
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.context import Context, caller_of, context_of
from fhir_ins.api.operation_input import SCAN, operation_arguments
from fhir_ins.api.responses import resource_response
from fhir_ins.api.trait_parts import trait_parts
from fhir_ins.fhir.operations import Argument, answer, part
from fhir_ins.fhir.outcome import BadRequest, Unprocessable
from fhir_ins.frcore.elements import Json
from fhir_ins.frcore.scanned import scanned_patient
from fhir_ins.ins.datamatrix import Content, read, text_of, text_of_typed
from fhir_ins.ins.datamatrix_photograph import payload_in
from fhir_ins.ins.malformed import Malformed
from fhir_ins.ins.oid import ins_oid
from fhir_ins.security.caller import Right

# Two at a time: each may take some 120 MB while it is opened.
_PICTURES = ThreadPoolExecutor(2, "picture")


async def ins_scan(request: Request) -> Response:
    caller_of(request).require(Right.VERIFY)
    given = await operation_arguments(request, SCAN)
    sources = [(name, argument) for name, found in given.items() for argument in found]
    if len(sources) != 1:
        text = "Give one of payload, payloadBase64 and picture: what the scanner typed, its very bytes, or an image."
        raise BadRequest(text, "Parameters.parameter", code="required" if not sources else "invalid")
    ((name, argument),) = sources
    found = await _scanned(name, argument)
    content = read(found) if isinstance(found, str) else found
    if isinstance(content, Malformed):
        raise Unprocessable(content.reason, argument.expression, code="value")
    return resource_response(answer(*_parts(content, context_of(request))))


async def _scanned(name: str, argument: Argument) -> str | Malformed:
    """The text of the datamatrix, out of whichever parameter holds it."""
    if name == "payload":
        return text_of_typed(argument.value)
    if name == "payloadBase64":
        return text_of_typed(text_of(b64decode(argument.value)))
    if not argument.value.get("data"):
        raise BadRequest("The picture is given in data, in base64: this server follows no url.", argument.expression)
    picture = b64decode(argument.value["data"])
    payload = await asyncio.get_running_loop().run_in_executor(_PICTURES, payload_in, picture)
    return payload if isinstance(payload, Malformed) else text_of(payload)


def _parts(content: Content, context: Context) -> list[Json | None]:
    oid, key_is_right = ins_oid(content.oid), content.matricule.key_is_right
    usable = key_is_right or not context.settings.wrong_key_is_error
    patient = scanned_patient(content, oid, context.fr_core) if oid and usable else None
    return [
        part("matricule", "String", str(content.matricule)),
        part("keyIsRight", "Boolean", key_is_right),
        part("oid", "String", content.oid),
        part("oidIsIns", "Boolean", oid is not None),
        *trait_parts(content.traits),
        {"name": "patient", "resource": patient} if patient else None,
    ]
