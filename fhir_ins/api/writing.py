"""Creating and writing over a resource: what create, update, patch and their conditional forms share."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from fhir_ins.api.auditing import concerned
from fhir_ins.api.conditional import require_version
from fhir_ins.api.context import context_of
from fhir_ins.api.patients import already_held, over_current
from fhir_ins.api.type_rules import drafted
from fhir_ins.fhir.outcome import MethodNotAllowed
from fhir_ins.frcore.elements import Json
from fhir_ins.security.caller import Caller
from fhir_ins.store.resources import AlreadyHeld, Write, new_id
from fhir_ins.store.versions import Current, Version

ASSIGNED = "fhir_ins.assigned_id"  # the key of a request's scope under which a transaction has given an id already


@dataclass(frozen=True, slots=True)
class Wrote:
    """A version just written, or found to be there already; `status` is 201 when it made the resource, or remade it."""

    version: Version
    status: int


async def created(request: Request, caller: Caller, body: Json) -> Version:
    """A new resource under a new id. Raises what the rules of its type refuse, and Conflict."""
    caller.require_on("c", body["resourceType"])
    draft = drafted(request, caller, body, None, version_known=True)
    id_ = request.scope.get(ASSIGNED) or new_id()
    return await _written(request, caller, Write(body["resourceType"], id_, draft))


async def written_over(
    request: Request,
    caller: Caller,
    target: tuple[str, str],
    expected: int | None,
    body_over: Callable[[Current | None], Json],
    method: str = "PUT",
) -> Wrote:
    """The next version of a resource (`target`: its type and id), whose content `body_over` makes of the current one.

    A first version only where updates may create. Raises what the rules of its type refuse, PreconditionFailed and
    Conflict.
    """

    async def attempt() -> Wrote:
        current = await context_of(request).resources.current(caller, *target)
        if current:
            concerned(current)
        body = body_over(current)
        if current is None:
            _require_that_updates_create(request, target[0])
            caller.require_on("c", target[0])
        require_version(expected, current.number if current else 0)
        draft = drafted(request, caller, body, current, version_known=expected is not None)
        version = await _written(request, caller, Write(*target, draft, current, method))
        return Wrote(version, 201 if current is None or current.body is None else 200)

    return await over_current(attempt)


async def _written(request: Request, caller: Caller, write: Write) -> Version:
    try:
        return await context_of(request).resources.write(caller, write)
    except AlreadyHeld as error:
        raise already_held(error) from error


def _require_that_updates_create(request: Request, type_: str) -> None:
    if not context_of(request).settings.update_create:
        raise MethodNotAllowed(
            f"There is no such {type_}, and ids are given by this server: create it with POST [base]/{type_}.",
            Allow="GET, HEAD, DELETE",
        )
