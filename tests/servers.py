"""Running a FHIR server inside a test: the real application, on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import uvicorn

from fhir_ins.app import application
from fhir_ins.security.caller import Right
from fhir_ins.settings import Settings

SANDBOX_RIGHTS = frozenset({Right.READ, Right.WRITE, Right.FETCH, Right.VERIFY, Right.QUALIFY})

StartServer = Callable[..., Awaitable[httpx.AsyncClient]]


class _Server(uvicorn.Server):
    """A server whose signals stay pytest's."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        serving = asyncio.create_task(self._serve())
        while not self.started:
            await asyncio.sleep(0.005)
            if serving.done():
                await serving
        port = self.servers[0].sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}/fhir"
        finally:
            self.should_exit = True
            await serving


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[str]:
    config = uvicorn.Config(application(settings), port=0, log_config=None, access_log=False, server_header=False)
    async with _Server(config).running() as url:
        yield url
