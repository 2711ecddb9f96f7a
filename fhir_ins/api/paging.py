"""Paging cursors: the whole query and where it stands, encrypted, authenticated and bound to its caller.

So a `next` link tells nothing to a log or a proxy, and nobody else can follow it.
"""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.security.caller import Caller

_NONCE = 12


@dataclass(frozen=True, slots=True)
class Position:
    """A search (its applied name and value pairs, `_count` among them) and the last id of the page before."""

    applied: tuple[tuple[str, str], ...]
    after: str


def sealed(position: Position, key: bytes, caller: Caller, type_: str) -> str:
    """The cursor as it stands in a URL."""
    nonce = os.urandom(_NONCE)
    clear = orjson.dumps([position.applied, position.after])
    return urlsafe_b64encode(nonce + AESGCM(key).encrypt(nonce, clear, _bound(caller, type_))).decode().rstrip("=")


def opened(cursor: str, key: bytes, caller: Caller, type_: str) -> Position:
    """The position a cursor holds. Raises BadRequest for any cursor not sealed here for this caller and type."""
    try:
        raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        clear = AESGCM(key).decrypt(raw[:_NONCE], raw[_NONCE:], _bound(caller, type_))
    except (InvalidTag, NotBase64, ValueError) as error:
        raise BadRequest("This _cursor is not one of this search: start again from the first page.") from error
    applied, after = orjson.loads(clear)
    return Position(tuple((name, value) for name, value in applied), after)


def _bound(caller: Caller, type_: str) -> bytes:
    return orjson.dumps([caller.tenant, caller.client, caller.user, type_])
