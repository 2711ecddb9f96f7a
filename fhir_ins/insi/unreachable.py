"""When a call to INSi brings no answer: what failed, in plain words, and whose turn it is.

A certificate that one side refuses does not heal by itself, so it is CONFIGURATION; the rest is TRANSIENT.
"""

import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import aiohttp

from fhir_ins.insi.port import Fault, FaultKind

# TLS alerts by which a server says that it does not want our certificate, as OpenSSL names them
_REFUSALS = (
    "BAD_CERTIFICATE",
    "UNSUPPORTED_CERTIFICATE",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_UNKNOWN",
    "CERTIFICATE_REQUIRED",
    "UNKNOWN_CA",
    "ACCESS_DENIED",
)


def unreachable(error: Exception, endpoint: str) -> Fault:
    """The fault for an exception of the network; its text names the host, never what was asked."""
    url = urlsplit(endpoint)
    service = f"INSi at {url.hostname}:{url.port or 443}"
    match error:
        case aiohttp.ConnectionTimeoutError():
            return Fault(FaultKind.TRANSIENT, f"{service} did not accept a connection in time.", retryable=True)
        case TimeoutError():
            return Fault(FaultKind.TRANSIENT, f"{service} did not answer in time.", retryable=True)
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, aiohttp.ClientError) and cause.reason:
            return _tls_fault(cause, service)
    if isinstance(error, aiohttp.ClientConnectorError):
        return Fault(FaultKind.TRANSIENT, f"{service} cannot be reached.", retryable=True)
    return Fault(
        FaultKind.TRANSIENT,
        f"{service} closed the connection without an answer; does it accept our certificate?",
        retryable=True,
    )


def _tls_fault(error: ssl.SSLError, service: str) -> Fault:
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"The certificate of {service} is not trusted: {error.verify_message}. Check the trust file."
        return Fault(FaultKind.CONFIGURATION, text)
    if "ALERT" in error.reason and error.reason.endswith(_REFUSALS):
        return Fault(FaultKind.CONFIGURATION, f"{service} refused our client certificate (TLS {error.reason}).")
    return Fault(FaultKind.TRANSIENT, f"TLS with {service} failed ({error.reason}).", retryable=True)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and what led to it; aiohttp wraps those of TLS."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
