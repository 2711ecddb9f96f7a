"""Between the Patient's rules (`frcore`) and its storage: what is stored as what is known, and back."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from random import random
from typing import Any, TypeVar

from starlette.requests import Request

from fhir_ins.api.auditing import disclosed
from fhir_ins.api.context import context_of, latest_day
from fhir_ins.fhir.json import parse
from fhir_ins.fhir.outcome import Conflict, Gone, NotFound
from fhir_ins.frcore.forms import bare, forms
from fhir_ins.frcore.known import Known, Writer
from fhir_ins.frcore.profiles import FrCore
from fhir_ins.frcore.search_parameters import further_keys
from fhir_ins.security.caller import Caller, Right
from fhir_ins.store.documents import Draft
from fhir_ins.store.resources import AlreadyHeld, VersionChanged
from fhir_ins.store.versions import Current

T = TypeVar("T")

_ATTEMPTS = 20
_SERVER_META = frozenset({"versionId", "lastUpdated"})


def known_patient(current: Current) -> Known | None:
    """The stored Patient, or None when its current version is a deletion."""
    if current.body is None:
        return None
    return Known(bare(without_server_elements(parse(current.body))), current.identity)


def without_server_elements(resource: dict[str, Any]) -> dict[str, Any]:
    """The resource less its id and what the server sets in meta."""
    rest = {name: value for name, value in resource.items() if name not in ("id", "meta")}
    meta = {name: value for name, value in resource.get("meta", {}).items() if name not in _SERVER_META}
    return {**rest, "meta": meta} if meta else rest


def draft(known: Known, fr_core: FrCore) -> Draft:
    """The Patient in all its forms, ready to be stored."""
    found = forms(known.patient, known.identity, fr_core)
    further = further_keys(found.conveyed, known.identity)
    return Draft(found.conveyed, found.concealed, found.reference, known.identity, further)


def writer(request: Request, caller: Caller, *, version_known: bool = True) -> Writer:
    """Who writes: on a create there is no version to know, on an update If-Match tells it."""
    context = context_of(request)
    return Writer(
        actor=caller.actor,
        today=latest_day(),
        may_qualify=caller.may(Right.QUALIFY),
        is_reference=caller.may(Right.REFERENCE),
        is_trusted=caller.may(Right.TRUSTED_SOURCE),
        version_known=version_known,
        fr_core=context.fr_core,
        wrong_key_is_error=context.settings.wrong_key_is_error,
    )


async def current_patient(request: Request, caller: Caller, id_: str) -> tuple[Current, Known]:
    """The current version of a Patient. Raises NotFound or Gone."""
    current = await context_of(request).resources.current(caller, "Patient", id_)
    if current is None:
        raise NotFound("There is no such Patient: check its id, or search for it.")
    known = known_patient(current)
    if known is None:
        raise gone(current.updated)
    disclosed(current)
    return current, known


def gone(updated: datetime) -> Gone:
    return Gone(f"This resource was deleted on {updated.date().isoformat()}; its past versions can still be read.")


def already_held(error: AlreadyHeld) -> Conflict:
    """Two records, one person: which one is the other, without saying the matricule."""
    holder = f"Patient/{error.holder}" if error.holder else "Another Patient"
    return Conflict(
        f"{holder} already has the INS of this identity in this structure. Use that Patient, or merge "
        "the two; one confirmed INS belongs to one Patient.",
        code="duplicate",
    )


async def over_current(attempt: Callable[[], Awaitable[T]]) -> T:
    """What `attempt` answers, made again when another request wrote first: each attempt starts from what is current."""
    for count in range(_ATTEMPTS):
        with suppress(VersionChanged):
            return await attempt()
        await asyncio.sleep(random() * 0.01 * (count + 1))  # noqa: S311 - they only spread
    raise changed_meanwhile()


def changed_meanwhile() -> Conflict:
    return Conflict("The Patient was changed by another request meanwhile: read it again and repeat.")
