"""What surrounds the resources: capabilities, health, logs, a database that is away."""

import asyncio
import gc
import json
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import Simulator
from log_watch import gather_file
from people import ADRUN, ADRUN_TRAITS, ins_identifier, patient
from servers import StartServer

from fhir_ins.settings import Settings
from fhir_ins.store.mongod import Mongod


def beside(fhir: httpx.AsyncClient, path: str) -> str:
    """An address outside the FHIR base."""
    return str(fhir.base_url).replace("/fhir/", path)


async def capability(fhir: httpx.AsyncClient) -> dict[str, Any]:
    answer = await fhir.get("/metadata")
    assert answer.status_code == 200
    return answer.json()


async def test_a_mode_we_do_not_have_is_refused(fhir: httpx.AsyncClient) -> None:
    assert (await fhir.get("/metadata?mode=everything")).status_code == 400


async def test_the_configured_base_is_the_one_we_give_out(start_server: StartServer) -> None:
    fhir = await start_server(base_url="https://fhir.example.fr/fhir")
    created = await fhir.post("/Patient", json=patient())
    assert created.headers["location"].startswith("https://fhir.example.fr/fhir/Patient/")
    bundle = (await fhir.get("/Patient")).json()
    assert bundle["link"][0]["url"] == "https://fhir.example.fr/fhir/Patient"
    assert (await capability(fhir))["implementation"]["url"] == "https://fhir.example.fr/fhir"


async def test_health(fhir: httpx.AsyncClient) -> None:
    assert (await fhir.get(beside(fhir, "/health/live"))).json() == {"status": "up"}
    ready = await fhir.get(beside(fhir, "/health/ready"))
    assert ready.status_code == 200
    assert ready.json()["components"]["mongodb"] == {"status": "up"}
    assert ready.json()["components"]["insi"]["status"] == "unknown"
    await fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS)
    state = (await fhir.get(beside(fhir, "/health/ready"))).json()["components"]["insi"]
    assert (state["status"], state["lastCode"]) == ("up", "00")


@pytest.fixture
async def sockets_left() -> AsyncIterator[None]:
    """PyMongo's monitor leaves a socket to the garbage collector when it is closed while it connects."""
    yield
    await asyncio.sleep(0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.usefixtures("sockets_left")
async def test_without_mongodb_it_is_503_not_ready_and_alive(tmp_path: Path, start_server: StartServer) -> None:
    with Mongod.start(tmp_path) as mongod:
        fhir = await start_server(mongodb_uri=mongod.uri, mongodb_timeout=1)
        assert (await fhir.post("/Patient", json=patient())).status_code == 201
    answer = await fhir.post("/Patient", json=patient())
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert "MongoDB" in answer.json()["issue"][0]["details"]["text"]
    assert "look before repeating" in answer.text
    assert (await fhir.get("/Patient/x")).status_code == 503
    assert (await fhir.get(beside(fhir, "/health/ready"))).status_code == 503
    assert (await fhir.get(beside(fhir, "/health/live"))).status_code == 200


def test_logs_tell_what_happened_and_never_about_whom(mongod: Mongod, simulator: Simulator, tmp_path: Path) -> None:
    """The server as a process, with everything it and its libraries write."""
    log = tmp_path / "server.log"
    environment = {
        "FHIR_INS_PORT": "0",
        "FHIR_INS_MONGODB_URI": mongod.uri,
        "FHIR_INS_MONGODB_DATABASE": "tests",
        "FHIR_INS_TENANT": "logs",
        "FHIR_INS_RIGHTS": "read,write,ins.fetch,ins.verify",
        "FHIR_INS_INSI_ENDPOINT": simulator.url,
        "FHIR_INS_INSI_PKCS12": str(simulator.pki / "client.p12"),
        "FHIR_INS_INSI_PKCS12_PASSPHRASE": "simulator",
        "FHIR_INS_INSI_TRUST": str(simulator.pki / "authority.pem"),
        "FHIR_INS_INSI_IDAM": "SIMULATEUR01",
    }
    from fhir_ins.store.mongod import free_port

    port = str(free_port())
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "fhir_ins", "serve"],
            env={**environment, "FHIR_INS_PORT": port},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/fhir", transport=httpx.HTTPTransport(retries=0)) as fhir:
            _await(fhir, process)
            fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS)
            fhir.get("/Patient", params={"identifier": ADRUN, "family": "adrun", "birthdate": "1975-12-31"})
            fhir.get(f"/Patient/{ADRUN}")
            fhir.get(f"/{ADRUN}/ADRUN")
            fhir.request("ADRUN", "/Patient")
            fhir.post("/Patient", json=patient(identifier=[ins_identifier("275126322074975")]))
            fhir.post("/Patient", content=b'{"resourceType":"Patient","name":"ADRUN"')
    finally:
        process.terminate()
        process.wait(30)
    written = log.read_text()
    gather_file(log)
    lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    requests = [line for line in lines if line["event"] == "request"]
    assert {line["route"] for line in requests} >= {"/fhir/Patient/$ins-fetch", "/fhir/Patient", "none"}
    assert any(line["event"] == "insi_call" and line["code"] == "00" for line in lines)
    for secret in (ADRUN, "27512632207", "ADRUN", "adrun", "ZOE", "1975-12-31", "63220"):
        assert secret not in written


def _await(fhir: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            fhir.get("/metadata")
        except httpx.ConnectError:
            continue
        return


def test_every_setting_is_an_option_and_an_environment_variable() -> None:
    environment = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}
    shown = subprocess.run(
        [sys.executable, "-m", "fhir_ins", "serve", "--help"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in shown
        assert f"FHIR_INS_{name.upper()}" in shown


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"FHIR_INS_RIGHTS": "read,everything"}, "--rights"),
        ({"FHIR_INS_PORT": "http"}, "--port"),
        ({"FHIR_INS_MONGODB_URI": "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=500"}, "127.0.0.1:9"),
        ({"FHIR_INS_INSI_ENDPOINT": "https://localhost/lps"}, "FHIR_INS_INSI_PKCS12"),
        ({"FHIR_INS_INSI_ENDPOINT": "https://localhost/lps", "FHIR_INS_INSI_PKCS12": "no.p12"}, "no.p12"),
        ({"FHIR_INS_INSI_ENDPOINT": "https://localhost/lps", "FHIR_INS_INSI_MODE": "cpx"}, "FHIR_INS_INSI_IDAM"),
        (
            {
                "FHIR_INS_INSI_ENDPOINT": "https://localhost/lps",
                "FHIR_INS_INSI_MODE": "cpx",
                "FHIR_INS_INSI_IDAM": "X",
                "FHIR_INS_INSI_VERIFICATION_NAMES": "names.toml",
            },
            "FHIR_INS_INSI_VERIFICATION_WSDL",
        ),
    ],
)
def test_a_wrong_setting_stops_the_start_in_plain_words(environment: dict[str, str], told: str) -> None:
    ended = subprocess.run([sys.executable, "-m", "fhir_ins", "serve"], env=environment, capture_output=True, text=True)
    assert ended.returncode == 1
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr
