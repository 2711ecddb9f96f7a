"""Versions as callers may read them, and as a write starts from them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_ins.ins.identity import Identity
from fhir_ins.security.caller import Caller, Right
from fhir_ins.store.database import Document
from fhir_ins.store.identities import identity_of


@dataclass(frozen=True, slots=True)
class Version:
    """One version as a caller may read it; `body` is None when the version is a deletion.

    `tag` is what its ETag says of it; those of stored resources are numbers, counted from 1. `method` is the HTTP verb
    that wrote it.
    """

    type: str
    id: str
    tag: str
    updated: datetime
    body: bytes | None
    method: str = "PUT"

    @property
    def number(self) -> int:
        return int(self.tag)


@dataclass(frozen=True, slots=True)
class Current:
    """A current version as a write starts from it: the fullest of its forms, and the identity record.

    `stored` is its conveyed form as the store has it: by which a write without a new version knows it again.
    """

    type: str
    id: str
    number: int
    updated: datetime
    body: bytes | None
    identity: Identity
    document: Document
    stored: bytes | None


READ = {"type": 1, "id": 1, "version": 1, "updated": 1, "method": 1, "conveyed": 1, "live": 1}
_READ_REFERENCE = {**READ, "reference": 1}
IDENTITY = {"type": 1, "id": 1, "version": 1, "identity": 1}


def projection(caller: Caller) -> dict[str, Any]:
    """The fields that `readable` needs of a current version."""
    return _READ_REFERENCE if caller.may(Right.REFERENCE) else READ


def readable(document: Document, caller: Caller) -> Version:
    """A current version in the form this caller may read."""
    body = document["conveyed"]
    if caller.may(Right.REFERENCE) and document.get("reference"):
        body = document["reference"]
    return Version(
        document["type"],
        document["id"],
        str(document["version"]),
        document["updated"],
        body,
        document["method"],
    )


def readable_past(past: Document, current: Document, caller: Caller) -> Version:
    """A past version: it shows a matricule only if both it and the current one are qualified, and the current identity
    has that matricule, as its own or in its history.
    """
    if past["concealed"] and not caller.may(Right.REFERENCE) and not _still_holds(current, past):
        past = {**past, "conveyed": past["concealed"]}
    return readable(past, caller)


def current_of(document: Document, stored: bytes | None) -> Current:
    """Of a document that is opened, and its conveyed form as it is stored."""
    return Current(
        document["type"],
        document["id"],
        document["version"],
        document["updated"],
        document["reference"] or document["conveyed"],
        identity_of(document["identity"]),
        document,
        stored,
    )


def _still_holds(current: Document, past: Document) -> bool:
    now, then = identity_of(current["identity"]), identity_of(past["identity"])
    if not (now.conveys and now.obtained and then.obtained):
        return False
    return then.obtained.active.matricule in {number.matricule for number in now.obtained.numbers}
