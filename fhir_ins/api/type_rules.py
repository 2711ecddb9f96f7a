"""What becomes of a resource that a client writes, by the rules of its type.

A Patient is written by FR Core's and the RNIV's rules; any other resource is judged by the profiles it claims, and may
not carry a matricule.
"""

from starlette.requests import Request

from fhir_ins.api.context import base_url, context_of
from fhir_ins.api.patients import draft, known_patient, without_server_elements, writer
from fhir_ins.api.tasks import is_ours
from fhir_ins.fhir.json import parse
from fhir_ins.fhir.outcome import Unprocessable
from fhir_ins.fhir.references import made_local
from fhir_ins.fhir.views import is_subsetted
from fhir_ins.frcore.carriers import misplaced_elsewhere, without_telling_narrative
from fhir_ins.frcore.elements import Json
from fhir_ins.frcore.known import Known
from fhir_ins.frcore.profiles import FrCore
from fhir_ins.frcore.writes import written
from fhir_ins.ins.identity import Identity
from fhir_ins.security.caller import Caller
from fhir_ins.store.documents import Draft
from fhir_ins.store.versions import Current


def drafted(request: Request, caller: Caller, body: Json, over: Current | None, *, version_known: bool) -> Draft:
    """What is to be stored when a client writes `body`, without its server elements, over what is current.

    `version_known`: the client has said over which version. Raises Unprocessable, Forbidden or PreconditionFailed with
    the place and the remedy.
    """
    context = context_of(request)
    body = made_local(body, base_url(request))
    _refuse_partial(body)
    if body["resourceType"] == "Patient":
        before = _patient_before(over) if over else None
        known = written(body, before, writer(request, caller, version_known=version_known))
        return draft(known, context.fr_core)
    refuse_the_servers_own(body, over)
    if issues := [*misplaced_elsewhere(body), *context.fr_core.faults(body)]:
        raise Unprocessable(issues)
    return plain_draft(without_telling_narrative(body))


def plain_draft(resource: Json) -> Draft:
    """A resource of which everyone reads the same."""
    return Draft(resource, None, None, Identity())


def redrafted(current: Current, fr_core: FrCore) -> Draft | None:
    """What is stored, as it would be written today; None of a deletion."""
    if current.type == "Patient":
        known = known_patient(current)
        return draft(known, fr_core) if known else None
    return plain_draft(without_server_elements(parse(current.body))) if current.body is not None else None


def refuse_the_servers_own(body: Json | None, over: Current | None) -> None:
    """Raise Unprocessable for a Task of a deferred call: the server writes those."""
    before = parse(over.body) if over and over.type == "Task" and over.body else None
    if any(found and is_ours(found) for found in (body, before)):
        raise Unprocessable(
            "A Task of this code tells of a call that the server makes itself, and only the server writes it: delete "
            "it to withdraw the call, or give your own Task another code.",
            "Task.code",
        )


def _refuse_partial(body: Json) -> None:
    """https://hl7.org/fhir/R4/search.html#summary: what was left out of a view must not be lost by writing it back."""
    if is_subsetted(body):
        raise Unprocessable(
            "This is a part of a resource (its tag is SUBSETTED): read the whole one, change that, and send it.",
            f"{body['resourceType']}.meta.tag",
        )


def _patient_before(over: Current) -> Known:
    """What the Patient was; brought back after a deletion, nothing of it but the checks that have ended."""
    return known_patient(over) or Known({"resourceType": "Patient"}, over.identity)
