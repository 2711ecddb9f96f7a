"""Servers that are processes of their own, so that a test may kill them."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
from log_watch import gather_file

from fhir_ins.settings import Settings
from fhir_ins.store.mongod import free_port


@contextmanager
def process(settings: Settings, log: Path, **changes: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`fhir-ins serve` as a process of its own, and its base URL."""
    port = free_port()
    values = {
        "mongodb_uri": settings.mongodb_uri.get_secret_value(),
        "mongodb_database": settings.mongodb_database,
        "tenant": settings.tenant,
        "rights": ",".join(settings.rights),
        "insi_endpoint": str(settings.insi_endpoint),
        "insi_pkcs12": str(settings.insi_pkcs12),
        "insi_pkcs12_passphrase": settings.insi_pkcs12_passphrase.get_secret_value(),
        "insi_trust": str(settings.insi_trust),
        "insi_idam": settings.insi_idam,
        "port": str(port),
        **changes,
    }
    environment = {**os.environ, **{f"FHIR_INS_{name.upper()}": value for name, value in values.items()}}
    with log.open("wb") as output:
        command = [sys.executable, "-m", "fhir_ins", "serve"]
        running = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield running, f"http://127.0.0.1:{port}/fhir"
    finally:
        running.kill()
        running.wait()
        gather_file(log)


async def answering(fhir: httpx.AsyncClient) -> None:
    """Wait until the server has started."""
    for _ in range(1200):
        with suppress(httpx.ConnectError):
            await fhir.get("/metadata")
            return
        await asyncio.sleep(0.05)
