"""Master keys: what the keys of a store are wrapped by, and what never stands in it.

Envelope encryption: every tenant has random keys of its own, kept beside its data wrapped by the master key, which
comes from the environment, a file or a key management service. Source: NIST SP 800-57 part 1, 6.2.2 (key wrapping).
"""

import base64
import binascii
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import NamedTuple, Protocol, Self

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from fhir_ins.fhir.outcome import Unavailable

KEY_BYTES = 32
NONCE_BYTES = 12
_WHILE_AWAY = "30"  # seconds
_log = structlog.get_logger()


class MasterKey(Protocol):
    """Wraps the keys of a store; a key management service is one too. `name` tells it from others, and nothing of it.

    What `wrap` gives, `unwrap` takes back, after years too; both may raise anything where they cannot.
    """

    name: str

    async def wrap(self, key: bytes) -> bytes: ...

    async def unwrap(self, wrapped: bytes) -> bytes: ...


class Wrapped(NamedTuple):
    """A key as it is stored, and the name of the master key that opens it."""

    master: str
    wrapped: bytes


class KeyFault(Exception):
    """A key of the store cannot be had with the master keys that are configured; the text says what to do."""


class LocalMasterKey:
    """A master key that this process holds: AES-256-GCM, a nonce of 96 random bits each time."""

    def __init__(self, key: bytes) -> None:
        name = HMAC(key, SHA256())
        name.update(b"fhir-ins master key")
        self.name = name.finalize()[:8].hex()
        self._cipher = AESGCM(key)

    @classmethod
    def parse(cls, text: str, setting: str) -> Self:
        """A key in base64. Raises ValueError, which does not quote it."""
        try:
            key = base64.b64decode(text.strip(), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != KEY_BYTES:
            raise ValueError(
                f"{setting}: a master key is {KEY_BYTES} random bytes in base64 (openssl rand -base64 32)."
            )
        return cls(key)

    async def wrap(self, key: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, key, None)

    async def unwrap(self, wrapped: bytes) -> bytes:
        return self._cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], None)


@dataclass(frozen=True, slots=True, repr=False)
class Keyring:
    """The master key that wraps, and the others that unwrap, by their names."""

    current: MasterKey
    by_name: Mapping[str, MasterKey]

    @classmethod
    def of(cls, current: MasterKey, others: Iterable[MasterKey] = ()) -> Self:
        return cls(current, {master.name: master for master in (*others, current)})

    def __repr__(self) -> str:
        return f"Keyring({self.current.name})"

    async def wrap(self, use: str, key: bytes) -> Wrapped:
        """The key for storing; `use` says of which tenant and for what it is, so that none passes for another."""
        try:
            return Wrapped(self.current.name, await self.current.wrap(_bound(use) + key))
        except Exception as error:  # whatever a key management service raises
            raise _away(error) from error

    async def unwrap(self, use: str, found: Wrapped) -> bytes:
        """The key again. Raises KeyFault, or Unavailable where a key management service does not answer."""
        master = self.by_name.get(found.master)
        if master is None:
            raise KeyFault(
                f"The keys of this store are wrapped by the master key {found.master}, which is not configured: set "
                "FHIR_INS_MASTER_KEY to it, or add it to FHIR_INS_FORMER_MASTER_KEYS."
            )
        try:
            bound, key = (opened := await master.unwrap(found.wrapped))[:-KEY_BYTES], opened[-KEY_BYTES:]
        except InvalidTag:
            bound = key = b""
        except Exception as error:  # whatever a key management service raises
            raise _away(error) from error
        if bound != _bound(use):
            raise KeyFault(f"The key {use} is not what was stored: restore the collection tenant_keys from a backup.")
        return key


def _bound(use: str) -> bytes:
    return f"fhir-ins {use}\n".encode()


def _away(error: Exception) -> Unavailable:
    _log.error("key_service_unavailable", error=type(error).__name__)
    return Unavailable(
        "The key service does not answer, so that nothing can be opened: try again later.", Retry_After=_WHILE_AWAY
    )


def load_kms(path: str) -> MasterKey:
    """Call the factory that `package.module:factory` names; raises ValueError, naming the setting's mistake."""
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        raise ValueError(f"{path} is not of the form package.module:factory.")
    try:
        factory: Callable[[], MasterKey] = getattr(import_module(module), name)
    except ImportError as error:
        raise ValueError(f"{path} cannot be imported: {error}.") from None
    except AttributeError:
        raise ValueError(f"The module {module} has no {name}.") from None
    service = factory()
    named = bool(getattr(service, "name", ""))
    if not (named and all(callable(getattr(service, method, None)) for method in ("wrap", "unwrap"))):
        raise ValueError(f"What {path} makes has no name, or no methods wrap(key) and unwrap(wrapped).")
    return service
