"""Proxies that are trusted: they say whose request it is, and which certificate the client has shown them.

Anybody may write such headers. X-Forwarded-For and -Proto of others are not looked at; a client certificate's, which is
somebody trying to be somebody else, is refused. Source: RFC 9440 §3; RFC 7239 §8.
"""

from cryptography import x509
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from fhir_ins.api.errors import on_fhir_error
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.security.client_certificate import certificate_in_header, tls_of_client
from fhir_ins.security.network import Networks, is_within


class Proxies:
    """Pure ASGI middleware. Behind a trusted proxy the client's address, scheme and certificate are those it names.

    The certificate is that of `header` only: the one of the handshake is then the proxy's own.
    """

    def __init__(self, app: ASGIApp, networks: Networks, header: str) -> None:
        self._direct = app
        self._forwarded = ProxyHeadersMiddleware(app, [str(network) for network in networks])  # type: ignore[arg-type]
        self._networks = networks
        self._header = header.lower().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._direct(scope, receive, send)
            return
        client = scope["client"]
        trusted = client is not None and is_within(client[0], self._networks)
        if self._header:
            try:
                self._take_certificate(scope, trusted)
            except BadRequest as error:
                response = await on_fhir_error(Request(scope), error)
                await response(scope, receive, send)
                return
        await (self._forwarded if trusted else self._direct)(scope, receive, send)  # type: ignore[arg-type]

    def _take_certificate(self, scope: Scope, trusted: bool) -> None:
        values = [value for name, value in scope["headers"] if name == self._header]
        if values and not trusted:
            raise BadRequest(
                "The header for client certificates is taken from the proxies of this server only: show the "
                "certificate in the TLS handshake.",
                code="security",
            )
        if trusted:
            extensions = scope.setdefault("extensions", {})
            extensions["tls"] = {**extensions.get("tls", {}), **tls_of_client(_certificate(values))}


def _certificate(values: list[bytes]) -> x509.Certificate | None:
    """The one certificate; None where the client has shown none, which some proxies say by an empty header."""
    if not any(values):
        return None
    try:
        (value,) = values
        return certificate_in_header(value)
    except ValueError as error:
        raise BadRequest(
            "The proxy's header is not one client certificate: it is sent as RFC 9440 has it, or as PEM escaped for a "
            "URL; see the server's documentation.",
            code="security",
        ) from error
