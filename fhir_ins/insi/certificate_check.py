"""What to tell an operator about a client certificate before INSi does it with a DESIR_560.

Source: IGC-Santé profile ORG AUTH_CLI; INSi refuses a CN that is not exactly INSI-AUTO or INSI-MANU.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from fhir_ins.insi.certificate import ClientCertificate

COMMON_NAMES = ("INSI-AUTO", "INSI-MANU")

_RENEW_BEFORE_DAYS = 60


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at, and what was seen, in plain words."""

    ok: bool
    text: str


def examine(certificate: ClientCertificate, today: date) -> list[Finding]:
    """Every finding, good or bad, in the order of the certificate: subject, issuer, validity, usage."""
    return [
        _common_name(certificate.common_name),
        _unit(certificate.organisational_unit),
        _issuer(certificate),
        _validity(certificate, today),
        *_usage(certificate.certificate),
    ]


def _common_name(name: str | None) -> Finding:
    if name in COMMON_NAMES:
        return Finding(True, f"The common name (CN) is {name}.")
    return Finding(
        False,
        f"The common name (CN) is {name or 'missing'}; INSi takes exactly INSI-AUTO or INSI-MANU and answers "
        "DESIR_560 to any other.",
    )


def _unit(unit: str | None) -> Finding:
    if unit:
        return Finding(True, f"The structure's identifier (OU) is {unit}; it goes out as Emetteur.")
    return Finding(False, "The structure's identifier (OU) is missing: Emetteur has to be configured.")


def _issuer(certificate: ClientCertificate) -> Finding:
    issuer = certificate.issuer_common_name
    if issuer is None or "IGC-SANTE" not in issuer:
        return Finding(False, f"The issuer is {issuer or 'missing'}, not an authority of the IGC-Santé.")
    if certificate.is_test:
        return Finding(True, f"The issuer is {issuer}: a test certificate, not for the production endpoint.")
    return Finding(True, f"The issuer is {issuer}: a certificate for the production endpoint only.")


def _validity(certificate: ClientCertificate, today: date) -> Finding:
    start, end = certificate.not_before.date(), certificate.not_after.date()
    left = (end - today).days
    if today < start:
        return Finding(False, f"The certificate is valid from {start} only.")
    if left < 0:
        return Finding(False, f"The certificate expired on {end}, {-left} days ago.")
    if left < _RENEW_BEFORE_DAYS:
        return Finding(True, f"The certificate is valid until {end}: {left} days left, renew it now.")
    return Finding(True, f"The certificate is valid until {end}: {left} days left.")


def _usage(certificate: x509.Certificate) -> Iterator[Finding]:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        yield Finding(True, "The key usage is not restricted.")
    else:
        signs = usage.digital_signature
        yield Finding(signs, f"The key usage {'has' if signs else 'lacks'} digital signature, which TLS needs.")
    try:
        extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        yield Finding(True, "The extended key usage is not restricted.")
    else:
        client = ExtendedKeyUsageOID.CLIENT_AUTH in extended
        yield Finding(client, f"The extended key usage {'has' if client else 'lacks'} client authentication.")
