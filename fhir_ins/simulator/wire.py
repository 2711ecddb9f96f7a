"""The transport: who the client's certificate says it is, and answers that do not arrive as they should.

uvicorn hides its transport from the application, so its protocol is extended: every request's `state` holds the
`Peer` and the transport of its connection.
"""

import asyncio
import socket
import struct
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from fhir_ins.simulator.answers import Answer
from fhir_ins.simulator.authentication import Peer
from fhir_ins.simulator.behaviour import Wire

_SOAP = "application/soap+xml; charset=utf-8"
_HTML = "text/html; charset=utf-8"
_AWAY = b"<html><head><title>503 Service Unavailable</title></head><body><h1>Service Unavailable</h1></body></html>"
_RESET_AT_ONCE = struct.pack("ii", 1, 0)


class Protocol(H11Protocol):
    """HTTP/1.1 of one connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # a dictionary of the connection's own: the one given is the process's
        self.app_state = {
            **self.app_state,
            "peer": Peer.of(transport.get_extra_info("peercert")),
            "transport": transport,
        }


class Outgoing(Response):
    """An answer on its way out, and what becomes of it there."""

    def __init__(self, answer: Answer, wire: Wire | None) -> None:
        self._wire = wire
        match wire:
            case Wire.HTML_503:
                super().__init__(_AWAY, 503, media_type=_HTML)
            case Wire.WRONG_CONTENT_TYPE:
                super().__init__(answer.body, answer.status, media_type=_HTML)
            case Wire.EMPTY:
                super().__init__(b"", answer.status, media_type=_SOAP)
            case _:
                super().__init__(answer.body, answer.status, media_type=_SOAP)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match self._wire:
            case Wire.RESET:
                _reset(_transport(scope))
            case Wire.TRUNCATED:
                await self._half(send)
                _transport(scope).close()
            case Wire.HANG:
                pass
            case _:
                await super().__call__(scope, receive, send)
                return
        # uvicorn would answer 500 in the name of an application that returns without an answer
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _half(self, send: Send) -> None:
        """The head, which promises the whole, and half of the body."""
        start: Message = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})


def peer_of(scope: Scope) -> Peer | None:
    """Whose certificate the connection of a request was opened with."""
    peer: Peer | None = scope.get("state", {}).get("peer")
    return peer


def _transport(scope: Scope) -> asyncio.Transport:
    transport: asyncio.Transport = scope["state"]["transport"]
    return transport


def _reset(transport: asyncio.Transport) -> None:
    """Close without a word: with no time to linger, the kernel sends RST."""
    connection: Any = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_ONCE)
    transport.abort()
