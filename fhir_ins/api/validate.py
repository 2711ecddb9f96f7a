"""$validate: POST|GET [base]/[type]/$validate and [base]/[type]/[id]/$validate.

https://hl7.org/fhir/R4/resource-operation-validate.html. The answer is an OperationOutcome with status 200, whatever
is wrong with the resource: another status means that the question itself could not be read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.auditing import disclosed
from fhir_ins.api.body import bounded_body, parsed
from fhir_ins.api.context import caller_of, context_of, source_of
from fhir_ins.api.patients import gone, without_server_elements
from fhir_ins.api.responses import resource_response
from fhir_ins.api.type_rules import drafted
from fhir_ins.fhir.json import parse
from fhir_ins.fhir.operations import Parameter, arguments
from fhir_ins.fhir.outcome import BadRequest, FhirError, Issue, NotFound, operation_outcome
from fhir_ins.fhir.structure import validate as base_issues
from fhir_ins.frcore.writes import judged as as_judged
from fhir_ins.security.caller import LETTERS, Caller

# http://hl7.org/fhir/OperationDefinition/Resource-validate
_PARAMETERS = {
    "resource": Parameter("resource", "Resource", 0, 1, {}),
    "mode": Parameter("mode", "code", 0, 1, {}),
    "profile": Parameter("profile", "uri", 0, 1, {}),
}
_QUERY = frozenset({"mode", "profile", "_format", "_pretty"})
_MODES = ("create", "update", "delete", "profile")
_STAND_IN = {"resourceType": "Basic", "code": {"text": "the resource, judged by itself"}}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be judged (None: what is stored), as what (a mode), against which profile (None: those claimed)."""

    resource: dict[str, Any] | None
    mode: str | None
    profile: str | None


async def validate(request: Request) -> Response:
    """Type level: the resource comes with the request."""
    asked = await _asked(request)
    if asked.mode == "delete":
        text = "At type level there is nothing to delete: call [type]/[id]/$validate?mode=delete."
        raise BadRequest(text, "Parameters.parameter", code="value")
    if asked.resource is None:
        raise BadRequest("Send the resource to validate, as the body or in Parameters.", code="required")
    return await _answer(request, asked)


async def validate_instance(request: Request) -> Response:
    """Instance level: the resource that comes with the request, else the stored one as the caller reads it."""
    asked = await _asked(request)
    type_, id_ = request.path_params["type"], request.path_params["id"]
    stored = await source_of(request, type_).read(caller_of(request), type_, id_)
    if stored.body is None:
        raise gone(stored.updated)
    disclosed(stored)
    if asked.resource is None:
        asked = replace(asked, resource=parse(stored.body))
    return await _answer(request, asked)


async def _asked(request: Request) -> Asked:
    """The question, of a caller who may read. Raises what says that it cannot be read."""
    caller_of(request).require_on("r", request.path_params["type"])
    query = _query(request)
    given = await _body(request) if request.method == "POST" else {}
    for name in ("mode", "profile"):
        if name in given and query.get(name, given[name]) != given[name]:
            raise BadRequest(f"The query and the body differ in {name}: give it once.", "Parameters.parameter")
    mode, profile = (given.get(name, query.get(name)) for name in ("mode", "profile"))
    if mode not in (None, *_MODES):
        raise BadRequest(f"The mode is one of {', '.join(_MODES)}.", "Parameters.parameter", code="code-invalid")
    if profile is not None and not context_of(request).fr_core.profiles.knows(profile):
        text = "This profile is not loaded here, so nothing can be judged against it: see FHIR_INS_IG_PACKAGES."
        raise BadRequest(text, "Parameters.parameter", code="not-supported")
    if mode == "profile" and profile is None:
        raise BadRequest("The mode profile needs the parameter profile.", "Parameters.parameter", code="required")
    return Asked(given.get("resource"), mode, profile)


def _query(request: Request) -> dict[str, str]:
    query = request.query_params
    for name in query:
        if name not in _QUERY or len(query.getlist(name)) > 1:
            raise BadRequest("The query of $validate takes mode, profile, _format and _pretty, each once.")
    return dict(query)


async def _body(request: Request) -> dict[str, Any]:
    """The parameters in the body, by name: of Parameters, or a bare resource."""
    body = await bounded_body(request)
    if not body:
        return {}
    content = parsed(request, body)
    if content.get("resourceType") != "Parameters":
        return {"resource": content}
    envelope, resource = _apart(content)
    if issues := base_issues(envelope):
        raise BadRequest(issues)
    given = {name: found[0].value for name, found in arguments(envelope, _PARAMETERS).items() if found}
    return {**given, "resource": resource} if "resource" in given else given


def _apart(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """The Parameters with a stand-in for the resource, which may be anything but well-formed; and the resource.

    A profile may come as a canonical too, the type that later releases of the operation give it.
    """
    resource = None
    envelope = []
    items = parameters.get("parameter")
    for item in items if isinstance(items, list) else ():
        plain = dict(item) if isinstance(item, dict) else item
        if isinstance(plain, dict) and plain.get("name") == "resource" and "resource" in plain:
            resource, plain["resource"] = plain["resource"], _STAND_IN
        if isinstance(plain, dict) and plain.get("name") == "profile" and "valueCanonical" in plain:
            plain["valueUri"] = plain.pop("valueCanonical")
        envelope.append(plain)
    return {**parameters, "parameter": envelope} if isinstance(items, list) else dict(parameters), resource


async def _answer(request: Request, asked: Asked) -> Response:
    issues = [] if asked.mode == "delete" else _judged(request, asked)
    if asked.mode in ("create", "update", "delete"):
        issues += await _refusals(request, asked, sound=not any(issue.severity == "error" for issue in issues))
    if asked.mode in ("create", "update"):  # what no Patient of its kind can help is no reason to refuse one
        issues = [replace(issue, severity="warning") if issue.published else issue for issue in issues]
    well = Issue("informational", "All is well: nothing was found to complain of.", severity="information")
    return resource_response(operation_outcome(issues or [well]))


def _judged(request: Request, asked: Asked) -> list[Issue]:
    """Base R4; when that holds, the profile asked for or those claimed, and the extensions."""
    profiles = context_of(request).fr_core.profiles
    resource, type_ = asked.resource or {}, request.path_params["type"]
    if issues := base_issues(resource):
        return [
            *issues,
            Issue("informational", "Profiles are judged once these are corrected.", severity="information"),
        ]
    if resource["resourceType"] != type_:
        return [Issue("structure", f"This address validates {type_}: send one, or use the address of its type.")]
    claimed = resource.get("meta", {}).get("profile", ())
    judged = (
        [asked.profile]
        if asked.profile
        else [canonical for canonical in claimed if canonical and profiles.knows(canonical)]
    )
    unknown = [
        Issue("not-found", "This profile is not loaded here, so it was not judged.", place, "warning")
        for index, canonical in enumerate(claimed)
        if canonical
        and (place := f"{type_}.meta.profile[{index}]")
        and not profiles.knows(canonical)
        and not asked.profile
    ]
    if type_ == "Patient" and asked.mode in ("create", "update"):
        resource = as_judged(resource, context_of(request).fr_core)
    return [*profiles.judge(resource, *judged), *unknown]


async def _refusals(request: Request, asked: Asked, *, sound: bool) -> list[Issue]:
    """Why this server would not take the interaction of this mode from this caller, beyond what is wrong in itself."""
    caller, type_ = caller_of(request), request.path_params["type"]
    if asked.mode not in context_of(request).served.of(type_):
        return [Issue("not-supported", f"This server does not offer {asked.mode} of {type_}: see [base]/metadata.")]
    if not caller.may_on(LETTERS[asked.mode], type_):
        needed = f"{type_}.{LETTERS[asked.mode]}"
        text = f"This needs the scope system/{needed} or user/{needed}, which the caller does not hold."
        return [Issue("forbidden", text)]
    if asked.mode == "delete" or not sound:
        return []
    try:
        await _try_to_write(request, caller, asked)
    except FhirError as error:
        return list(error.issues)
    return []


async def _try_to_write(request: Request, caller: Caller, asked: Asked) -> None:
    """Raise what a create or an update of this resource would."""
    assert asked.resource is not None  # noqa: S101 - only delete has none
    body = without_server_elements(asked.resource)
    if asked.mode == "create":
        drafted(request, caller, body, None, version_known=True)
        return
    type_ = body["resourceType"]
    id_ = request.path_params.get("id", asked.resource.get("id"))
    if id_ is None or asked.resource.get("id") != id_:
        raise BadRequest("An update names the id of the resource: set id to it.", f"{type_}.id", code="value")
    current = await context_of(request).resources.current(caller, type_, id_)
    if current is None:
        raise NotFound(f"There is no such {type_}: check its id, or search for it.")
    if current.body is None:
        raise gone(current.updated)
    drafted(request, caller, body, current, version_known="if-match" in request.headers)
