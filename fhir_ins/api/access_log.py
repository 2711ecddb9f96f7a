"""One log line a request: what kind it was and how it went, never whom it was about.

Neither path nor query is logged: both may hold identity data. The route is, and an id ties the line to the response.
"""

import re
import time
from uuid import uuid4

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fhir_ins.api.auditing import REQUEST_ID
from fhir_ins.api.errors import on_unexpected_error
from fhir_ins.api.security_headers import secure

_log = structlog.get_logger()


class AccessLog:
    """Pure ASGI middleware; answers with the id it logs, in X-Request-Id, and for a fault of ours with a 500.

    Every answer passes here, so that it is here that each gets its security headers.

    An id of the caller's goes back in X-Correlation-Id, and is not logged. https://hl7.org/fhir/R4/http.html#custom
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status, request_id = time.perf_counter(), 0, uuid4().hex
        scope[REQUEST_ID] = request_id

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], (b"x-request-id", request_id.encode()), *_correlation(scope)]
                secure(headers, scope["scheme"])
                message["headers"] = headers
            await send(message)

        try:
            await self.app(scope, receive, observed)
        except ClientDisconnect:
            status = 499  # as proxies log a caller who left before the answer
        except Exception as error:
            response = on_unexpected_error(Request(scope), error)
            if not status:
                await response(scope, receive, observed)
        finally:
            _log.info(
                "request",
                request_id=request_id,
                method=scope["method"] if scope["method"] in _METHODS else "other",
                route=scope.get("route", "none"),
                status=status,
                duration_ms=round((time.perf_counter() - started) * 1000, 2),
            )


def _correlation(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The caller's own id of the request; one that is no plain text of a decent length is left out."""
    given = dict(scope["headers"])
    own = given.get(b"x-correlation-id") or given.get(b"x-request-id") or b""
    return [(b"x-correlation-id", own)] if _ID.fullmatch(own) else []


_ID = re.compile(rb"[!-~]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
