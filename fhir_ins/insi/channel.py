"""The connections to INSi: a request goes out, and what came back of its answer is handed on.

httpx's transport carries it, without the client around it: there are no cookies, no redirects to follow and no
authentication of HTTP here, and the client's part of a call costs as much processor time as building the request.
"""

import asyncio
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from fhir_ins.insi.contract.documents import LARGEST


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status, and the body or as much of it as shows that it is too large to be an answer."""

    status: int
    body: bytes


class Channel:
    """Connections to one endpoint with one TLS set-up, kept open between calls; one for an event loop."""

    def __init__(self, endpoint: str, context: ssl.SSLContext, *, connect: float, total: float) -> None:
        """`connect` and `total`: seconds to connect, and for each wait within a call."""
        self._url = httpx.URL(endpoint)
        self._transport = httpx.AsyncHTTPTransport(verify=context, proxy=_proxy(endpoint))
        self._timeout = {"timeout": httpx.Timeout(total, connect=connect).as_dict()}

    async def post(self, content: bytes, action: str, within: float) -> Answer:
        """Send one request; raises TimeoutError, OSError or httpx.HTTPError when no answer comes."""
        request = httpx.Request(
            "POST",
            self._url,
            headers={
                "Content-Type": f'application/soap+xml; charset=utf-8; action="{action}"',
                "Accept": "application/soap+xml",
                "Accept-Encoding": "identity",
            },
            content=content,
            extensions=self._timeout,
        )
        async with asyncio.timeout(within):
            response = await self._transport.handle_async_request(request)
            try:
                return Answer(response.status_code, await _bounded(response))
            finally:
                await response.aclose()

    async def aclose(self) -> None:
        """Close the connections; nothing can be sent afterwards."""
        await self._transport.aclose()


async def _bounded(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > LARGEST:
            break
    return bytes(body)


def _proxy(endpoint: str) -> str | None:
    """The proxy that HTTPS_PROXY and NO_PROXY give for this endpoint."""
    return None if proxy_bypass(urlsplit(endpoint).hostname or "") else getproxies().get("https")
