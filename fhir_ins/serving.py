"""How the application is put on a socket: uvicorn with our connections, their limits and TLS."""

import ssl
from collections.abc import Mapping
from typing import Any

from fhir_ins.api.refusals import refusals
from fhir_ins.security.connection import Connection, Limits
from fhir_ins.security.tls import TlsFiles, server_context
from fhir_ins.settings import Settings


def uvicorn_options(settings: Settings) -> Mapping[str, Any]:
    """What uvicorn is told, but for host and port. Raises CertificateFault or ValueError for what is wrong in TLS."""
    context = _tls(settings)
    return {
        "http": Connection.within(_limits(settings)),
        "ws": "none",
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "proxy_headers": False,
        "timeout_keep_alive": settings.idle_timeout,
        **({"ssl_context_factory": lambda _config, _default: context} if context else {}),
    }


def _limits(settings: Settings) -> Limits:
    return Limits(
        head_bytes=settings.max_header_bytes,
        url_bytes=settings.max_url_bytes,
        head_seconds=settings.header_timeout,
        body_seconds=settings.body_timeout,
        connections=settings.max_connections,
        connections_of_one=settings.max_connections_of_one,
        uncounted=settings.trusted_proxies,
        refusals=refusals(),
    )


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_certificate:
        files = TlsFiles(
            settings.tls_certificate,
            settings.tls_key or settings.tls_certificate,
            settings.tls_key_passphrase.get_secret_value(),
            settings.tls_client_authorities,
            settings.tls_client_required,
        )
        if files.client_required and not files.client_authorities:
            raise ValueError("FHIR_INS_TLS_CLIENT_REQUIRED needs the authorities of FHIR_INS_TLS_CLIENT_AUTHORITIES.")
        return server_context(files)
    if settings.tls_key or settings.tls_client_authorities or settings.tls_client_required:
        raise ValueError("TLS needs the server's certificate: set FHIR_INS_TLS_CERTIFICATE.")
    return None
