"""Access tokens: JWTs of a trusted issuer, or opaque ones that it is asked about.

RFC 9068 and RFC 7519 (issuer, audience, expiry, signature by an allowed algorithm), RFC 7662 (introspection). What is
said of a token that is no good holds nothing of it.
"""

import base64
import binascii
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import BadSignatureError, JoseError

from fhir_ins.security.fetching import IssuerAway, fetched
from fhir_ins.security.signing_keys import FRESH, SigningKeys

ALGORITHMS = ("ES256", "ES384", "PS256", "RS256", "RS384")
MOST_CHARACTERS = 16_000
_TYPES = frozenset({"JWT", "AT+JWT", "APPLICATION/AT+JWT"})
_LATEST = 253_402_300_799  # 9999-12-31, in seconds

Claims = Mapping[str, Any]


class InvalidToken(Exception):
    """A token that is no good; the text is one sentence, fit for its bearer. `expired`: a new one would do."""

    def __init__(self, text: str, *, expired: bool = False) -> None:
        super().__init__(text)
        self.expired = expired


@dataclass(frozen=True, slots=True)
class Introspection:
    """Where an issuer is asked about a token, and who asks. RFC 7662"""

    endpoint: str
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Trust:
    """What is demanded of the tokens of an issuer.

    `clients`: the only ones it may have given them to, where any are named; `skew`: seconds that clocks may differ by.
    """

    issuer: str
    audiences: frozenset[str]
    algorithms: frozenset[str]
    skew: int = 60
    clients: frozenset[str] = frozenset()
    introspection: Introspection | None = None
    jwks: str | None = None


class Issuer:
    """One trusted issuer: its tokens, judged."""

    def __init__(self, trust: Trust, *, clock: Callable[[], float] = time.time) -> None:
        self.trust = trust
        self._clock = clock
        self._keys = SigningKeys(self._jwks)
        self._discovered: tuple[float, Claims] | None = None

    async def discovered(self) -> Claims:
        """The issuer's own description, some minutes old at most. OpenID Connect Discovery 1.0. Raises IssuerAway."""
        if self._discovered is None or self._clock() - self._discovered[0] > FRESH:
            found = await fetched(f"{self.trust.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self.trust.issuer:
                raise IssuerAway("The issuer's own description names another issuer.")
            self._discovered = self._clock(), found
        return self._discovered[1]

    async def claims(self, token: str) -> Claims:
        """What the token says, all of it held to the trust. Raises InvalidToken or IssuerAway."""
        if self.trust.introspection:
            claims = await self._introspected(self.trust.introspection, token)
        else:
            claims = await self._verified(token)
        self._judge(claims)
        return claims

    async def _jwks(self) -> Claims:
        address = self.trust.jwks or (await self.discovered()).get("jwks_uri")
        try:
            return await fetched(str(address))
        except ValueError:
            raise IssuerAway("The issuer's own description names no address of its keys that may be used.") from None

    async def _verified(self, token: str) -> Claims:
        header = header_of(token)
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in self.trust.algorithms:
            raise InvalidToken("The token is signed by an algorithm that is not allowed here.")
        if "crit" in header or str(header.get("typ", "JWT")).upper() not in _TYPES:
            raise InvalidToken("The token is not an access token.")
        for key in await self._keys.those_for(str(algorithm), None if key_id is None else str(key_id)):
            try:
                signed = jws.deserialize_compact(token, key, algorithms=[str(algorithm)])
            except BadSignatureError:
                continue
            except (JoseError, ValueError) as error:
                raise InvalidToken("The token cannot be read.") from error
            return _object(signed.payload)
        raise InvalidToken("The token is not signed by a key of its issuer.")

    async def _introspected(self, by: Introspection, token: str) -> Claims:
        form = {"token": token, "token_type_hint": "access_token"}
        found = await fetched(by.endpoint, form, (by.client_id, by.client_secret))
        if found.get("active") is not True:
            raise InvalidToken("The issuer says that the token is not active.", expired=True)
        if "aud" not in found and client_of(found) not in self.trust.clients:
            raise InvalidToken("The token is meant for another server.")
        return {"iss": self.trust.issuer, "aud": list(self.trust.audiences), **found}

    def _judge(self, claims: Claims) -> None:
        now, skew = self._clock(), self.trust.skew
        if claims.get("iss") != self.trust.issuer:
            raise InvalidToken("The token is of another issuer.")
        audience = claims.get("aud")
        meant = {audience} if isinstance(audience, str) else {one for one in audience or () if isinstance(one, str)}
        if not meant & self.trust.audiences:
            raise InvalidToken("The token is meant for another server.")
        if (expiry := _moment(claims, "exp")) is None:
            raise InvalidToken("The token does not say when it expires.")
        if now >= expiry + skew:
            raise InvalidToken("The token has expired.", expired=True)
        if any((begins := _moment(claims, name)) is not None and now < begins - skew for name in ("nbf", "iat")):
            raise InvalidToken("The token is not valid yet.")
        if self.trust.clients and client_of(claims) not in self.trust.clients:
            raise InvalidToken("The token was given to a client that is not known here.")


def client_of(claims: Claims) -> str | None:
    """The software a token was given to. RFC 9068, OpenID Connect Core"""
    return next((value for name in ("client_id", "azp") if isinstance(value := claims.get(name), str) and value), None)


def header_of(token: str) -> Claims:
    """The header of a JWT, not yet believed. Raises InvalidToken."""
    return _part(token, 0)


def issuer_of(token: str) -> str | None:
    """The issuer a JWT says it is of, not yet believed; None of what is no JWT. Raises InvalidToken."""
    if token.count(".") != 2:
        return None
    return str(_part(token, 1).get("iss"))


def _part(token: str, index: int) -> Claims:
    part = token.split(".")[index]
    try:
        return _object(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError):
        raise InvalidToken("The token cannot be read.") from None


def _object(text: bytes) -> Claims:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise InvalidToken("The token cannot be read.")
    return found


def _moment(claims: Claims, name: str) -> float | None:
    """A NumericDate. Raises InvalidToken for what is none."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        raise InvalidToken("The token cannot be read.")
    return float(value)
