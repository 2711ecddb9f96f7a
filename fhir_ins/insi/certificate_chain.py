"""From a certificate to a root, issuer by issuer. Source: RFC 5280 §6.1: names chain, and each signature verifies."""

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm


@dataclass(frozen=True, slots=True)
class Chain:
    """The issuers of a certificate in order. It is whole when the last one, or the certificate, issued itself.

    Else `missing` is the issuer that was not found; `misnamed` says that there is a certificate of this name, but
    that another key signed.
    """

    links: tuple[x509.Certificate, ...]
    missing: x509.Name | None
    misnamed: bool = False


def chain_of(certificate: x509.Certificate, among: Iterable[x509.Certificate]) -> Chain:
    """The chain of a certificate as far as the certificates given lead."""
    candidates = list(among)
    links: list[x509.Certificate] = []
    last = certificate
    while not issued(last, last):
        named = [candidate for candidate in candidates if candidate.subject == last.issuer]
        issuer = next((candidate for candidate in named if issued(last, candidate)), None)
        if issuer is None or issuer in links:
            return Chain(tuple(links), last.issuer, misnamed=bool(named))
        links.append(issuer)
        last = issuer
    return Chain(tuple(links), None)


def issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` is named as the issuer of `certificate` and signed it."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False
    return True
