"""What of a store is encrypted: bodies and identities by AES-256-GCM, all that searches look for by keyed HMACs.

A store is clear or sealed, as a whole. Source: NIST SP 800-38D (a nonce of 96 random bits for each message, so that one
key seals 2^32 messages at most). What is sealed is bound to its tenant, type, id, version and form: no body passes for
another. Its first two bytes are the scheme and the generation of the key.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Protocol

import bson
import structlog
from bson.codec_options import CodecOptions
from cryptography.exceptions import InvalidTag

from fhir_ins.fhir.outcome import FhirError, Unavailable
from fhir_ins.security.keyring import NONCE_BYTES
from fhir_ins.store.keyed_places import KeyedPlace
from fhir_ins.store.keyed_search import keyed_index
from fhir_ins.store.places import Place
from fhir_ins.store.tenant_keys import TenantKeys, TenantKeyStore

Document = dict[str, Any]
FORMS = ("conveyed", "concealed", "reference")
SEALED = (*FORMS, "identity")
_SCHEME = 1
_HEAD = 2
_BSON: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC)
_log = structlog.get_logger()


class Altered(FhirError):
    """What is stored is not what was sealed there."""

    status = 500
    code = "exception"


class Seal(Protocol):
    """How one tenant's documents are stored. `keyed`: search keys are HMACs, which cannot be read back."""

    keyed: bool

    def sealed(self, document: Document) -> Document:
        """The document as it is stored."""

    def opened(self, document: Document) -> Document:
        """The document as it was before. Raises Altered, or UnknownGeneration."""

    def index(self, type_: str, ix: Document) -> Document:
        """Search keys as they are stored."""

    def held(self, key: str) -> str:
        """The `_id` of what is held once only, of such a key."""

    def reference(self, reference: str) -> Any:
        """A local reference, Type/id, as it stands in `ix.ref`."""

    def place(self, type_: str, *, reference: bool) -> Place:
        """Where a search looks; `reference`: by the reference form too."""


class UnknownGeneration(Exception):
    """A document was sealed by a key that is not known yet."""


@dataclass(frozen=True, slots=True)
class Clear:
    """The documents of a store that is not encrypted."""

    tenant: str
    keyed = False

    def sealed(self, document: Document) -> Document:
        return document

    def opened(self, document: Document) -> Document:
        return document

    def index(self, type_: str, ix: Document) -> Document:  # noqa: ARG002 - the protocol's
        return ix

    def held(self, key: str) -> str:
        return f"{self.tenant}/{key}"

    def reference(self, reference: str) -> str:
        return reference

    def place(self, type_: str, *, reference: bool) -> Place:
        return Place(self.tenant, type_, reference)


@dataclass(frozen=True, slots=True)
class Sealed:
    """The documents of an encrypted store."""

    tenant: str
    keys: TenantKeys
    keyed = True

    def sealed(self, document: Document) -> Document:
        keys = self.keys
        stored = {**document, "sealed": keys.generation}
        for name in SEALED:
            if (value := document.get(name)) is not None:
                clear = bson.encode(value) if name == "identity" else value
                nonce = os.urandom(NONCE_BYTES)
                text = keys.ciphers[keys.generation].encrypt(nonce, clear, self._bound(document, name))
                stored[name] = bytes((_SCHEME, keys.generation)) + nonce + text
        if document.get("ix"):
            stored["ix"] = self.index(document["type"], document["ix"])
        return stored

    def opened(self, document: Document) -> Document:
        found = document.copy()
        for name in SEALED:
            if (value := found.get(name)) is not None:
                clear = self._opened(value, document, name)
                found[name] = bson.decode(clear, _BSON) if name == "identity" else clear
        return found

    def _opened(self, value: Any, document: Document, name: str) -> bytes:
        if not isinstance(value, bytes) or value[:1] != bytes((_SCHEME,)):
            raise _altered(document)
        cipher = self.keys.ciphers.get(value[1])
        if cipher is None:
            raise UnknownGeneration
        try:
            start = _HEAD + NONCE_BYTES
            return cipher.decrypt(value[_HEAD:start], value[start:], self._bound(document, name))
        except (InvalidTag, ValueError) as error:
            raise _altered(document) from error

    def _bound(self, document: Document, name: str) -> bytes:
        return f"{self.tenant}/{document['type']}/{document['id']}/{document['version']}/{name}".encode()

    def index(self, type_: str, ix: Document) -> Document:
        return keyed_index(self.tenant, type_, ix, self.keys.keyed)

    def held(self, key: str) -> str:
        return f"{self.tenant}/{self.keys.keyed(f'held|{key}').hex()}"

    def reference(self, reference: str) -> bytes:
        return self.keys.keyed(f"ref|{reference}")

    def place(self, type_: str, *, reference: bool) -> Place:
        return KeyedPlace(self.tenant, type_, reference, self.keys.keyed)


def _altered(document: Document) -> Altered:
    where = {name: document[name] for name in ("type", "id", "version")}
    _log.error("sealed_version_altered", **where)
    return Altered("What is stored here is not what was written: tell whoever runs this server.")


class Seals:
    """The seals of all tenants of a store; without keys it is a clear one."""

    def __init__(self, keys: TenantKeyStore | None) -> None:
        self.keys = keys

    async def check(self) -> None:
        """That the keys are there which open the store. Raises KeyFault or Unavailable."""
        if self.keys:
            await self.keys.check()

    async def of(self, tenant: str) -> Seal:
        """Raises Unavailable where the tenant's keys cannot be had."""
        return Sealed(tenant, await self.keys.of(tenant)) if self.keys else Clear(tenant)

    async def opened(self, tenant: str, documents: Sequence[Document]) -> Sequence[Document]:
        """The documents as they were before; with keys that are newer than those known, where some are sealed so."""
        if self.keys is None:
            return documents
        keys = await self.keys.of(tenant)
        try:
            seal = Sealed(tenant, keys)
            return [seal.opened(document) for document in documents]
        except UnknownGeneration:
            seal = Sealed(tenant, await self.keys.refreshed(tenant, keys))
        try:
            return [seal.opened(document) for document in documents]
        except UnknownGeneration as error:
            _log.error("data_key_missing", tenant=tenant)
            text = "The key of what is stored here is missing in the store: tell whoever runs this server."
            raise Unavailable(text, code="exception") from error
