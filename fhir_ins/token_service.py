"""An issuer of access tokens for trying this server out: it believes whoever asks, and gives every scope.

OAuth 2.0 client credentials (RFC 6749, 4.4) with what SMART discovery and JWKS need. It listens on this machine alone;
its key lives as long as its process.

    python -m fhir_ins.token_service --port 0
"""

import argparse
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from fhir_ins.store.mongod import free_port

SECONDS = 3600
CLIENT = "sandbox-client"

Key = ECKey | RSAKey


class TokenService:
    """What one issuer gives out, for one audience; `keys` are those it publishes, the first of them signs."""

    def __init__(self, issuer: str, audience: str, keys: list[Key] | None = None) -> None:
        self.issuer = issuer
        self.audience = audience
        self.keys = keys or [ECKey.generate_key("P-256", {"kid": uuid4().hex, "use": "sig"})]

    def token(
        self, claims: Mapping[str, Any], *, key: Key | None = None, header: Mapping[str, Any] | None = None
    ) -> str:
        """A token with these claims, beside those that every token has; claims of None are left out."""
        signing, now = key or self.keys[0], int(time.time())
        stated = {
            "iss": self.issuer,
            "aud": self.audience,
            "iat": now,
            "exp": now + SECONDS,
            "jti": uuid4().hex,
            **claims,
        }
        algorithm = "ES256" if isinstance(signing, ECKey) else "RS256"
        named = {"alg": algorithm, "typ": "at+jwt", "kid": signing.kid, **(header or {})}
        known = {name: value for name, value in stated.items() if value is not None}
        return jwt.encode(named, known, signing, algorithms=[str(named["alg"])])

    def application(self) -> Starlette:
        routes = [
            Route("/.well-known/openid-configuration", self._description),
            Route("/jwks", self._jwks),
            Route("/token", self._token, methods=["POST"]),
        ]
        return Starlette(routes=routes)

    async def _description(self, _request: Request) -> JSONResponse:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "jwks_uri": f"{self.issuer}/jwks",
                "token_endpoint": f"{self.issuer}/token",
                "grant_types_supported": ["client_credentials"],
                "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
            }
        )

    async def _jwks(self, _request: Request) -> JSONResponse:
        return JSONResponse(KeySet([*self.keys]).as_dict(private=False))

    async def _token(self, request: Request) -> JSONResponse:
        """`scope` as wished; `user`, a professional for whom the client acts, is ours to offer."""
        asked = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        if asked.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        client = asked.get("client_id", CLIENT)
        scope = asked.get("scope", "system/*.cruds")
        claims = {
            "client_id": client,
            "sub": asked.get("user", client),
            "scope": scope,
        }
        answer = {"access_token": self.token(claims), "token_type": "Bearer", "expires_in": SECONDS, "scope": scope}
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def main() -> None:
    """Read the options and serve until a signal."""
    options = argparse.ArgumentParser(prog="python -m fhir_ins.token_service", description="Tokens for trying out.")
    options.add_argument("--port", type=int, default=8090, help="0 picks a free one")
    options.add_argument("--host", default="127.0.0.1", help="address to listen on; it is still named 127.0.0.1")
    options.add_argument("--audience", default="http://127.0.0.1:8080/fhir", help="the server they are meant for")
    chosen = options.parse_args()
    port = chosen.port or free_port()
    issuer = f"http://127.0.0.1:{port}"
    print(f"Tokens: {issuer}", flush=True)
    service = TokenService(issuer, chosen.audience)
    uvicorn.run(service.application(), host=chosen.host, port=port, log_config=None, access_log=False)


if __name__ == "__main__":
    main()
