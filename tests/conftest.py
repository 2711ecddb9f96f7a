"""The real parts every test may use: a mongod, an INSi simulator over mTLS, FHIR servers on free ports.

Each test has a tenant of its own, so tests share one database and never meet.
"""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from languages import said_in_french_too
from log_watch import logs_name_nobody
from servers import SANDBOX_RIGHTS, StartServer, serving

from fhir_ins.security.caller import Right
from fhir_ins.settings import Settings
from fhir_ins.store.mongod import Mongod

__all__ = ["logs_name_nobody"]


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: tests wait for processes they start, for locks and for clocks."""
    return (os.cpu_count() or 1) + 1


@dataclass(frozen=True, slots=True)
class Simulator:
    """A running simulator: where it is, and the PKI its clients use."""

    url: str
    pki: Path


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    with Mongod.start(tmp_path_factory.mktemp("mongodb")) as running:
        yield running


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    pki = tmp_path_factory.mktemp("pki")
    command = [sys.executable, "-m", "fhir_ins.simulator", "--port", "0", "--directory", str(pki)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield Simulator(process.stdout.readline().partition(": ")[2].strip(), pki)
        process.terminate()


@pytest.fixture
def tenant() -> str:
    return uuid4().hex


@pytest.fixture
def settings(mongod: Mongod, simulator: Simulator, tenant: str) -> Settings:
    """The sandbox's configuration, in this test's tenant."""
    return Settings(
        mongodb_uri=mongod.uri,
        mongodb_database="tests",
        tenant=tenant,
        rights=SANDBOX_RIGHTS,
        insi_endpoint=simulator.url,
        insi_pkcs12=simulator.pki / "client.p12",
        insi_pkcs12_passphrase="simulator",
        insi_trust=simulator.pki / "authority.pem",
        insi_idam="SIMULATEUR01",
    )


@pytest.fixture
async def start_server(settings: Settings) -> AsyncIterator[StartServer]:
    """Start a server with these settings changed; answers a client of its base URL. All stop with the test."""
    async with AsyncExitStack() as stack:

        async def start(**changes: object) -> httpx.AsyncClient:
            url = await stack.enter_async_context(serving(Settings(**{**settings.model_dump(), **changes})))
            # no TLS: no context to make for each
            client = httpx.AsyncClient(
                base_url=url, timeout=30, verify=False, event_hooks={"response": [said_in_french_too]}
            )
            return await stack.enter_async_context(client)

        yield start


@pytest.fixture
async def fhir(start_server: StartServer) -> httpx.AsyncClient:
    """A client of a server with the sandbox's rights."""
    return await start_server()


@pytest.fixture
async def reference(start_server: StartServer) -> httpx.AsyncClient:
    """A client that also holds ins.reference, on the same data."""
    return await start_server(rights=SANDBOX_RIGHTS | {Right.REFERENCE})
