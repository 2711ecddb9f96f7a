"""The hosts of the téléservice INSi, and what goes with which.

Source: WSDL DESIR_ICIR_EXP 1.5.0 (soap12:address) for the test host over mTLS, integrators' published settings for the
others. An IGC-Santé certificate of the test branch opens the test hosts only, one of production the others only.
"""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from fhir_ins.insi.certificate import ClientCertificate


class Mode(StrEnum):
    """By what INSi knows who asks: the organisation's certificate (mTLS), or professionals' cards (AssertionPS)."""

    CERTIFICATE = "certificate"
    CPX = "cpx"


@dataclass(frozen=True, slots=True)
class Host:
    """A host of INSi: what it serves, and to whom."""

    name: str
    production: bool
    mode: Mode


HOSTS = (
    Host("services-ps-tlsm.ameli.fr", True, Mode.CERTIFICATE),
    Host("services-ps.ameli.fr", True, Mode.CPX),
    Host("qualiflps-services-ps-tlsm.ameli.fr", False, Mode.CERTIFICATE),
    Host("qualiflps.services-ps.ameli.fr", False, Mode.CPX),
)


def host_of(endpoint: str) -> Host | None:
    """The host of INSi that this address leads to; None for any other, such as a simulator's."""
    name = urlsplit(endpoint).hostname
    return next((host for host in HOSTS if host.name == name), None)


def mismatch(endpoint: str, mode: Mode, certificate: ClientCertificate | None) -> str | None:
    """Why INSi at this address cannot be asked in this mode with this certificate; None when it can."""
    host = host_of(endpoint)
    if host is None:
        return None
    if host.mode is not mode:
        other = next(one.name for one in HOSTS if one.production == host.production and one.mode is mode)
        return f"{host.name} is for {_MEANS[host.mode]}; for {_MEANS[mode]} it is {other}."
    if certificate and certificate.is_test is host.production:
        other = next(one.name for one in HOSTS if one.production != host.production and one.mode is mode)
        here, there = _BRANCH[host.production], _BRANCH[not host.production]
        return f"{host.name} is of {here}, the certificate of {there}: it goes with {other}."
    return None


_MEANS = {Mode.CERTIFICATE: "an organisation's certificate", Mode.CPX: "professionals' cards (CPx)"}
_BRANCH = {True: "production", False: "the test environment"}
