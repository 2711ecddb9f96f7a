"""Who calls: an organisation with its certificate over mTLS, or a professional with an AssertionPS of a CPx card.

Source: the two modes of the téléservice. With an AssertionPS, TLS is one-way and the Emetteur is its NameID; without,
the Emetteur is the OU of the client certificate, whose CN must be exactly INSI-AUTO or INSI-MANU (else DESIR_560).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from lxml import etree

from fhir_ins.insi.contract import SECURITY_NAMESPACE
from fhir_ins.simulator.assertions import judge
from fhir_ins.simulator.refusal import Refused

_ALLOWED_NAMES = ("INSI-AUTO", "INSI-MANU")


@dataclass(frozen=True, slots=True)
class Peer:
    """The subject of the certificate that TLS accepted."""

    common_name: str | None
    units: tuple[str, ...]

    @classmethod
    def of(cls, certificate: Mapping[str, Any] | None) -> "Peer | None":
        """From what `ssl` says of a verified certificate; None when the client sent none."""
        if not certificate:
            return None
        parts = [part for names in certificate.get("subject", ()) for part in names]
        common = [value for name, value in parts if name == "commonName"]
        units = tuple(value for name, value in parts if name == "organizationalUnitName")
        return cls(common[0] if len(common) == 1 else None, units)


@dataclass(frozen=True, slots=True)
class Caller:
    """What an authentication allows: the Emetteur it stands for, and whether access goes far enough.

    `card`: what the NameID of the Vitale assertion says, if there is one.
    """

    emetteurs: tuple[str, ...]
    may_call: bool
    card: str | None = None


def authenticate(
    header: etree._Element, peer: Peer | None, authorities: Sequence[x509.Certificate], now: datetime
) -> Caller:
    """Who sent a request with this SOAP header; raises `Refused` when nobody can be made out."""
    security = header.find(f"{{{SECURITY_NAMESPACE}}}Security")
    assertions = [judge(assertion, authorities, now) for assertion in (() if security is None else security)]
    professionals = [each.name_id for each in assertions if each.is_of_professional]
    cards = [each.name_id for each in assertions if not each.is_of_professional]
    if len(professionals) > 1 or len(cards) > 1:
        raise Refused("wsse:Security holds one AssertionPS and one Vitale assertion at most.")
    card = cards[0] if cards else None
    if professionals:
        return Caller((professionals[0],), True, card)
    if peer is None:
        raise Refused("A call comes with a client certificate or with an AssertionPS; this one has neither.")
    return Caller(peer.units, peer.common_name in _ALLOWED_NAMES, card)
