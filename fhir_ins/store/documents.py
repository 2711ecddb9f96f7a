"""The document of one version: the ready-made bytes of its forms, its search keys, its identity record."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fhir_ins.fhir.json import serialise
from fhir_ins.fhir.ordering import in_order
from fhir_ins.fhir.search_parameters import NO_KEYS, Keys
from fhir_ins.ins.identity import Identity
from fhir_ins.security.caller import Caller
from fhir_ins.store.database import FIRST_SCHEMA, MIGRATIONS, Document
from fhir_ins.store.identities import identity_document, identity_of
from fhir_ins.store.keys import index_document, place_of

SCHEMA = FIRST_SCHEMA + len(MIGRATIONS)


@dataclass(frozen=True, slots=True)
class Draft:
    """What to write: the form everyone reads, the one without matricule and the reference one where they differ.

    `further` are search keys of parameters that FHIR itself does not define. `accepted`: it is stored already, so that
    it may not be refused for how many its keys are.
    """

    conveyed: dict[str, Any]
    concealed: dict[str, Any] | None
    reference: dict[str, Any] | None
    identity: Identity
    further: Keys = NO_KEYS
    accepted: bool = False


def resource_key(caller: Caller, type_: str, id_: str) -> str:
    """The `_id` of a current version; the tenant leads it."""
    return f"{caller.tenant}/{type_}/{id_}"


def version_document(
    caller: Caller, type_: str, id_: str, draft: Draft | None, before: Document | None, method: str
) -> Document:
    """The document of the version after `before` (None: the first); without draft it says the resource is deleted.

    `method` is the HTTP verb that writes it.
    """
    number = before["version"] + 1 if before else 1
    updated = _later_than(before["updated"] if before else None)

    return {
        "_id": resource_key(caller, type_, id_),
        "tenant": caller.tenant,
        "type": type_,
        "id": id_,
        "version": number,
        "updated": updated,
        "method": method,
        "schema": SCHEMA,
        "live": draft is not None,
        "qualified": draft is not None and draft.identity.conveys,
        **bodies(draft, id_, number, updated),
        "identity": identity_document(
            draft.identity if draft else identity_of(before and before["identity"]).deleted()
        ),
        "ix": search_keys(place_of(caller.tenant, type_), draft) if draft else None,
    }


def search_keys(place: str, draft: Draft) -> dict[str, Any]:
    """The `ix` of a version, what finds it by its forms; `place` is its tenant and type.

    What the client said of when it was written is no key: the document's own `updated` is.
    """
    reference = draft.reference and _undated(draft.reference)
    return index_document(place, _undated(draft.conveyed), reference, draft.further, bounded=not draft.accepted)


def _undated(form: dict[str, Any]) -> dict[str, Any]:
    meta = form.get("meta", {})
    return {**form, "meta": {key: value for key, value in meta.items() if key != "lastUpdated"}} if meta else form


def bodies(draft: Draft | None, id_: str, number: int, updated: datetime) -> dict[str, bytes | None]:
    """The bytes of each form of a version; none of a deletion."""

    def stored(form: dict[str, Any] | None) -> bytes | None:
        return serialise(with_server_elements(form, id_, number, updated)) if form is not None else None

    return {
        "conveyed": stored(draft.conveyed) if draft else None,
        "concealed": stored(draft.concealed) if draft else None,
        "reference": stored(draft.reference) if draft else None,
    }


def _later_than(before: datetime | None) -> datetime:
    """Now, to the millisecond MongoDB keeps; never before the version it follows, whatever the clock does."""
    now = datetime.now(UTC)
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    return max(now, before) if before else now


def with_server_elements(form: dict[str, Any], id_: str, number: int, updated: datetime) -> dict[str, Any]:
    """The form with the server's own id and meta (the client's other meta elements kept), its elements in order."""
    given = {name: value for name, value in form.get("meta", {}).items() if name not in ("versionId", "lastUpdated")}
    meta = {"versionId": str(number), "lastUpdated": _instant(updated), **given}
    return in_order({**form, "id": id_, "meta": meta})


def _instant(moment: datetime) -> str:
    """As FHIR writes it, to the millisecond that MongoDB keeps."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
