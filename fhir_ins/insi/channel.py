"""The connections to INSi: a request goes out, and what came back of its answer is handed on.

No cookies, no redirects to follow and no authentication of HTTP here.
"""

import asyncio
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from fhir_ins.insi.contract.documents import LARGEST

# Servers commonly close what has been idle for five seconds: a crowd that comes just then must not meet closed doors.
_KEPT_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status, and the body or as much of it as shows that it is too large to be an answer."""

    status: int
    body: bytes


class Channel:
    """Connections to one endpoint with one TLS set-up, kept open between calls; one for an event loop."""

    def __init__(self, endpoint: str, context: ssl.SSLContext, *, connect: float) -> None:
        """`connect`: seconds to connect."""
        self._endpoint = endpoint
        self._context = context
        self._proxy = _proxy(endpoint)
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, content: bytes, action: str, within: float) -> Answer:
        """Send one request; raises TimeoutError, OSError or aiohttp.ClientError when no answer comes."""
        headers = {
            "Content-Type": f'application/soap+xml; charset=utf-8; action="{action}"',
            "Accept": "application/soap+xml",
            "Accept-Encoding": "identity",
        }
        sent = self._connected().post(
            self._endpoint, data=content, headers=headers, proxy=self._proxy, allow_redirects=False
        )
        async with asyncio.timeout(within), sent as response:
            return Answer(response.status, await _bounded(response))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _connected(self) -> aiohttp.ClientSession:
        """The session, made by the first call: it belongs to the event loop that runs then."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(
                    ssl=self._context,
                    limit=0,  # how many go on at once is ruled elsewhere
                    keepalive_timeout=_KEPT_SECONDS,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=self._timeout,
            )
        return self._session


class _Connector(aiohttp.TCPConnector):
    """Connections of which none is used again once something came on it that nobody had asked for.

    INSi's answer names no request: one that comes late, or twice, would be taken for the answer about the next person.
    """

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (idle := await super()._get(key, traces)) is not None:
            protocol = idle.protocol
            if protocol is not None and not protocol.should_close:
                return idle
            idle.close()
        return None


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body; too large a one is broken off, and its connection with it."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > LARGEST:
            response.close()
            break
    return bytes(body)


def _proxy(endpoint: str) -> str | None:
    """The proxy that HTTPS_PROXY and NO_PROXY give for this endpoint."""
    return None if proxy_bypass(urlsplit(endpoint).hostname or "") else getproxies().get("https")
