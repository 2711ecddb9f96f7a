"""Who bears a token, and what they may do: the claims of an issuer, as this server understands them.

SMART App Launch 2 for the scopes; Pro Santé Connect for professionals: `SubjectNameID` is the national identifier of a
person (8 and the RPPS number, of 11 digits), `Secteur_Activite` the sector, as code^OID. RFC 8705 for `cnf`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhir_ins.security.caller import Caller
from fhir_ins.security.scopes import Granted, granted
from fhir_ins.security.tokens import Claims, InvalidToken, client_of

_NATIONAL_ID = re.compile(r"[0-9A-Z/]{2,64}")
_NAME = re.compile(r"[!-~]{1,200}")


@dataclass(frozen=True, slots=True)
class Understanding:
    """How the claims of one issuer are read.

    `tenants`: the structures that its tokens may be of, by their names and FINESS numbers; all of them where there is
    no `tenant_claim`. `scopes` are granted beside those of the token; `acr` and `sectors`, where given, are the only
    ones that are let in.
    """

    tenants: Mapping[str, str]
    tenant_claim: str | None = None
    pro_sante_connect: bool = False
    scopes: tuple[str, ...] = ()
    acr: frozenset[str] = frozenset()
    sectors: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who bears a token, until when (seconds since 1970), for which structures; bound to a certificate or not."""

    client: str
    user: str | None
    sector: str | None
    tenants: frozenset[str]
    granted: Granted
    certificate: str | None
    expires: float

    def caller(self, tenant: str) -> Caller:
        return Caller(tenant, self.client, self.granted.rights, self.user, self.granted.access, self.sector)


def bearer(claims: Claims, understanding: Understanding) -> Bearer:
    """The bearer of a token that is good. Raises InvalidToken where something is missing or not allowed."""
    client = client_of(claims) or _text(claims, "sub")
    if client is None or not _NAME.fullmatch(client):
        raise InvalidToken("The token does not say which client it was given to.")
    user, sector = _person(claims, client, understanding)
    if understanding.acr and claims.get("acr") not in understanding.acr:
        raise InvalidToken("The token tells of a weaker authentication than is demanded here.")
    if understanding.sectors and sector not in understanding.sectors:
        raise InvalidToken("The token is of a sector of activity that is not let in here.")
    scopes = (*_scopes(claims), *understanding.scopes)
    return Bearer(
        client,
        user,
        sector,
        _tenants(claims, understanding),
        granted(scopes, has_user=user is not None),
        _bound_to(claims),
        float(claims["exp"]),
    )


def rpps_of(national_id: str) -> str | None:
    """The RPPS number in a person's national identifier, which is 8 and its 11 digits; None of another register's."""
    return national_id[1:] if re.fullmatch(r"8\d{11}", national_id, re.ASCII) else None


def _person(claims: Claims, client: str, understanding: Understanding) -> tuple[str | None, str | None]:
    """The user and their sector; None where the token is of a client alone."""
    if not understanding.pro_sante_connect:
        subject = _text(claims, "sub")
        return (subject if subject != client and subject and _NAME.fullmatch(subject) else None), None
    national_id = _text(claims, "SubjectNameID")
    if national_id is None or not _NATIONAL_ID.fullmatch(national_id):
        raise InvalidToken("The token of Pro Santé Connect has no SubjectNameID.")
    sector = (_text(claims, "Secteur_Activite") or "").partition("^")[0]
    return national_id, sector if re.fullmatch(r"SA\d{2}", sector, re.ASCII) else None


def _tenants(claims: Claims, understanding: Understanding) -> frozenset[str]:
    if understanding.tenant_claim is None:
        return frozenset(understanding.tenants.values())
    named = claims.get(understanding.tenant_claim)
    names = named if isinstance(named, list) else [named]
    known = understanding.tenants
    return frozenset(known[name] for name in names if isinstance(name, str) and name in known)


def _scopes(claims: Claims) -> list[str]:
    """As a string or as a list, under the name of RFC 8693 or the one that some issuers use."""
    given = claims.get("scope", claims.get("scp", ""))
    words = given.split() if isinstance(given, str) else given
    return [word for word in words if isinstance(word, str)] if isinstance(words, list) else []


def _bound_to(claims: Claims) -> str | None:
    """The thumbprint of the certificate that a token is bound to. https://www.rfc-editor.org/rfc/rfc8705#section-3.1"""
    confirmation: Any = claims.get("cnf")
    if confirmation is None:
        return None
    thumbprint = confirmation.get("x5t#S256") if isinstance(confirmation, dict) else None
    if not isinstance(thumbprint, str) or len(confirmation) != 1:
        raise InvalidToken("The token is bound to something other than a certificate, which this server cannot check.")
    return thumbprint.rstrip("=")


def _text(claims: Claims, name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) and value else None
