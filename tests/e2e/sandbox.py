"""Running `fhir-ins sandbox` as a person does: a process of its own, in a directory of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from log_watch import gather_file

from fhir_ins.store.mongod import free_port

START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox: its process, what it has printed so far, its base URL."""

    process: subprocess.Popen[str]
    output: Path
    port: int

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/fhir"

    @property
    def printed(self) -> str:
        return self.output.read_text()

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.base, timeout=30)

    def children(self) -> dict[str, int]:
        """The processes of the parts, by what their command line says."""
        found: dict[str, int] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _parent(entry) == self.process.pid:
                words = {Path(word).name for word in (entry / "cmdline").read_text().split("\0")}
                found |= {name: int(entry.name) for name in ("mongod", "simulator", "serve") if name in words}
                found |= {"tokens": int(entry.name)} if "fhir_ins.token_service" in words else {}
        return found

    def wait(self) -> int:
        return self.process.wait(40)


@contextmanager
def running(directory: Path, **environment: str) -> Iterator[Sandbox]:
    """A sandbox that answers; stopped as Ctrl-C stops it."""
    sandbox = start(directory, **environment)
    try:
        yield sandbox
    finally:
        if sandbox.process.poll() is None:
            sandbox.process.send_signal(signal.SIGINT)
            sandbox.wait()
        gather_file(directory / ".sandbox" / "server.log")


def start(directory: Path, **environment: str) -> Sandbox:
    directory.mkdir(exist_ok=True)
    port, output = free_port(), directory / "printed.txt"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_INS_")}
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "fhir_ins", "sandbox"],
            cwd=directory,
            env={**kept, "FHIR_INS_PORT": str(port), **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
        )
    sandbox = Sandbox(process, output, port)
    deadline = time.monotonic() + START_SECONDS
    while "Ctrl-C stops everything" not in sandbox.printed and process.poll() is None:
        assert time.monotonic() < deadline, sandbox.printed
        time.sleep(0.05)
    return sandbox


def _parent(process: Path) -> int | None:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None
