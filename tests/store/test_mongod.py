"""The embedded mongod: a usable replica set that loses nothing and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient, MongoClient, WriteConcern

from fhir_ins.store import mongod as embedded
from fhir_ins.store.mongod import DirectoryInUse, Mongod, MongodFailed, MongodMissing, find_mongod

DURABLE = WriteConcern(w="majority", j=True)


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def write(mongod: Mongod, text: str) -> None:
    with MongoClient(mongod.uri) as client:
        client.test.get_collection("notes", write_concern=DURABLE).insert_one({"_id": text})


def written(mongod: Mongod) -> list[str]:
    with MongoClient(mongod.uri) as client:
        return [note["_id"] for note in client.test.notes.find()]


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    path.chmod(0o755)
    return path


async def test_a_transaction_works_at_once_and_nothing_is_left_after_the_stop(tmp_path):
    with Mongod.start(tmp_path) as mongod:
        async with AsyncMongoClient(mongod.uri) as client:
            assert (await client.admin.command("hello"))["isWritablePrimary"]
            async with client.start_session() as session, await session.start_transaction():
                await client.test.notes.insert_one({"_id": "one"}, session=session)
                await client.test.history.insert_one({"_id": "one"}, session=session)
            assert await client.test.history.count_documents({}) == 1
    assert not alive(mongod.pid)
    assert "Now exiting" in (tmp_path / "mongod.log").read_text()
    mongod.stop()


def test_a_fresh_instance_is_small_and_listens_on_the_loopback_only(tmp_path):
    with Mongod.start(tmp_path) as mongod, MongoClient(mongod.uri) as client:
        size = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
        options = client.admin.command("getCmdLineOpts")["parsed"]["net"]
    assert size < 60_000_000
    assert options["bindIp"] == "127.0.0.1"
    assert options["unixDomainSocket"] == {"enabled": False}


def test_the_data_are_adopted_on_another_port(tmp_path):
    with Mongod.start(tmp_path) as first:
        write(first, "kept")
    other = next(port for port in iter(embedded.free_port, 0) if port != first.port)
    with Mongod.start(tmp_path, port=other) as second:
        assert second.port == other
        assert written(second) == ["kept"]
        write(second, "still writable")


def test_a_port_lost_to_another_process_is_replaced(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        taken = foreign.getsockname()[1]
        ports = iter([taken, embedded.free_port()])
        monkeypatch.setattr(embedded, "free_port", lambda: next(ports))
        with Mongod.start(tmp_path) as mongod:
            assert mongod.port != taken


def test_a_chosen_port_that_is_taken_is_an_error(tmp_path):
    with (
        socket.create_server(("127.0.0.1", 0)) as foreign,
        pytest.raises(MongodFailed, match="port was taken"),
    ):
        Mongod.start(tmp_path, port=foreign.getsockname()[1])


def test_an_acknowledged_write_survives_kill_9(tmp_path):
    with Mongod.start(tmp_path) as first:
        write(first, "acknowledged")
        os.kill(first.pid, signal.SIGKILL)
        first.process.wait()
    assert (tmp_path / "db" / "mongod.lock").read_text().strip() == str(first.pid)
    with Mongod.start(tmp_path) as second:
        assert written(second) == ["acknowledged"]


def test_mongod_ends_with_the_process_that_started_it(tmp_path):
    code = "import sys, time, pathlib; from fhir_ins.store.mongod import Mongod\n"
    code += "mongod = Mongod.start(pathlib.Path(sys.argv[1])); print(mongod.pid, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    assert ends_within(pid, 10)


def test_a_mongod_left_over_on_the_data_is_stopped_first(tmp_path):
    with Mongod.start(tmp_path) as first:
        write(first, "kept")
    command = [find_mongod(), "--dbpath", tmp_path / "db", "--port", str(embedded.free_port())]
    options = ["--nounixsocket", "--bind_ip", "127.0.0.1", "--replSet", embedded.REPLICA_SET]
    with subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL) as orphan:
        lock = tmp_path / "db" / "mongod.lock"
        while lock.read_text().strip() != str(orphan.pid):
            time.sleep(0.02)
        with Mongod.start(tmp_path) as second:
            assert not alive(orphan.pid)
            assert written(second) == ["kept"]


def test_a_recycled_process_id_in_the_lock_is_left_alone(tmp_path):
    (tmp_path / "db").mkdir()
    with subprocess.Popen(["sleep", "60"]) as innocent:
        (tmp_path / "db" / "mongod.lock").write_text(f"{innocent.pid}\n")
        with Mongod.start(tmp_path):
            assert alive(innocent.pid)
        innocent.kill()


def test_two_owners_are_refused(tmp_path):
    with Mongod.start(tmp_path) as mongod:
        with pytest.raises(DirectoryInUse, match=f"already in use by process {os.getpid()}"):
            Mongod.start(tmp_path)
        write(mongod, "undisturbed")


def test_without_a_binary_the_error_names_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MongodMissing, match=r"OpenSSL 3.*libcurl.*FHIR_INS_MONGODB_URI"):
        find_mongod(lambda: None)


def test_a_mongod_on_the_path_is_found_when_none_is_bundled(tmp_path, monkeypatch):
    installed = executable(tmp_path / "bin" / "mongod", "#!/bin/sh\n")
    monkeypatch.setenv("PATH", str(installed.parent))
    assert find_mongod(lambda: None) == installed


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (
            "#!/bin/sh\necho 'error while loading shared libraries: libcurl.so.4' >&2\nexit 127\n",
            r"a system library is missing .*FHIR_INS_MONGODB_URI(?s:.*)libcurl\.so\.4",
        ),
        ("#!/bin/sh\necho 'disk full'\nexit 14\n", r"ended with code 14(?s:.*)disk full"),
        ("#!/does/not/exist\n", r"ended with code 1(?s:.*)No such file"),
        ("#!/bin/sh\nexec sleep 60\n", "did not become PRIMARY in time"),
    ],
)
def test_a_binary_that_cannot_start_is_explained_and_the_directory_is_free_again(tmp_path, monkeypatch, script, told):
    broken = executable(tmp_path / "bin" / "mongod", script)
    monkeypatch.setattr(embedded, "find_mongod", lambda: broken)
    for _ in range(2):
        with pytest.raises(MongodFailed, match=told):
            Mongod.start(tmp_path / "data", timeout_seconds=0.3)
