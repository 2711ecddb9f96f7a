"""FHIR delete: DELETE [base]/[type]/[id], and DELETE [base]/[type]?[condition].

https://hl7.org/fhir/R4/http.html#delete. Deleting what does not exist, or no longer does, is no error. With the Task of
a deferred call goes the call, at any time: what INSi then answers is written nowhere.
"""

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.auditing import disclosed
from fhir_ins.api.conditional import expected_version, require_version
from fhir_ins.api.conditions import condition, matches, one_of
from fhir_ins.api.context import caller_of, context_of, part_of, type_of
from fhir_ins.api.patients import over_current
from fhir_ins.api.prefer import preference
from fhir_ins.api.references import refuse_referenced
from fhir_ins.api.responses import PRIVATE, resource_response
from fhir_ins.fhir.outcome import Issue, PreconditionFailed, operation_outcome
from fhir_ins.security.caller import Caller
from fhir_ins.store.resources import Resources, Write

MOST_DELETED = 200


async def delete(request: Request) -> Response:
    caller = caller_of(request)
    expected = expected_version(request)
    target = (type_of(request), request.path_params["id"])

    async def work(resources: Resources) -> int | None:
        return await _deleted(part_of(request, resources), caller, target, expected)

    number = await over_current(lambda: context_of(request).resources.atomically(work))
    return _response(request, {"ETag": f'W/"{number}"'} if number else {}, 1 if number else 0)


async def conditional_delete(request: Request) -> Response:
    """https://hl7.org/fhir/R4/http.html#3.1.0.7.1"""
    caller, type_ = caller_of(request), type_of(request)
    caller.require_on("s", type_)  # the answer tells whether something matches
    expected = expected_version(request)
    asked = condition(request, caller, type_, request.url.query)
    several = context_of(request).settings.delete_several

    async def work(resources: Resources) -> int:
        inside = part_of(request, resources)
        found = await matches(inside, caller, asked, MOST_DELETED + 1 if several else 2)
        if len(found) > MOST_DELETED:
            raise PreconditionFailed(
                f"More than {MOST_DELETED} resources match: nothing was deleted. Narrow the condition.",
                code="too-costly",
                message="DELETE_MULTIPLE_MATCHES",
            )
        if not several:
            one_of(found)
        for version in found:
            await _deleted(inside, caller, (type_, version.id), expected)
        return len(found)

    return _response(request, {}, await context_of(request).resources.atomically(work))


async def _deleted(request: Request, caller: Caller, target: tuple[str, str], expected: int | None) -> int | None:
    """The number of the version that says it is deleted; None when there never was one."""
    context = context_of(request)
    current = await context.resources.current(caller, *target)
    if current is None:
        return None
    require_version(expected, current.number)
    if current.body is None:
        return current.number
    with_it = [context.deferred.removed(caller.tenant, current.id)] if current.type == "Task" else []
    write = Write(current.type, current.id, None, current)
    (version,) = await context.resources.together(caller, [write], *with_it)
    await refuse_referenced(request, caller, [target])
    disclosed(current)
    return version.number


def _response(request: Request, headers: dict[str, str], count: int) -> Response:
    if preference(request, "return") == "OperationOutcome":
        text = f"{count} resource{'' if count == 1 else 's'} deleted."
        return resource_response(
            operation_outcome([Issue("informational", text, severity="information")]), headers=headers
        )
    return Response(status_code=204, headers={**PRIVATE, **headers})
