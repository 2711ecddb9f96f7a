"""`fhir-ins cnda export`: the cases out of the evidence of a server, and nobody else."""

import base64
import json
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cnda.command import command
from people import ADRUN_TRAITS, traits
from servers import StartServer

from fhir_ins.settings import Settings
from fhir_ins.store.database import Database

KEY = base64.b64encode(os.urandom(32)).decode()

ASKED = {
    "2.04-c1": traits("Ecetinsi", ["Pierre-Alain"], "male", "2009-07-14"),
    "2.06-c2": traits("De Vinci", ["Leonardo"], "male", "2014-02-01", "63220"),
    "2.07-c1": traits("TCHITCHI", ["OLA", "CATARINA", "BELLA"], "female", "1936-06-21"),
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return Settings(
        **{**settings.model_dump(), "mongodb_database": f"evidence-{uuid4().hex}", "insi_evidence_key": KEY}
    )


def exported(settings: Settings, directory: Path, *words: str, **environment: str) -> tuple[dict[str, Any], Any]:
    """The cases of the report by name, and the command's end."""
    done = command(
        "export",
        "--directory",
        str(directory),
        "--tenant",
        settings.tenant,
        *words,
        **{
            "FHIR_INS_MONGODB_URI": settings.mongodb_uri.get_secret_value(),
            "FHIR_INS_MONGODB_DATABASE": settings.mongodb_database,
            "FHIR_INS_INSI_EVIDENCE_KEY": KEY,
            **environment,
        },
    )
    assert "Traceback" not in done.stderr
    report = json.loads((directory / "report.json").read_text("utf-8"))
    return {case["case"]: case for case in report["cases"]} | {"about": report["about"]}, done


def written(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.rglob("*") if file.is_file())


async def test_the_cases_are_found_and_nobody_else(
    start_server: StartServer, settings: Settings, tmp_path: Path
) -> None:
    fhir = await start_server()
    for asked in (ADRUN_TRAITS, *ASKED.values(), ASKED["2.07-c1"]):
        assert (await fhir.post("/Patient/$ins-fetch", json=asked)).status_code == 200
    cases, done = exported(settings, tmp_path)
    assert done.returncode == 0, done.stdout
    results = {name: case["result"] for name, case in cases.items() if name != "about"}
    passed = {name for name, result in results.items() if result == "passed"}
    assert passed == {"2.04-c1", "2.04-c2", "2.06-c2", "2.07-c1"}  # 2.04 asks the same twice
    assert set(results.values()) == {"passed", "not applicable"}
    assert [(call["given"], call["code"]) for call in cases["2.07-c1"]["calls"]] == [
        ("OLA", "01"),
        ("CATARINA", "00"),
    ] * 2
    assert {call["operator"] for call in cases["2.07-c1"]["calls"]} == {"anonymous"}
    assert cases["about"]["Exchanges of no case"] == "1, not exported"
    content = written(tmp_path)
    assert b"TCHITCHI" in content
    for somebody_else in (b"ADRUN", b"2751263220749"):
        assert somebody_else not in content


async def test_what_does_not_open_is_told(start_server: StartServer, settings: Settings, tmp_path: Path) -> None:
    fhir = await start_server()
    await fhir.post("/Patient/$ins-fetch", json=ASKED["2.06-c2"])
    database = Database(settings.mongodb_uri.get_secret_value(), settings.mongodb_database)
    changed = await database.database["evidence"].find_one_and_update({}, {"$set": {"operator": "somebody"}})
    await database.close()
    assert changed
    cases, done = exported(settings, tmp_path)
    assert f"{changed['_id']} cannot be opened: it is not what was stored" in done.stderr
    assert done.returncode == 1
    assert cases["about"]["Exchanges that do not open"] == changed["_id"]
    assert cases["2.06-c2"]["calls"] == []


async def test_a_first_day_and_a_structure_bound_it(
    start_server: StartServer, settings: Settings, tmp_path: Path
) -> None:
    fhir = await start_server()
    await fhir.post("/Patient/$ins-fetch", json=ASKED["2.06-c2"])
    for words, calls in ((("--since", "2020-01-01"), 1), (("--since", "2999-01-01"), 0), (("--tenant", "other"), 0)):
        cases, _ = exported(settings, tmp_path, *words, "--case", "2.06-c2")
        assert len(cases["2.06-c2"]["calls"]) == calls
