"""One HTTP connection, within limits: what uvicorn leaves unbounded, and whom it leaves unnamed.

A head (request line and headers) is bounded in bytes, headers and seconds, a body in seconds (in bytes by who reads
it), the taking of an answer in seconds, the connections in number, of all clients and of one. What the parser refuses
is answered as the API answers. Source: RFC 9110 (408, 414), RFC 6585 (431), RFC 9112 §9; CWE-400.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from fhir_ins.security.client_certificate import tls_of_connection
from fhir_ins.security.network import Networks, is_within, subscriber

MOST_HEADERS = 100
# Seconds beyond the limit of a body, in which who reads it may say that it is late.
_GRACE = 2.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of each connection; connections from `uncounted` networks (proxies) are bounded in all only.

    `refusals`: by status (400, 408, 414, 431, 503) what is answered, as the bytes that follow the status line and Date.
    """

    head_bytes: int
    url_bytes: int
    head_seconds: float
    body_seconds: float
    connections: int
    connections_of_one: int
    uncounted: Networks
    refusals: Mapping[int, bytes]


class _Refused(Exception):
    """Leaves the parser, which ends reading."""


class Connection(HttpToolsProtocol):
    """HTTP/1.1 with one client. `within` makes the class that uvicorn is given."""

    limits: Limits

    @classmethod
    def within(cls, limits: Limits) -> "type[Connection]":
        return type("Connection", (cls,), {"limits": limits})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.one = subscriber(self.client[0]) if self.client else ""
        self._tls = tls_of_connection(transport)
        self._refusal = 400
        self._in_head = self._in_body = False
        self._first = self._further = 0  # bytes of the chunk in which a head began, and of those after it
        self._awaited: str | None = None
        self._late: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        if self._is_one_too_many():
            self._refuse(503)
        else:
            self._await_more()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._late, self._unread):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._in_head:
            self._further += len(data)
        self._chunk = len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._further > self.limits.head_bytes:
            self._refuse(431 if self.headers else 414)
        else:
            self._await_more()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._first, self._further = True, self._chunk, 0
        if self._tls:
            self.scope["extensions"] = {"tls": self._tls}  # type: ignore[dict-item]

    def on_headers_complete(self) -> None:
        if len(self.url) > self.limits.url_bytes:
            self._stop(414)
        # the sum is only made where it can be too much
        if self._first + self._further > self.limits.head_bytes and self._head_bytes() > self.limits.head_bytes:
            self._stop(431)
        if len(self.headers) > MOST_HEADERS:
            self._stop(431)
        self._in_head, self._in_body = False, True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._limit_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread and not self.transport.is_closing():
            self._unread.cancel()
            self._unread = None

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - it would be uvicorn's own words
        """What the parser does not take, or we do not. Not said in the midst of another answer, which then ends all."""
        self._refuse(self._refusal)

    def _unsupported_upgrade_warning(self) -> None:
        """The parser takes nothing after an upgrade: this request, answered as if it asked for none, is the last."""
        self.cycle.keep_alive = False

    def _refuse(self, status: int) -> None:
        if self._is_answering() and not self._is_unanswered_yet():
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            return
        date = b"".join(b"%s: %s\r\n" % header for header in self.server_state.default_headers)
        self.transport.write(STATUS_LINE[status] + date + self.limits.refusals[status])
        self._close()

    def _stop(self, status: int) -> None:
        self._refusal = status
        raise _Refused

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _is_unanswered_yet(self) -> bool:
        """Whether nothing has been said about the request whose body is coming, nor is anything before it."""
        return self._in_body and not self.pipeline and not self.cycle.response_started

    def _is_one_too_many(self) -> bool:
        """Whether this connection, which is counted among them, passes the most there may be."""
        if len(self.connections) > self.limits.connections:
            return True
        if len(self.connections) <= self.limits.connections_of_one or not self.client:
            return False
        if is_within(self.client[0], self.limits.uncounted):
            return False
        mine: int = sum(getattr(other, "one", None) == self.one for other in self.connections)
        return mine > self.limits.connections_of_one

    def _await_more(self) -> None:
        """Set the time within which the client must send what is missing; none is set when it owes us nothing."""
        awaited = "body" if self._in_body else "head" if self._in_head or not self._is_answering() else None
        if awaited == self._awaited:
            return
        self._awaited = awaited
        if self._late:
            self._late.cancel()
            self._late = None
        if awaited == "head":
            self._late = self.loop.call_later(self.limits.head_seconds, self._head_is_late)
        elif awaited == "body":
            self._late = self.loop.call_later(self.limits.body_seconds + _GRACE, self._body_is_late)

    def _head_is_late(self) -> None:
        if self._in_head or self._is_answering():
            self._refuse(408)
        else:
            self._close()  # nothing was asked

    def _body_is_late(self) -> None:
        if self.flow.read_paused:  # it is we who have not read
            self._late = self.loop.call_later(self.limits.body_seconds, self._body_is_late)
        elif self._is_answering():
            self.cycle.keep_alive = False
        else:
            self._close()

    def _close(self) -> None:
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._limit_reading()

    def _limit_reading(self) -> None:
        """Set the time within which the client must have taken what it was sent."""
        if not self._unread:
            self._unread = self.loop.call_later(self.limits.body_seconds, self.transport.abort)
