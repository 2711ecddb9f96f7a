"""Deleting what others refer to: refused, unless the server is set to let it be.

https://hl7.org/fhir/R4/http.html#delete. A reference that is written at that very moment is not seen.
"""

from collections.abc import Sequence

from starlette.requests import Request

from fhir_ins.api.context import context_of
from fhir_ins.api.tasks import CODES
from fhir_ins.fhir.outcome import Conflict
from fhir_ins.security.caller import Caller

DEFERRED_CHECK = "fhir_ins.deleted"  # the key of a request's scope under which a transaction collects what it deletes

_UNSEEN = "resources that the caller may not read"


async def refuse_referenced(request: Request, caller: Caller, deleted: Sequence[tuple[str, str]]) -> None:
    """Raise Conflict naming some of the live resources that refer to what was deleted in this transaction."""
    if context_of(request).settings.delete_referenced:
        return
    if DEFERRED_CHECK in request.scope:  # what refers to it may be deleted by the same transaction
        request.scope[DEFERRED_CHECK].extend(deleted)
        return
    for type_, id_ in deleted:
        found = await context_of(request).resources.referrers(caller, f"{type_}/{id_}", but_tasks_of=CODES)
        if found:
            named = [one for one in found if caller.may_on("r", one.partition("/")[0])] or [_UNSEEN]
            raise Conflict(
                f"{type_}/{id_} is referred to by {', '.join(named)}: delete or change what refers to it first.",
                code="conflict",
            )
