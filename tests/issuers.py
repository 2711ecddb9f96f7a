"""An issuer of tokens inside a test: the token service of the sandbox on a real socket, with every way to be wrong."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from joserfc.jwk import ECKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from fhir_ins.store.mongod import free_port
from fhir_ins.token_service import TokenService

AUDIENCE = "https://fhir.example.fr/fhir"


class Issuer(TokenService):
    """A token service that counts who asks for its keys, and that can be asked about opaque tokens."""

    def __init__(self, url: str) -> None:
        super().__init__(url, AUDIENCE, [ECKey.generate_key("P-256", {"kid": "first", "use": "sig"})])
        self.asked_for_keys = 0
        self.opaque: dict[str, dict[str, Any]] = {}  # what is said of each opaque token
        self.asked_about: list[tuple[str, str]] = []  # the credentials and the token of each introspection
        self.away = False

    def rotate(self, key: ECKey | RSAKey) -> None:
        """From now on this key signs, and only it is published."""
        self.keys[:] = [key]

    def application(self) -> Starlette:
        app = super().application()
        app.router.routes.append(Route("/introspect", self._introspect, methods=["POST"]))
        return app

    async def _jwks(self, request: Request) -> JSONResponse:
        self.asked_for_keys += 1
        return JSONResponse({}, 500) if self.away else await super()._jwks(request)

    async def _introspect(self, request: Request) -> JSONResponse:
        token = (await request.body()).decode().partition("token=")[2].partition("&")[0]
        self.asked_about.append((request.headers.get("authorization", ""), token))
        if self.away:
            return JSONResponse({}, 500)
        return JSONResponse(self.opaque.get(token, {"active": False}))


@asynccontextmanager
async def issuing() -> AsyncIterator[Issuer]:
    """An issuer that answers."""
    port = free_port()
    issuer = Issuer(f"http://127.0.0.1:{port}")
    config = uvicorn.Config(issuer.application(), port=port, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.005)
    try:
        yield issuer
    finally:
        server.should_exit = True
        await serving


def access_file(directory: Path, issuer: Issuer, text: str = "", *, of_issuer: str = "", head: str = "") -> Path:
    """The file that trusts this issuer; `of_issuer` are further keys of its table."""
    file = directory / "access.toml"
    table = f'[[issuers]]\nissuer = "{issuer.issuer}"\naudience = "{issuer.audience}"\n{of_issuer}\n'
    file.write_text(f"{head}\n{table}\n{text}\n")
    return file
