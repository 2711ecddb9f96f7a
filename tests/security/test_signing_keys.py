"""The keys of an issuer over time: fetched when needed, not oftener, and believed for a while when it is away."""

from collections.abc import Mapping
from typing import Any

import pytest
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from fhir_ins.security.fetching import IssuerAway
from fhir_ins.security.signing_keys import COOL, FRESH, LONGEST, SigningKeys

FIRST = ECKey.generate_key("P-256", {"kid": "first"})
SECOND = RSAKey.generate_key(2048, {"kid": "second"})
with pytest.warns(SecurityWarning):
    WEAK = RSAKey.generate_key(1024, {"kid": "weak"})


class Issuer:
    """What it publishes, how often it was asked, and whether it answers; the clock is the test's."""

    def __init__(self) -> None:
        self.published: list[Any] = [FIRST]
        self.asked, self.away, self.now = 0, False, 1000.0
        self.keys = SigningKeys(self._jwks, clock=lambda: self.now)

    async def _jwks(self) -> Mapping[str, Any]:
        self.asked += 1
        if self.away:
            raise IssuerAway("The issuer at idp.example.fr does not answer.")
        return KeySet(self.published).as_dict(private=False)

    async def knows(self, algorithm: str, key_id: str | None) -> bool:
        return bool(await self.keys.those_for(algorithm, key_id))


async def test_keys_are_fetched_once_and_again_when_they_are_old() -> None:
    issuer = Issuer()
    assert [await issuer.knows("ES256", "first") for _ in range(3)] == [True] * 3
    assert issuer.asked == 1
    issuer.now += FRESH + 1
    assert await issuer.knows("ES256", "first")
    assert issuer.asked == 2


async def test_an_unknown_key_is_looked_for_at_once_but_not_at_every_token() -> None:
    issuer = Issuer()
    assert await issuer.knows("ES256", "first")
    issuer.published = [SECOND]
    issuer.now += COOL + 1
    assert await issuer.knows("RS256", "second")
    assert not await issuer.knows("ES256", "first"), "a key that was withdrawn is no longer believed"
    for _ in range(20):
        assert not await issuer.knows("ES256", "made up")
    assert issuer.asked == 2


async def test_an_issuer_that_is_away_is_believed_by_its_last_keys_for_a_while() -> None:
    issuer = Issuer()
    assert await issuer.knows("ES256", "first")
    issuer.away, issuer.now = True, issuer.now + FRESH + 1
    assert await issuer.knows("ES256", "first")
    issuer.now += LONGEST
    with pytest.raises(IssuerAway):
        await issuer.knows("ES256", "first")


async def test_an_issuer_that_never_answered_is_not_asked_at_every_token() -> None:
    issuer = Issuer()
    issuer.away = True
    for _ in range(5):
        with pytest.raises(IssuerAway):
            await issuer.knows("ES256", "first")
    assert issuer.asked == 1
    issuer.away, issuer.now = False, issuer.now + COOL + 1
    assert await issuer.knows("ES256", "first")


@pytest.mark.parametrize(
    ("algorithm", "key_id", "fits"),
    [
        ("ES256", "first", True),
        ("ES256", None, True),
        ("ES384", "first", False),
        ("RS256", "first", False),
        ("RS256", "second", True),
        ("PS256", "second", True),
        ("ES256", "second", False),
        ("RS256", "weak", False),
        ("RS256", "for encryption", False),
        ("RS256", "of one algorithm", False),
        ("PS256", "of one algorithm", True),
        ("HS256", "secret", False),
    ],
)
async def test_a_key_verifies_what_it_is_made_for(algorithm: str, key_id: str | None, fits: bool) -> None:
    issuer = Issuer()
    encryption = RSAKey.import_key(SECOND.as_dict(private=False), {"kid": "for encryption", "use": "enc"})
    pinned = RSAKey.import_key(SECOND.as_dict(private=False), {"kid": "of one algorithm", "alg": "PS256"})
    issuer.published = [FIRST, SECOND, WEAK, encryption, pinned]
    found = await issuer.keys.those_for(algorithm, key_id)
    assert bool(found) is fits


@pytest.mark.parametrize("jwks", [{}, {"keys": 1}, {"keys": [1, {}, {"kty": "RSA"}, {"kty": "EC", "crv": "P-256"}]}])
async def test_what_is_no_key_is_passed_over(jwks: Mapping[str, Any]) -> None:
    async def fetch() -> Mapping[str, Any]:
        return jwks

    assert await SigningKeys(fetch).those_for("ES256", None) == []


async def test_a_symmetric_key_is_never_used() -> None:
    async def fetch() -> Mapping[str, Any]:
        return {"keys": [OctKey.import_key("a secret that is long enough", {"kid": "secret"}).as_dict(private=True)]}

    assert await SigningKeys(fetch).those_for("HS256", "secret") == []
