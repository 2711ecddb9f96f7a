"""Running a FHIR server inside a test: the real application, on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from socket import socket

import httpx
import uvicorn
from starlette.types import ASGIApp

from fhir_ins.app import application
from fhir_ins.security.caller import Right
from fhir_ins.serving import uvicorn_options
from fhir_ins.settings import Settings

SANDBOX_RIGHTS = frozenset({Right.READ, Right.WRITE, Right.FETCH, Right.VERIFY, Right.QUALIFY})

StartServer = Callable[..., Awaitable[httpx.AsyncClient]]


class _Server(uvicorn.Server):
    """A server whose signals stay pytest's, and that stops at once: uvicorn's own looks up every tenth of a second."""

    async def main_loop(self) -> None:
        while not self.should_exit:
            await self.on_tick(0)
            await asyncio.sleep(0.01)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.005)
        for server in self.servers:
            await server.wait_closed()
        await self.lifespan.shutdown()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        serving = asyncio.create_task(self._serve())
        while not self.started:
            await asyncio.sleep(0.005)
            if serving.done():
                await serving
        port = self.servers[0].sockets[0].getsockname()[1]
        try:
            yield f"http{'s' if self.config.is_ssl else ''}://127.0.0.1:{port}/fhir"
        finally:
            self.should_exit = True
            await serving


@asynccontextmanager
async def serving(settings: Settings, app: ASGIApp | None = None) -> AsyncIterator[str]:
    """A server with these settings, of the whole application or of another; its base URL."""
    config = uvicorn.Config(app or application(settings), port=0, **uvicorn_options(settings))
    async with _Server(config).running() as url:
        yield url
