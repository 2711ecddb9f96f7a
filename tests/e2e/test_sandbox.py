"""`make sandbox`, as a newcomer has it: one command, real parts, nothing lost, nothing left."""

import os
import re
import signal
import time
from pathlib import Path

import httpx
import pytest
from e2e.sandbox import Sandbox, running, start
from people import ADRUN_TRAITS, patient

from fhir_ins.store.mongod import Mongod


def await_end_of(pid: int) -> None:
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_it_starts_serves_stops_cleanly_and_starts_again_on_the_same_data(tmp_path: Path) -> None:
    with running(tmp_path) as sandbox:
        assert f"{sandbox.base}/Patient/\\$ins-fetch" in sandbox.printed
        with sandbox.client() as fhir:
            answer = fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS).json()
            stored = next(found for found in answer["parameter"] if found["name"] == "stored")
            reference = stored["valueReference"]["reference"]
        pids = sandbox.children()
        assert set(pids) == {"mongod", "simulator", "serve", "tokens"}
    assert sandbox.process.returncode == 0
    assert "Traceback" not in sandbox.printed
    for pid in pids.values():
        await_end_of(pid)
    with running(tmp_path) as again, again.client() as fhir:
        assert fhir.get(f"/{reference}").status_code == 200


def test_its_token_service_gives_every_scope(tmp_path: Path) -> None:
    """As the banner says; a caller with a token has what its scopes say, and no more."""
    with running(tmp_path) as sandbox, sandbox.client() as fhir:
        (service,) = re.findall(r"(http://127\.0\.0\.1:\d+/token) gives any scope", sandbox.printed)
        stored = fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS).json()["parameter"]
        reference = next(found for found in stored if found["name"] == "stored")["valueReference"]["reference"]

        def read(scope: str) -> httpx.Response:
            form = {"grant_type": "client_credentials", "scope": scope}
            token = httpx.post(service, data=form).json()["access_token"]
            return fhir.get(f"/{reference}", headers={"Authorization": f"Bearer {token}"})

        assert "275126322074974" in read("system/Patient.r ins.reference").text
        assert "275126322074974" not in read("system/Patient.r").text
        assert read("system/Observation.cruds ins.reference").status_code == 403
        discovery = fhir.get("/.well-known/smart-configuration").json()
        assert discovery["token_endpoint"] == service


def test_on_a_mongodb_of_ones_own_none_is_started(tmp_path: Path, mongod: Mongod) -> None:
    with running(tmp_path, FHIR_INS_MONGODB_URI=mongod.uri) as sandbox, sandbox.client() as fhir:
        assert set(sandbox.children()) == {"simulator", "serve", "tokens"}
        assert fhir.post("/Patient", json=patient()).status_code == 201
    assert mongod.process.poll() is None


def test_without_insi_the_rest_goes_on(tmp_path: Path) -> None:
    with running(tmp_path) as sandbox, sandbox.client() as fhir:
        os.kill(sandbox.children()["simulator"], signal.SIGTERM)
        deadline = time.monotonic() + 20
        while "simulator ended" not in sandbox.printed and time.monotonic() < deadline:
            time.sleep(0.05)
        answer = fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["issue"][0]["code"] == "transient"
        created = fhir.post("/Patient", json=patient())
        assert created.status_code == 201
        assert fhir.get(created.headers["location"]).status_code == 200


def test_an_acknowledged_create_survives_kill_9_of_server_and_mongod(tmp_path: Path) -> None:
    sandbox = start(tmp_path)
    with sandbox.client() as fhir:
        created = fhir.post("/Patient", json=patient())
        pids = sandbox.children()
        for name in ("serve", "mongod"):
            os.kill(pids[name], signal.SIGKILL)
    assert created.status_code == 201
    assert sandbox.wait() == 1
    assert "ended" in sandbox.printed
    for pid in pids.values():
        await_end_of(pid)
    with running(tmp_path) as again, again.client() as fhir:
        assert fhir.get(f"/Patient/{created.json()['id']}").content == created.content


def test_its_parts_end_with_it_even_when_it_is_killed(tmp_path: Path) -> None:
    sandbox = start(tmp_path)
    pids = sandbox.children()
    os.kill(sandbox.process.pid, signal.SIGKILL)
    sandbox.wait()
    for pid in pids.values():
        await_end_of(pid)
    with running(tmp_path) as again, again.client() as fhir:
        assert fhir.get("/metadata").status_code == 200


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"FHIR_INS_INSI_ENDPOINT": "https://services-ps-tlsm.ameli.fr/lps"}, "never talks to a real INSi"),
        ({"FHIR_INS_INSI_TENANTS": "tenants.toml"}, "never talks to a real INSi"),
        ({"FHIR_INS_MONGODB_URI": "mongodb://db.example.fr:27017"}, "MongoDB on this machine only"),
        ({"FHIR_INS_MONGODB_URI": "mongodb+srv://db.example.fr"}, "MongoDB on this machine only"),
    ],
)
def test_it_refuses_the_real_world(tmp_path: Path, environment: dict[str, str], told: str) -> None:
    sandbox = refused(tmp_path, **environment)
    assert told in sandbox.printed


def test_a_port_or_a_directory_in_use_is_told_with_the_remedy(tmp_path: Path) -> None:
    with running(tmp_path / "first") as first:
        assert "FHIR_INS_PORT=" in refused(tmp_path / "second", FHIR_INS_PORT=str(first.port)).printed
        assert "already in use" in refused(tmp_path / "first").printed


def refused(directory: Path, **environment: str) -> Sandbox:
    sandbox = start(directory, **environment)
    assert sandbox.wait() == 1
    assert "Traceback" not in sandbox.printed
    return sandbox
