"""The keys of the audit trail: for each tenant, of one secret, one that seals, one of tokens and one of query values.

Source: RFC 5869 (HKDF), NIST SP 800-38D (AES-GCM), RFC 5297 (AES-SIV). What is sealed is bound to its tenant and to its
place in the chain; a token tells the same patient or agent again, to whoever holds the key.
"""

import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fhir_ins.security.sealing_keys import keys_in, name_of

CONCEALED = "sealed~"  # what a value starts with in place of which its sealed form stands
TOKEN_BYTES = 12

_NONCE_BYTES = 12
_PURPOSE = b"fhir-ins audit"
_SIV_BYTES = 64


class NotOpened(Exception):
    """It was sealed with a key that is not known here, or it is not what was sealed; the text says which."""


@dataclass(frozen=True, slots=True, repr=False)
class _TenantKeys:
    seal: AESGCM
    token: bytes
    value: AESSIV


class AuditKeys:
    """The key that seals, and those that sealed earlier, each by a name derived from it."""

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        self._keys = keys
        self.current = current
        self._of = lru_cache(maxsize=1024)(self._derived)

    @classmethod
    def parse(cls, current: str, former: str = "") -> Self | None:
        """Keys written as base64 of 32 bytes, the former ones comma-separated; None without a current one.

        Raises ValueError, which does not quote them.
        """
        settings = {"setting": "FHIR_INS_AUDIT_KEY", "former_setting": "FHIR_INS_AUDIT_FORMER_KEYS"}
        keys = keys_in(current, former, **settings, of="the audit trail")
        if not keys:
            return None
        names = [name_of(key, _PURPOSE) for key in keys]
        return cls(dict(zip(names, keys, strict=True)), names[0])

    def __repr__(self) -> str:
        return f"AuditKeys({self.current})"

    def seal(self, tenant: str, sequence: int, batch: bytes) -> bytes:
        """The batch as only a holder of the current key reads it, at this place of the tenant's chain."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._of(self.current, tenant).seal.encrypt(nonce, batch, _bound(tenant, sequence))

    def open(self, key: str, tenant: str, sequence: int, sealed: bytes) -> bytes:
        """Raises NotOpened."""
        if key not in self._keys:
            text = f"it was sealed with the key {key}, which is not configured (FHIR_INS_AUDIT_FORMER_KEYS)"
            raise NotOpened(text)
        try:
            nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            return self._of(key, tenant).seal.decrypt(nonce, rest, _bound(tenant, sequence))
        except (InvalidTag, ValueError) as error:
            raise NotOpened("it is not what was sealed") from error

    def token(self, tenant: str, kind: str, value: str, key: str | None = None) -> bytes:
        """What stands for a patient or an agent in the database, the same each time under one key."""
        secret = self._of(key or self.current, tenant).token
        return hmac.digest(secret, f"{kind}|{value}".encode(), "sha256")[:TOKEN_BYTES]

    def tokens(self, tenant: str, kind: str, value: str) -> list[bytes]:
        """The same under each key that is known: what batches of any age are found by."""
        return [self.token(tenant, kind, value, key) for key in self._keys]

    def concealed(self, key: str, tenant: str, place: bytes, value: str) -> str:
        """The value of an event, sealed with the key of its batch: the same at each reading of it, and nowhere else.

        `place` tells the value from all others: 16 bytes.
        """
        sealed = self._of(key, tenant).value.encrypt(value.encode("utf-8", "surrogatepass"), [place])
        return CONCEALED + urlsafe_b64encode(place + sealed).decode().rstrip("=")

    def revealed(self, tenant: str, concealed: str) -> str:
        """What a concealed value stands for. Raises NotOpened."""
        text = concealed.removeprefix(CONCEALED)
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError as error:
            raise NotOpened("it is no sealed value") from error
        for key in self._keys:
            try:
                clear = self._of(key, tenant).value.decrypt(raw[16:], [raw[:16]])
            except (InvalidTag, ValueError):
                continue
            return clear.decode("utf-8", "surrogatepass")
        raise NotOpened("no key that is configured opens it, for this tenant")

    def _derived(self, name: str, tenant: str) -> _TenantKeys:
        def derived(purpose: bytes, length: int) -> bytes:
            info = b"%b %b %b" % (_PURPOSE, purpose, tenant.encode())
            return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(self._keys[name])

        return _TenantKeys(AESGCM(derived(b"seal", 32)), derived(b"token", 32), AESSIV(derived(b"value", _SIV_BYTES)))


def _bound(tenant: str, sequence: int) -> bytes:
    return orjson.dumps([tenant, sequence])
