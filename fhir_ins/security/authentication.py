"""Who is calling: the bearer of an access token, a client that shows a certificate, or, where it is let, anybody.

A token prevails over a certificate; one that is bound to a certificate (RFC 8705) is good with that certificate only.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509

from fhir_ins.fhir.outcome import Forbidden, Unauthenticated, Unavailable
from fhir_ins.security.access_file import Access
from fhir_ins.security.bearers import Bearer, bearer
from fhir_ins.security.caller import Caller
from fhir_ins.security.client_certificate import thumbprint
from fhir_ins.security.fetching import IssuerAway
from fhir_ins.security.tokens import MOST_CHARACTERS, InvalidToken, Issuer, issuer_of

_MOST_REMEMBERED = 10_000
_REMEMBERED_SECONDS = 60.0  # a token that was revoked, or a key that was withdrawn, is believed no longer than this
_REALM = 'Bearer realm="fhir-ins"'


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request shows of who sends it; `tenant` is the structure that its address names."""

    tenant: str
    token: str | None
    certificate: x509.Certificate | None

    def __repr__(self) -> str:  # a token lets in whoever reads it in a log
        return f"Credentials({self.tenant})"


class Authentication:
    """Judges credentials by the access that is configured; tokens found good are remembered for a short time."""

    def __init__(self, access: Access, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._access = access
        self.issuers = {trust.issuer: Issuer(trust, clock=clock) for trust, _ in access.issuers}
        self._understandings = {trust.issuer: understanding for trust, understanding in access.issuers}
        self._remembered: OrderedDict[bytes, tuple[float, Bearer]] = OrderedDict()

    def issuers_of(self, tenant: str) -> list[Issuer]:
        """Those whose tokens may be of this structure."""
        return [
            issuer for name, issuer in self.issuers.items() if tenant in self._understandings[name].tenants.values()
        ]

    async def caller(self, credentials: Credentials) -> Caller | None:
        """The caller; None where nothing says who it is.

        Raises Unauthenticated for what is no good, Forbidden for another structure, Unavailable while its issuer cannot
        be asked.
        """
        if credentials.token is not None:
            return await self._bearing(credentials, credentials.token)
        if credentials.certificate is not None:
            client = self._access.clients.get(thumbprint(credentials.certificate))
            if client is None:
                raise _invalid("The client's certificate is not known here: send an access token.")
            _require_tenant(credentials.tenant, frozenset({client.tenant}))
            return Caller(client.tenant, client.name, client.granted.rights, access=client.granted.access)
        return None

    async def _bearing(self, credentials: Credentials, token: str) -> Caller:
        try:
            found = await self._bearer(token)
        except InvalidToken as error:
            raise _invalid(str(error), code="expired" if error.expired else "unknown") from error
        except IssuerAway as error:
            raise Unavailable(f"{error} The token cannot be judged: try again later.", Retry_After="10") from error
        if found.certificate is not None and (
            credentials.certificate is None or thumbprint(credentials.certificate) != found.certificate
        ):
            raise _invalid("The token is bound to a certificate, which the client did not show.")
        _require_tenant(credentials.tenant, found.tenants)
        return found.caller(credentials.tenant)

    async def _bearer(self, token: str) -> Bearer:
        if len(token) > MOST_CHARACTERS:
            raise InvalidToken("The token cannot be read.")
        key, now = hashlib.sha256(token.encode()).digest(), self._clock()
        if (remembered := self._remembered.get(key)) and now < remembered[0]:
            return remembered[1]
        found = await self._judged(token)
        self._remembered[key] = (min(now + _REMEMBERED_SECONDS, found.expires), found)
        self._remembered.move_to_end(key)
        if len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        return found

    async def _judged(self, token: str) -> Bearer:
        named = issuer_of(token)
        if named is not None:
            issuer = self.issuers.get(named)
            if issuer is None:
                raise InvalidToken("The token is of an issuer that is not trusted here.")
            return await self._claimed(issuer, token)
        asked = [issuer for issuer in self.issuers.values() if issuer.trust.introspection]
        for index, issuer in enumerate(asked):
            try:
                return await self._claimed(issuer, token)
            except InvalidToken:
                if index == len(asked) - 1:
                    raise
        raise InvalidToken("The token cannot be read.")

    async def _claimed(self, issuer: Issuer, token: str) -> Bearer:
        return bearer(await issuer.claims(token), self._understandings[issuer.trust.issuer])


def unauthenticated() -> Unauthenticated:
    """What a caller is told who says nothing of who it is."""
    return Unauthenticated(
        "An access token is needed: send Authorization: Bearer, with a token of an issuer that "
        "[base]/.well-known/smart-configuration names.",
        WWW_Authenticate=_REALM,
    )


def _invalid(text: str, code: str = "unknown") -> Unauthenticated:
    return Unauthenticated(
        text, code=code, WWW_Authenticate=f'{_REALM}, error="invalid_token", error_description="{text}"'
    )


def _require_tenant(asked: str, held: frozenset[str]) -> None:
    """The same answer for a structure of others and for none at all."""
    if asked not in held:
        raise Forbidden("The caller is not of the structure that the address names.")
