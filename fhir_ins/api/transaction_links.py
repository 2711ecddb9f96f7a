"""References between the entries of a transaction, and references by a condition, made into addresses of this server.

https://hl7.org/fhir/R4/http.html#trules, https://hl7.org/fhir/R4/bundle.html#references
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from starlette.requests import Request

from fhir_ins.api.conditions import condition, matches, one_of
from fhir_ins.api.context import context_of
from fhir_ins.api.entries import Entry
from fhir_ins.fhir.links import relinked
from fhir_ins.fhir.outcome import BadRequest, FhirError, PreconditionFailed, placed
from fhir_ins.fhir.structure import validate
from fhir_ins.security.caller import Caller

_BY_CONDITION = re.compile(r"(?P<type>[A-Z][A-Za-z]+)\?(?P<query>.+)")
_RESTFUL = re.compile(r"(?P<base>https?://.+/)(?P<target>[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})")


async def with_links(
    request: Request, caller: Caller, entries: Sequence[Entry], targets: Sequence[str | None]
) -> list[Entry]:
    """The entries with what their resources refer to replaced; `targets` are the addresses each is about.

    Raises BadRequest for a resource that breaks base R4, and PreconditionFailed for a condition that is not matched by
    one resource.
    """
    known = {
        entry.full_url: target for entry, target in zip(entries, targets, strict=True) if entry.full_url and target
    }
    made: list[Entry] = []
    for entry in entries:
        if entry.resource is None or entry.method == "PATCH":
            made.append(entry)
            continue
        if issues := validate(entry.resource, transaction=True):
            root = str(entry.resource.get("resourceType", ""))
            raise BadRequest([placed(issue, f"{entry.place}.resource", root) for issue in issues])
        conditions = await _conditions(request, caller, entry)
        made.append(replace(entry, resource=relinked(entry.resource, _links(entry, known, conditions).get_or_same)))
    return made


class _Links:
    """What each address in one entry becomes."""

    def __init__(self, base: str, known: Mapping[str, str], conditions: Mapping[str, str]) -> None:
        self._base = base
        self._known = known
        self._conditions = conditions

    def get_or_same(self, address: str) -> str:
        plain, mark, fragment = address.partition("#")
        found = self._known.get(plain) or self._known.get(self._base + plain) or self._conditions.get(address)
        return f"{found}{mark}{fragment}" if found else address


def _links(entry: Entry, known: Mapping[str, str], conditions: Mapping[str, str]) -> _Links:
    """A relative reference is one to the server that the entry's own fullUrl names."""
    own = _RESTFUL.fullmatch(entry.full_url or "")
    return _Links(own["base"] if own else "\0", known, conditions)


async def _conditions(request: Request, caller: Caller, entry: Entry) -> dict[str, str]:
    """The references by a condition in an entry, and what each of them is."""
    assert entry.resource is not None  # noqa: S101 - others have nothing to refer by
    asked: set[str] = set()

    def note(address: str) -> str:
        if _BY_CONDITION.fullmatch(address):
            asked.add(address)
        return address

    relinked(entry.resource, note)
    return {address: await _matched(request, caller, entry, address) for address in sorted(asked)}


async def _matched(request: Request, caller: Caller, entry: Entry, address: str) -> str:
    parts = _BY_CONDITION.fullmatch(address)
    assert parts is not None  # noqa: S101 - noted for it
    type_ = parts["type"]
    try:
        if not context_of(request).served.of(type_):
            raise BadRequest("A reference by a condition names a type of this server: see [base]/metadata.")
        caller.require_on("s", type_)
        found = one_of(await matches(request, caller, condition(request, caller, type_, parts["query"])))
        if found is None:
            raise PreconditionFailed(
                f"No {type_} matches the condition of a reference: create it first.", message="MSG_NO_MATCH"
            )
    except FhirError as error:
        error.issues = tuple(placed(issue, f"{entry.place}.resource", "") for issue in error.issues)
        raise
    return f"{type_}/{found.id}"
