"""$ins-identity: GET [base]/Patient/[id]/$ins-identity.

A qualified identity in the forms other systems take, or its datamatrix as a picture (Accept or _format: image/png,
image/svg+xml). profiles/OperationDefinition-ins-identity.json
"""

from base64 import b64encode
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.context import caller_of
from fhir_ins.api.negotiation import Format
from fhir_ins.api.patients import current_patient
from fhir_ins.api.responses import FORMAT, PRIVATE, resource_response
from fhir_ins.api.trait_parts import trait_parts
from fhir_ins.fhir.operations import answer, part
from fhir_ins.fhir.outcome import Unprocessable
from fhir_ins.frcore.beside import internal_identifiers, used_name
from fhir_ins.frcore.elements import Json
from fhir_ins.ins.datamatrix import content_of, payload
from fhir_ins.ins.datamatrix_picture import CAPTION, png, svg
from fhir_ins.ins.identity import Identity
from fhir_ins.ins.malformed import Malformed
from fhir_ins.ins.national_identity import NationalIdentity
from fhir_ins.ins.wire.cda import record_target
from fhir_ins.ins.wire.cx import dmp_cx, pam_cx
from fhir_ins.ins.wire.mssante import citizen_address
from fhir_ins.ins.wire.pid import pid_segment
from fhir_ins.ins.wire.xds import source_patient_info

_DRAWN = {Format.PNG: png, Format.SVG: svg}
_RELIABILITY = "Patient.extension('https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-identity-reliability')"


async def ins_identity(request: Request) -> Response:
    caller = caller_of(request)
    caller.require_on("r", "Patient")
    _, known = await current_patient(request, caller, request.path_params["id"])
    ins = _conveyed(known.identity)
    content = content_of(ins)
    if isinstance(content, Malformed):
        raise Unprocessable(f"The datamatrix cannot be written. {content.reason}", "Patient.name")
    code = payload(content)
    wanted = request.scope[FORMAT]
    if wanted in _DRAWN:
        headers = {**PRIVATE, "X-Content-Type-Options": "nosniff"}
        return Response(_DRAWN[wanted](code), headers=headers, media_type=wanted)
    return resource_response(answer(*_identity_parts(ins), *_wire_parts(ins, known.patient), *_datamatrix_parts(code)))


def _conveyed(identity: Identity) -> NationalIdentity:
    """The INS of an identity that conveys it.

    Raises Unprocessable telling what is missing as far as the status everyone reads tells it (PROV or VALI): whether a
    matricule is kept without being shown makes no difference, to no caller.
    """
    if not identity.conveys or identity.obtained is None:
        if identity.obstacles:
            text = (
                f"This identity is marked {', '.join(sorted(identity.obstacles))}: nothing of it is conveyed while the "
                "mark stands in identityReliability."
            )
        elif identity.check is None:
            text = (
                "This identity is not qualified, so its INS is not conveyed: obtain it with Patient/{id}/$ins-fetch, "
                "and record the check of an identity document (identityStatus VALI)."
            )
        else:
            text = (
                "This identity is not qualified, so no INS is conveyed: a document was checked, but INSi has not "
                "given its INS with the five traits. Ask it with Patient/{id}/$ins-fetch."
            )
        raise Unprocessable(text, _RELIABILITY)
    ins = NationalIdentity.of(identity.obtained.active, identity.obtained.traits)
    if isinstance(ins, Malformed):
        raise Unprocessable(ins.reason, "Patient.identifier")
    return ins


def _identity_parts(ins: NationalIdentity) -> list[Json | None]:
    return [
        part("matricule", "String", str(ins.matricule)),
        part("number", "String", ins.matricule.number),
        part("key", "String", ins.matricule.key),
        part("oid", "String", ins.oid.value),
        *trait_parts(ins.traits),
    ]


def _wire_parts(ins: NationalIdentity, patient: Json) -> list[Json | None]:
    used, local = used_name(patient), internal_identifiers(patient)
    return [
        part("cxPam", "String", pam_cx(ins)),
        part("cxDmp", "String", dmp_cx(ins)),
        part("pid", "String", pid_segment(ins, used=used, local=local)),
        *(part("sourcePatientInfo", "String", value) for value in source_patient_info(ins)),
        part("recordTarget", "String", record_target(ins, used=used, local=local)),
        part("mssante", "String", citizen_address(ins.matricule)),
    ]


def _datamatrix_parts(code: str) -> list[Json | None]:
    picture: dict[str, Any] = {"contentType": Format.PNG, "data": b64encode(png(code)).decode(), "title": CAPTION}
    return [
        part("datamatrix", "Base64Binary", b64encode(code.encode("ascii")).decode()),
        part("picture", "Attachment", picture),
    ]
