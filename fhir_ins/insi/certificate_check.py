"""What to tell an operator about a client certificate before INSi does it with a DESIR_560.

Source: IGC-Santé profile ORG AUTH_CLI; INSi refuses a CN that is not exactly INSI-AUTO or INSI-MANU; its server
certificates come from the IGC-Santé too, whose authorities no system believes by itself.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fhir_ins.insi.certificate import Authorities, CertificateFault, ClientCertificate, require_usable
from fhir_ins.insi.certificate_chain import chain_of
from fhir_ins.insi.endpoints import HOSTS, Mode, host_of, mismatch

COMMON_NAMES = ("INSI-AUTO", "INSI-MANU")
AUTHORITIES = ("AC IGC-SANTE ELEMENTAIRE ORGANISATIONS", "TEST AC IGC-SANTE ELEMENTAIRE ORGANISATIONS")
IGC_SANTE = "http://igc-sante.esante.gouv.fr/PC/"

_PATH = "/lps"
_RENEW_BEFORE_DAYS = 60
_SMALLEST_RSA, _SMALLEST_CURVE = 2048, 256


class Level(StrEnum):
    """How a finding counts: good, worth reading, or what keeps INSi from being asked."""

    OK = "ok"
    NOTE = "note"
    BAD = "BAD"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at, and what was seen, in plain words."""

    level: Level
    about: str
    text: str


def examine(certificate: ClientCertificate, now: datetime) -> list[Finding]:
    """Every finding about the certificate itself, good or bad."""
    return [
        _common_name(certificate.common_name),
        _unit(certificate.organisational_unit),
        _issuer(certificate),
        _validity(certificate, now),
        _key(certificate),
        *_usage(certificate.certificate),
    ]


def examine_chain(certificate: ClientCertificate, authorities: Authorities) -> Finding:
    """Whether the certificates of its file and of the trust file lead to a root, and which link is missing."""
    chain = chain_of(certificate.certificate, (*certificate.chain, *authorities))
    names = [_called(link.subject) for link in chain.links]
    if chain.missing is None:
        return Finding(Level.OK, "chain", f"It leads to the root: {', then '.join(names) or 'itself'}.")
    missing = _called(chain.missing)
    below = names[-1] if names else "the certificate"
    where = f"The IGC-Santé publishes it at {IGC_SANTE}" if "IGC-SANTE" in missing else "Ask who issued it."
    if chain.misnamed:
        text = f"There is a certificate of {missing}, but not the one that signed {below}: it has another key. {where}"
        return Finding(Level.BAD, "chain", text)
    text = f"{missing}, which issued {below}, is neither in the file nor in the trust file. {where}"
    return Finding(Level.NOTE, "chain", text)


def examine_endpoint(certificate: ClientCertificate, endpoint: str | None, *, trust: bool) -> Iterator[Finding]:
    """Whether the certificate goes with this address of INSi; `trust`: whether there is a trust file."""
    if endpoint is None:
        goes = next(one for one in HOSTS if one.production is not certificate.is_test and one.mode is Mode.CERTIFICATE)
        text = f"None was given; this certificate goes with https://{goes.name}{_PATH}"
        yield Finding(Level.NOTE, "endpoint", text)
        return
    url, host = urlsplit(endpoint), host_of(endpoint)
    if url.scheme != "https":
        yield Finding(Level.BAD, "endpoint", f"{endpoint} is not an https:// address.")
    elif host is None:
        text = f"{url.hostname} is no host of INSi, neither of test nor of production: a simulator's, or a proxy's?"
        yield Finding(Level.NOTE, "endpoint", text)
    elif fault := mismatch(endpoint, Mode.CERTIFICATE, certificate):
        yield Finding(Level.BAD, "endpoint", fault)
    else:
        branch = "production" if host.production else "the test environment"
        yield Finding(Level.OK, "endpoint", f"{host.name} is INSi over mTLS in {branch}; the certificate goes with it.")
    if host and url.path != _PATH:
        yield Finding(Level.NOTE, "endpoint", f"The path is {url.path or 'empty'}; INSi is at {_PATH}.")
    if host and not trust:
        text = f"INSi's server certificate is of the IGC-Santé, which no system believes by itself. {_TRUST}"
        yield Finding(Level.BAD, "trust", text)


_TRUST = (
    "Put the PEM certificates of AC IGC-SANTE ELEMENTAIRE ORGANISATIONS and of its root, AC RACINE IGC-SANTE "
    f"ELEMENTAIRE, into one trust file; they are at {IGC_SANTE}"
)


def _common_name(name: str | None) -> Finding:
    if name in COMMON_NAMES:
        return Finding(Level.OK, "name (CN)", f"{name}.")
    wanted = next((one for one in COMMON_NAMES if _letters(one) == _letters(name or "")), None)
    told = f"It is “{name}”" if name else "It is missing"
    if wanted:
        told += f", nearly {wanted}: INSi compares every character (capitals, one hyphen, no space)"
    text = f"{told}. INSi takes exactly INSI-AUTO or INSI-MANU and answers DESIR_560 to any other: order a new one."
    return Finding(Level.BAD, "name (CN)", text)


def _letters(name: str) -> str:
    return re.sub(r"[^A-Z]", "", name.upper())


def _unit(unit: str | None) -> Finding:
    if unit:
        return Finding(Level.OK, "structure (OU)", f"{unit}; it goes out as Emetteur.")
    text = "It is missing: the structure's number has to be configured, FHIR_INS_INSI_EMETTEUR."
    return Finding(Level.BAD, "structure (OU)", text)


def _issuer(certificate: ClientCertificate) -> Finding:
    issuer = certificate.issuer_common_name or "nobody"
    if issuer in AUTHORITIES:
        branch = "test, not for production" if certificate.is_test else "production, not for test"
        return Finding(Level.OK, "issuer", f"{issuer}: a certificate of {branch}.")
    if "IGC-SANTE" in issuer:
        text = f"{issuer}. Certificates for INSi come from {AUTHORITIES[certificate.is_test]}."
        return Finding(Level.NOTE, "issuer", text)
    text = f"{issuer}, not an authority of the IGC-Santé: INSi takes certificates of {AUTHORITIES[0]} (ORG AUTH_CLI)."
    return Finding(Level.BAD, "issuer", text)


def _validity(certificate: ClientCertificate, now: datetime) -> Finding:
    end = f"{certificate.not_after:%Y-%m-%d}"
    left = (certificate.not_after - now).days
    if now < certificate.not_before:
        return Finding(Level.BAD, "validity", f"It is valid from {certificate.not_before:%Y-%m-%d} only.")
    if now > certificate.not_after:
        return Finding(
            Level.BAD,
            "validity",
            f"It expired on {end}, {(now - certificate.not_after).days} days ago: order a new one.",
        )
    if left < _RENEW_BEFORE_DAYS:
        return Finding(Level.NOTE, "validity", f"Until {end}, {left} days left: renew it now.")
    return Finding(Level.OK, "validity", f"Until {end}, {left} days left.")


def _key(certificate: ClientCertificate) -> Finding:
    public, algorithm = certificate.certificate.public_key(), certificate.certificate.signature_hash_algorithm
    match public:
        case rsa.RSAPublicKey():
            kind, smallest = f"RSA, {public.key_size} bits", _SMALLEST_RSA
        case ec.EllipticCurvePublicKey():
            kind, smallest = f"elliptic curve {public.curve.name}", _SMALLEST_CURVE
        case _:
            return Finding(Level.BAD, "key", f"Its kind, {type(public).__name__}, is neither RSA nor elliptic curve.")
    if public.key_size < smallest:
        return Finding(Level.BAD, "key", f"{kind}: too short, {smallest} at least. Order a new one.")
    if algorithm and algorithm.name in ("md5", "sha1"):
        return Finding(Level.BAD, "key", f"{kind}, signed with {algorithm.name.upper()}, which is broken.")
    try:
        require_usable(certificate)
    except CertificateFault as fault:
        return Finding(Level.BAD, "key", str(fault))
    return Finding(Level.OK, "key", f"{kind}.")


def _usage(certificate: x509.Certificate) -> Iterator[Finding]:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        yield Finding(Level.OK, "key usage", "Not restricted.")
    else:
        yield _has(usage.digital_signature, "key usage", "digital signature, which TLS needs")
    try:
        extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        yield Finding(Level.OK, "extended usage", "Not restricted.")
    else:
        client = ExtendedKeyUsageOID.CLIENT_AUTH in extended
        yield _has(client, "extended usage", "client authentication (profile ORG AUTH_CLI)")


def _has(has: bool, about: str, what: str) -> Finding:
    return Finding(Level.OK if has else Level.BAD, about, f"It {'has' if has else 'lacks'} {what}.")


def _called(name: x509.Name) -> str:
    values = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(values[0].value) if values else name.rfc4514_string()
