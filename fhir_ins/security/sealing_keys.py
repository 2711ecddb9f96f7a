"""Keys that seal what the server keeps: 32 random bytes in base64, one that seals and those that sealed before."""

import base64
import binascii

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

KEY_BYTES = 32


def keys_in(current: str, former: str, *, setting: str, former_setting: str, of: str) -> list[bytes]:
    """The key that seals, then the former ones, which are comma-separated; none without a current one.

    `of`: what they are keys of, for the text of an error. Raises ValueError, which does not quote them.
    """
    if not current.strip():
        return []
    keys = [_key(current, setting, of)]
    return keys + [_key(text, former_setting, of) for text in former.split(",") if text.strip()]


def name_of(key: bytes, context: bytes) -> str:
    """The name a key goes by in the store, which tells nothing of it; `context` is what it is used for."""
    name = HMAC(key, SHA256())
    name.update(context)
    return name.finalize()[:8].hex()


def _key(text: str, setting: str, of: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"{setting}: a key of {of} is {KEY_BYTES} random bytes in base64 (openssl rand -base64 32).")
    return key
