"""The certificate a client has shown: in the handshake, or to a proxy that says so in a header.

Either way it stands in the scope as the ASGI TLS extension has it, whose list has the client's own certificate first.
Source: https://asgi.readthedocs.io/en/latest/specs/tls.html; RFC 8705 (x5t#S256); RFC 9440 (the header Client-Cert).
"""

import asyncio
import re
import ssl
from base64 import b64decode, urlsafe_b64encode
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.types import Scope

_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
_BYTE_SEQUENCE = re.compile(rb" *:([A-Za-z0-9+/=]+): *")


def peer_certificate(scope: Scope) -> x509.Certificate | None:
    """The certificate of whoever sent this request, verified by our handshake or by a trusted proxy; None: no one's."""
    chain = scope.get("extensions", {}).get("tls", {}).get("client_cert_chain")
    return _parsed(chain[0]) if chain else None


def thumbprint(certificate: x509.Certificate) -> str:
    """What a token bound to this certificate has in cnf: x5t#S256, in base64url without padding. RFC 8705, 3.1"""
    return urlsafe_b64encode(certificate.fingerprint(SHA256())).rstrip(b"=").decode()


def tls_of_connection(transport: asyncio.Transport) -> dict[str, Any] | None:
    """The TLS extension of the requests on a connection; None where it is in clear."""
    connection: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    if connection is None:
        return None
    shown = connection.getpeercert(binary_form=True)
    suite = connection.cipher()
    return {
        "server_cert": None,
        "tls_version": _VERSIONS.get(connection.version() or ""),
        "cipher_suite": _suites(connection.context).get(suite[0]) if suite else None,
        **tls_of_client(x509.load_der_x509_certificate(shown) if shown else None),
    }


def tls_of_client(certificate: x509.Certificate | None) -> dict[str, Any]:
    """What the TLS extension says of a client that has shown this certificate, or none."""
    return {
        "client_cert_chain": [certificate.public_bytes(Encoding.PEM).decode()] if certificate else [],
        "client_cert_name": certificate.subject.rfc4514_string() if certificate else None,
        "client_cert_error": None,
    }


def certificate_in_header(value: bytes) -> x509.Certificate:
    """Out of a proxy's header: base64 between colons (RFC 9440), or PEM escaped as in a URL (nginx, Envoy).

    Raises ValueError.
    """
    if found := _BYTE_SEQUENCE.fullmatch(value):
        return x509.load_der_x509_certificate(b64decode(found[1], validate=True))
    return x509.load_pem_x509_certificate(unquote_to_bytes(value))


@lru_cache(maxsize=256)
def _parsed(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


@lru_cache(maxsize=4)
def _suites(context: ssl.SSLContext) -> dict[str, int]:
    """The numbers of the cipher suites, by OpenSSL's names."""
    return {suite["name"]: suite["id"] & 0xFFFF for suite in context.get_ciphers()}
