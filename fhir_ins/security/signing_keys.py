"""The keys an issuer signs with: fetched, kept, and fetched again when they rotate. RFC 7517

A key that is not known is looked for at once, but no oftener than every `COOL` seconds, whatever tokens come. An issuer
that does not answer is believed by its last keys for `LONGEST` seconds.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey, import_key

from fhir_ins.security.fetching import IssuerAway

FRESH = 600.0
COOL = 10.0
LONGEST = 86_400.0
_LEAST_RSA_BITS = 2048
_MOST_KEYS = 50
_PUBLIC = frozenset({"kty", "kid", "alg", "n", "e", "crv", "x", "y"})

Key = RSAKey | ECKey
Fetch = Callable[[], Awaitable[Mapping[str, Any]]]


class SigningKeys:
    """The keys of one issuer; `fetch` brings its JWK Set, or raises IssuerAway."""

    def __init__(self, fetch: Fetch, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: list[Key] = []
        self._fetched: float | None = None  # when these keys came
        self._tried: float | None = None
        self._away: IssuerAway | None = None  # why the last attempt brought none
        self._lock = asyncio.Lock()

    async def those_for(self, algorithm: str, key_id: str | None) -> list[Key]:
        """The keys that may have signed with this algorithm: that of the id, or all where a token names none.

        Raises IssuerAway where no keys are at hand.
        """
        if self._older(self._fetched, FRESH):
            await self._refresh(FRESH)
        found = self._fitting(algorithm, key_id)
        if not found and self._older(self._tried, COOL):
            await self._refresh(COOL)
            found = self._fitting(algorithm, key_id)
        return found

    def _older(self, moment: float | None, seconds: float) -> bool:
        return moment is None or self._clock() - moment > seconds

    async def _refresh(self, seconds: float) -> None:
        """Fetch the keys, unless another request has just done so. Raises IssuerAway where there are none to use."""
        async with self._lock:
            if not self._older(self._fetched if seconds == FRESH else self._tried, seconds):
                return
            if self._older(self._tried, COOL):
                self._tried = self._clock()
                try:
                    self._keys, self._away = list(_usable(await self._fetch())), None
                    self._fetched = self._clock()
                except IssuerAway as error:
                    self._away = error
            if self._away and self._older(self._fetched, LONGEST):
                raise self._away

    def _fitting(self, algorithm: str, key_id: str | None) -> list[Key]:
        return [key for key in self._keys if (key_id is None or key.kid == key_id) and _fits(key, algorithm)]


def _usable(jwks: Mapping[str, Any]) -> Iterator[Key]:
    """The keys of a JWK Set that may verify a signature; others in it are none of our business."""
    listed = jwks.get("keys")
    for jwk in (listed if isinstance(listed, list) else [])[:_MOST_KEYS]:
        if not isinstance(jwk, dict) or jwk.get("kty") not in ("RSA", "EC") or jwk.get("use", "sig") != "sig":
            continue
        if jwk["kty"] == "RSA" and len(str(jwk.get("n"))) * 6 < _LEAST_RSA_BITS:  # in base64url
            continue
        public = {name: value for name, value in jwk.items() if name in _PUBLIC}
        try:
            key = import_key(public)
        except (JoseError, ValueError, TypeError):
            continue
        if isinstance(key, Key):
            yield key


def _fits(key: Key, algorithm: str) -> bool:
    if key.alg not in (None, algorithm):
        return False
    if isinstance(key, ECKey):
        return {"P-256": "ES256", "P-384": "ES384"}.get(key.curve_name) == algorithm
    return algorithm[:2] in ("RS", "PS")
