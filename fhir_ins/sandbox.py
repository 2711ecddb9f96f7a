"""The sandbox: a real mongod, an INSi simulator over mTLS and the FHIR server, on loopback, on one command.

Three child processes under one parent: Ctrl-C stops them in order, and what they stored is there at the next start.
It refuses a real INSi endpoint and a MongoDB that is not on this machine.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

from pydantic import ValidationError
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from fhir_ins import child
from fhir_ins.reindex import reindex
from fhir_ins.security.audit.checkpoints import write_signing_key
from fhir_ins.security.caller import Right
from fhir_ins.settings import Settings
from fhir_ins.simulated import SimulatorFailed, simulated_insi
from fhir_ins.store.database import SchemaTooNew
from fhir_ins.store.mongod import Mongod, MongodError

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_RIGHTS = (Right.READ, Right.WRITE, Right.FETCH, Right.VERIFY, Right.QUALIFY)
_START_SECONDS = 60.0

_BANNER = """
fhir-ins sandbox: http://127.0.0.1:{port}/fhir

  Read      http://127.0.0.1:{port}/docs (what it does, with examples)
  MongoDB   {mongodb}
  INSi      {insi}
  Log       {log}
  Callers   need no token here and hold: {rights}
  Tokens    {tokens}

Try it (in another terminal):

  curl -s http://127.0.0.1:{port}/fhir/Patient/\\$ins-fetch -H 'Content-Type: application/fhir+json' -d '{{
    "resourceType": "Parameters", "parameter": [
      {{"name": "family", "valueString": "ADRUN"}}, {{"name": "given", "valueString": "ZOE"}},
      {{"name": "gender", "valueCode": "female"}}, {{"name": "birthDate", "valueDate": "1975-12-31"}}]}}'

  curl -s 'http://127.0.0.1:{port}/fhir/Patient?family=adrun'

Ctrl-C stops everything; the data stay in {directory}.
"""


class SandboxError(Exception):
    """The sandbox cannot start; the text says why and what to do."""


def run(port: int, directory: Path) -> None:
    """Start everything, say so, and wait for Ctrl-C (or SIGTERM), or for a part that cannot be missed to end."""
    _refuse_the_real_world(os.environ)
    _require_free(port)
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    with _stop_signals() as stopped, ExitStack() as parts:
        try:
            mongodb, mongod = _mongodb(parts, directory)
        except MongodError as error:
            raise SandboxError(str(error)) from error
        _bring_up_to_date(mongodb)
        insi, simulator = _insi(parts, directory)
        access, tokens = _access(parts, directory, port)
        settings = {**insi, **access, **_audit(directory), "FHIR_INS_MONGODB_URI": mongodb}
        server = _server(parts, directory, port, settings)
        print(_banner(port, directory, mongodb, insi, simulator, tokens), flush=True)
        _watch(stopped, {"MongoDB": mongod, "The FHIR server": server}, {"The INSi simulator": simulator})
        print("Stopping…", flush=True)


def _mongodb(parts: ExitStack, directory: Path) -> tuple[str, subprocess.Popen[bytes] | None]:
    if uri := os.environ.get("FHIR_INS_MONGODB_URI"):
        return uri, None
    mongod = parts.enter_context(Mongod.start(directory / "mongodb"))
    return mongod.uri, mongod.process


def _bring_up_to_date(mongodb: str) -> None:
    """What an earlier release, or another FHIR_INS_FR_CORE, wrote here is written as this server does."""
    try:
        configured: dict[str, Any] = {"mongodb_uri": mongodb}
        count = asyncio.run(reindex(Settings(**configured), only_if_needed=True))
    except ValidationError as error:
        raise SandboxError(
            "; ".join(f"FHIR_INS_{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        ) from error
    except (PyMongoError, SchemaTooNew) as error:
        raise SandboxError(f"The MongoDB of the sandbox cannot be used: {error}") from error
    if count.seen:
        print(f"Reindexed {count.seen} resources of an earlier start.", flush=True)


def _insi(parts: ExitStack, directory: Path) -> tuple[Mapping[str, str], subprocess.Popen[bytes] | None]:
    """The settings of the téléservice: as configured (then on loopback), else those of our simulator."""
    if "FHIR_INS_INSI_ENDPOINT" in os.environ:
        return {"FHIR_INS_INSI_ENDPOINT": os.environ["FHIR_INS_INSI_ENDPOINT"]}, None
    try:
        simulated = parts.enter_context(simulated_insi(directory))
    except SimulatorFailed as error:
        raise SandboxError(str(error)) from error
    settings = {f"FHIR_INS_{name.upper()}": value for name, value in simulated.settings.items()}
    return settings, simulated.process


def _access(parts: ExitStack, directory: Path, port: int) -> tuple[Mapping[str, str], str | None]:
    """The settings of who is let in, and the issuer of tokens: as configured, else a token service of our own."""
    if "FHIR_INS_ACCESS" in os.environ:
        return {}, None
    audience, log = f"http://127.0.0.1:{port}/fhir", directory / "tokens.log"
    command = [sys.executable, "-m", "fhir_ins.token_service", "--port", "0", "--audience", audience]
    with log.open("wb") as output:
        process = child.start(command, stdout=subprocess.PIPE, stderr=output)
    parts.callback(child.end, process)
    assert process.stdout is not None  # noqa: S101 - it was asked for
    issuer = process.stdout.readline().decode().partition(": ")[2].strip()
    if not issuer:
        raise SandboxError(f"The token service did not start; its log says:\n{_last_lines(log)}")
    file = directory / "access.toml"
    file.write_text(f'[[issuers]]\nissuer = "{issuer}"\naudience = "{audience}"\n', "utf-8")
    return {"FHIR_INS_ACCESS": str(file)}, issuer


def _audit(directory: Path) -> Mapping[str, str]:
    """The settings of the audit trail: as configured, else with keys made here once."""
    if "FHIR_INS_AUDIT_KEY" in os.environ:
        return {}
    kept = directory / "audit"
    kept.mkdir(exist_ok=True)
    key, signing = kept / "key", kept / "signing.pem"
    if not key.exists():
        with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
            out.write(b64encode(os.urandom(32)).decode())
    if not signing.exists():
        write_signing_key(signing)
    return {
        "FHIR_INS_AUDIT_KEY": key.read_text(),
        "FHIR_INS_AUDIT_SIGNING_KEY": str(signing),
        "FHIR_INS_AUDIT_CHECKPOINTS": str(kept / "checkpoints"),
    }


def _server(parts: ExitStack, directory: Path, port: int, settings: Mapping[str, str]) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        **settings,
        "FHIR_INS_HOST": "127.0.0.1",
        "FHIR_INS_PORT": str(port),
        "FHIR_INS_RIGHTS": ",".join(right.value for right in _RIGHTS),
    }
    log = directory / "server.log"
    with log.open("ab") as output:
        command = [sys.executable, "-m", "fhir_ins", "serve"]
        process = child.start(command, stdout=output, stderr=subprocess.STDOUT, environment=environment)
    parts.callback(child.end, process, seconds=30.0)
    deadline = time.monotonic() + _START_SECONDS
    while not _is_ready(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SandboxError(f"The FHIR server did not start; the last lines of {log} say why:\n{_last_lines(log)}")
        time.sleep(0.05)
    return process


def _watch(
    stopped: list[int],
    needed: Mapping[str, subprocess.Popen[bytes] | None],
    missed: Mapping[str, subprocess.Popen[bytes] | None],
) -> None:
    """Return when a stop signal came; raise when a needed part ended by itself; only tell when another one did."""
    told: set[str] = set()
    while not stopped:
        for name, process in needed.items():
            if process and process.poll() is not None:
                raise SandboxError(f"{name} ended (code {process.returncode}): everything else was stopped too.")
        for name, process in missed.items():
            if process and process.poll() is not None and name not in told:
                told.add(name)
                print(
                    f"{name} ended: $ins-fetch and $ins-verify answer 503 from now on, the rest goes on.",
                    flush=True,
                )
        time.sleep(0.1)


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """The stop signals received so far; the parts are stopped by us, in order, not by the terminal."""
    received: list[int] = []
    former = {
        number: signal.signal(number, lambda caught, _frame: received.append(caught))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield received
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _refuse_the_real_world(environment: Mapping[str, str]) -> None:
    endpoint = environment.get("FHIR_INS_INSI_ENDPOINT")
    if endpoint and urlsplit(endpoint).hostname not in _LOOPBACK:
        raise SandboxError(
            "The sandbox never talks to a real INSi: unset FHIR_INS_INSI_ENDPOINT, or run `fhir-ins serve`."
        )
    if environment.get("FHIR_INS_INSI_TENANTS"):
        raise SandboxError(
            "The sandbox has one structure and never talks to a real INSi: unset FHIR_INS_INSI_TENANTS, or run "
            "`fhir-ins serve`."
        )
    if uri := environment.get("FHIR_INS_MONGODB_URI"):
        try:
            hosts = parse_uri(uri, validate=False)["nodelist"] if not uri.startswith("mongodb+srv:") else [("srv", 0)]
        except (PyMongoError, ValueError) as error:
            raise SandboxError("FHIR_INS_MONGODB_URI is not a MongoDB URI.") from error
        if any(host not in _LOOPBACK for host, _ in hosts):
            raise SandboxError(
                "The sandbox writes to a MongoDB on this machine only: unset FHIR_INS_MONGODB_URI, "
                "or run `fhir-ins serve`."
            )


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise SandboxError(
                f"Port {port} is in use: stop what listens there, or choose another one: "
                "FHIR_INS_PORT=8081 make sandbox."
            ) from error


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _banner(
    port: int,
    directory: Path,
    mongodb: str,
    insi: Mapping[str, str],
    simulator: subprocess.Popen[bytes] | None,
    tokens: str | None,
) -> str:
    endpoint = insi["FHIR_INS_INSI_ENDPOINT"]
    return _BANNER.format(
        port=port,
        directory=_shown(directory),
        mongodb=mongodb.partition("?")[0] if "@" not in mongodb else "as configured",
        insi=f"{endpoint} (simulator, process {simulator.pid}: kill it to see INSi away)" if simulator else endpoint,
        tokens=f"{tokens}/token gives any scope" if tokens else "as configured",
        log=_shown(directory / "server.log"),
        rights=", ".join(_RIGHTS),
    )


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-10:])
