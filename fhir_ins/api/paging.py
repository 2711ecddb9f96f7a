"""Paging cursors: the whole query and where it stands, encrypted, authenticated and bound to its caller, for a day.

So a `next` link tells nothing to a log or a proxy, and nobody else can follow it.
"""

import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from typing import Any

import bson
import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fhir_ins.fhir.outcome import BadRequest, Gone
from fhir_ins.security.caller import Caller

LIFETIME = 86_400  # seconds
_NONCE = 12


@dataclass(frozen=True, slots=True)
class Position:
    """A search (its applied name and value pairs, `_count` among them) and where the page before ended, as BSON; None
    of the first page.
    """

    applied: tuple[tuple[str, str], ...]
    after: Any


def sealed(position: Position, key: bytes, caller: Caller, place: str) -> str:
    """The cursor as it stands in a URL."""
    nonce = os.urandom(_NONCE)
    clear = bson.encode({"pairs": position.applied, "after": position.after, "until": time.time() + LIFETIME})
    return urlsafe_b64encode(nonce + AESGCM(key).encrypt(nonce, clear, _bound(caller, place))).decode().rstrip("=")


def opened(cursor: str, key: bytes, caller: Caller, place: str) -> Position:
    """The position a cursor holds. Raises BadRequest for any not sealed here for this caller and place, Gone for an
    old one.
    """
    try:
        raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        clear = bson.decode(AESGCM(key).decrypt(raw[:_NONCE], raw[_NONCE:], _bound(caller, place)), _AWARE)
    except (InvalidTag, NotBase64, ValueError) as error:
        raise BadRequest("This _cursor is not one of this search: start again from the first page.") from error
    if clear["until"] < time.time():
        raise Gone("This _cursor has expired: start again from the first page.", code="expired")
    return Position(tuple((name, value) for name, value in clear["pairs"]), clear["after"])


_AWARE: bson.CodecOptions[dict[str, Any]] = bson.CodecOptions(tz_aware=True)


def _bound(caller: Caller, place: str) -> bytes:
    return orjson.dumps([caller.tenant, caller.client, caller.user, place])
