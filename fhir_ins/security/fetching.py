"""Fetching a JSON document of an issuer: bounded in time and size, over HTTPS but on this machine."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus, urlsplit

import aiohttp
import orjson

_SECONDS = 5.0
_MOST_BYTES = 1_000_000
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class IssuerAway(Exception):
    """An issuer does not answer, or not as it should; the text names it, and holds nothing of a token."""


def require_https(url: str) -> None:
    """Raises ValueError for an address that is not HTTPS, unless it is on this machine."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError("it must begin with https://")
    if not parts.hostname or parts.username or parts.fragment:
        raise ValueError("it must name a host, without credentials or fragment")


async def fetched(
    url: str, form: Mapping[str, str] | None = None, auth: tuple[str, str] | None = None
) -> Mapping[str, Any]:
    """The JSON object at an address, or what it answers to a form. Raises IssuerAway."""
    require_https(url)
    host = urlsplit(url).hostname
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_SECONDS), trust_env=False) as session,
            session.request(
                "GET" if form is None else "POST",
                url,
                data=form,
                headers={"Accept": "application/json", **(_basic(*auth) if auth else {})},
                allow_redirects=False,
            ) as response,
        ):
            if response.status != 200:
                raise IssuerAway(f"The issuer at {host} answers with status {response.status}.")
            body = await response.content.read(_MOST_BYTES + 1)
            while len(body) <= _MOST_BYTES and (more := await response.content.read(_MOST_BYTES)):
                body += more
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise IssuerAway(f"The issuer at {host} does not answer.") from error
    try:
        document = orjson.loads(body) if len(body) <= _MOST_BYTES else None
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise IssuerAway(f"The issuer at {host} does not answer in JSON.")
    return document


def _basic(client_id: str, secret: str) -> Mapping[str, str]:
    """https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1"""
    credentials = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {"Authorization": f"Basic {b64encode(credentials.encode()).decode()}"}
