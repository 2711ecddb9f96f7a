"""Signed checkpoints: what the chain of a tenant was at a moment, kept outside the database that holds the chain.

Whoever can change the database can chain anew what he leaves of it, but cannot sign: a checkpoint that names a batch
which is not there, or has another hash, tells. One file a tenant, a line of JSON each, which only ever grows; the
signature is Ed25519 (RFC 8032) over the line's other members. The public key is enough to check it.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The batch `sequence` of a tenant's chain has this hash; `cut`: that one and those before it were retired."""

    tenant: str
    sequence: int
    hash: bytes
    at: str
    cut: bool


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of a file of checkpoints that proves nothing, and why."""

    number: int
    reason: str


class Checkpoints:
    """The directory they are kept in."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def append(self, signing: Ed25519PrivateKey, tenant: str, sequence: int, hash_: bytes, *, cut: bool) -> None:
        """Sign and write one line, durably. Raises OSError."""
        said = {
            "tenant": tenant,
            "sequence": sequence,
            "hash": hash_.hex(),
            "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "cut": cut,
            "key": key_id(signing.public_key()),
        }
        line = orjson.dumps({**said, "signature": signing.sign(_signed(said)).hex()}) + b"\n"
        file = os.open(self._file(tenant), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            os.write(file, line)  # at once, so that processes do not mix their lines
            os.fsync(file)
        finally:
            os.close(file)

    def read(self, tenant: str, trusted: Iterable[Ed25519PublicKey]) -> tuple[list[Checkpoint], list[BadLine]]:
        """All checkpoints of a tenant that one of these keys signed, in the order written, and what is none."""
        keys = {key_id(key): key for key in trusted}
        good: list[Checkpoint] = []
        bad: list[BadLine] = []
        file = self._file(tenant)
        for number, line in enumerate(file.read_bytes().splitlines() if file.exists() else (), start=1):
            found = _checkpoint(line, tenant, keys)
            if isinstance(found, str):
                bad.append(BadLine(number, found))
            else:
                good.append(found)
        return good, bad

    def tenants(self) -> list[str]:
        """Those that have checkpoints."""
        return sorted(file.stem for file in self._directory.glob("*.jsonl"))

    def _file(self, tenant: str) -> Path:
        return self._directory / f"{tenant}.jsonl"


def _checkpoint(line: bytes, tenant: str, keys: dict[str, Ed25519PublicKey]) -> Checkpoint | str:
    """The checkpoint of a line; else why it is none."""
    try:
        said = orjson.loads(line)
        signature = bytes.fromhex(said.pop("signature"))
        key = keys.get(said["key"])
        if key is None:
            return f"it was signed with the key {said['key']}, which is not among those that are trusted"
        key.verify(signature, _signed(said))
        if said["tenant"] != tenant:
            return "it is about another tenant"
        return Checkpoint(tenant, said["sequence"], bytes.fromhex(said["hash"]), said["at"], said["cut"])
    except InvalidSignature:
        return "its signature is not right"
    except (ValueError, KeyError, TypeError, AttributeError):
        return "it is not what was written"


def _signed(said: dict[str, object]) -> bytes:
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)


def key_id(key: Ed25519PublicKey) -> str:
    """The name a signing key goes by: the start of the digest of its public half."""
    return sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def signing_key(file: Path) -> Ed25519PrivateKey:
    """The key in a PEM file. Raises OSError, and ValueError for what is none."""
    try:
        key = load_pem_private_key(file.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise ValueError(_no_key(file)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(_no_key(file))
    return key


def public_keys(files: Sequence[Path]) -> list[Ed25519PublicKey]:
    """The public keys in PEM files, one each. Raises OSError, and ValueError for what is none."""
    found = []
    for file in files:
        try:
            key = load_pem_public_key(file.read_bytes())
        except ValueError as error:
            raise ValueError(f"{file}: not the public half of an Ed25519 key (openssl pkey -pubout).") from error
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError(f"{file}: not the public half of an Ed25519 key (openssl pkey -pubout).")
        found.append(key)
    return found


def write_signing_key(file: Path) -> None:
    """Make a new key, readable to its owner alone. Raises OSError, FileExistsError where there is one."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(pem)


def _no_key(file: Path) -> str:
    return (
        f"FHIR_INS_AUDIT_SIGNING_KEY: {file} is no Ed25519 private key in PEM, without passphrase "
        "(openssl genpkey -algorithm ed25519)."
    )
