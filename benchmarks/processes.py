"""The servers that are measured: started as processes of their own, waited for, weighed and stopped."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from fhir_ins import child
from fhir_ins.store.mongod import LOOPBACK, free_port

READY_SECONDS = 60.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@contextmanager
def served(command: Sequence[str], environment: Mapping[str, str], ready: str, port: int) -> Iterator[int]:
    """Runs `command` until the end of the block; gives its pid once GET `ready` on `port` is no 5xx.

    The caller's own FHIR_INS_ settings are kept out: a run must not reach a real MongoDB or INSi.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_INS_")}
    with tempfile.TemporaryFile() as output:
        process = child.start(
            command, stdout=output, stderr=subprocess.STDOUT, environment={**inherited, **environment}
        )
        try:
            deadline = time.monotonic() + READY_SECONDS
            while not _answers(f"http://{LOOPBACK}:{port}{ready}"):
                if process.poll() is not None or time.monotonic() > deadline:
                    output.seek(0)
                    tail = "\n".join(output.read().decode("utf-8", "replace").splitlines()[-15:])
                    raise SystemExit(f"{' '.join(command)} did not become ready on port {port}:\n{tail}")
                time.sleep(0.05)
            yield process.pid
        finally:
            child.end(process)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5):
            return True
    except HTTPError as error:
        return error.code < 500
    except (URLError, OSError):
        return False


@contextmanager
def floor(mongodb_uri: str) -> Iterator[tuple[int, int]]:
    """The floor on one uvicorn worker: its port and pid."""
    port = free_port()
    options = ["--host", LOOPBACK, "--port", str(port), "--no-access-log", "--log-level", "warning"]
    command = [sys.executable, "-m", "uvicorn", "benchmarks.floor:app", *options]
    with served(command, {"FLOOR_MONGODB_URI": mongodb_uri}, "/none", port) as pid:
        yield port, pid


@contextmanager
def simulator() -> Iterator[dict[str, str]]:
    """An INSi simulator in a process of its own: the settings by which a server reaches it."""
    with tempfile.TemporaryDirectory() as pki:
        command = [sys.executable, "-m", "fhir_ins.simulator", "--port", "0", "--directory", pki]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout
                url = process.stdout.readline().split()[-1]
                yield {
                    "FHIR_INS_INSI_ENDPOINT": url,
                    "FHIR_INS_INSI_PKCS12": f"{pki}/client.p12",
                    "FHIR_INS_INSI_PKCS12_PASSPHRASE": "simulator",
                    "FHIR_INS_INSI_TRUST": f"{pki}/authority.pem",
                    "FHIR_INS_INSI_IDAM": "SIMULATEUR01",
                }
            finally:
                process.terminate()


@contextmanager
def server(mongodb_uri: str, settings: Mapping[str, str] | None = None) -> Iterator[tuple[int, int]]:
    """The server under test as its users run it, `fhir-ins serve`, on one worker: its port and pid."""
    port = free_port()
    environment = {
        "FHIR_INS_HOST": LOOPBACK,
        "FHIR_INS_PORT": str(port),
        "FHIR_INS_MONGODB_URI": mongodb_uri,
        "FHIR_INS_RIGHTS": "read,write,ins.fetch",
        "FHIR_INS_RATE_PER_MINUTE": "100000000",
        **(settings or {}),
    }
    with served([sys.executable, "-m", "fhir_ins", "serve"], environment, "/health/ready", port) as pid:
        yield port, pid


def memory(pid: int) -> int:
    """Bytes of memory a process holds now (Linux, resident set)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """User and system time spent so far by a process and its living descendants (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    own = (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
    return own + sum(cpu_seconds(int(child)) for child in children)
