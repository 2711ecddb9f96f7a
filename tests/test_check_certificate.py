"""`fhir-ins check-certificate` as an operator runs it."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from authority import NOW, Authority
from conftest import Simulator
from pydantic import SecretStr

from fhir_ins.certificate_command import check
from fhir_ins.settings import Settings


def run(*arguments: str | Path, **variables: str | Path) -> tuple[int, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_INS_")}
    environment |= {f"FHIR_INS_INSI_{name}": str(value) for name, value in variables.items()}
    command = [sys.executable, "-m", "fhir_ins", "check-certificate", *arguments]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    return ended.returncode, ended.stdout + ended.stderr


def test_a_good_certificate_is_fit_and_the_call_finds(simulator: Simulator):
    options = ["--passphrase", "simulator", "--trust", simulator.pki / "authority.pem", "--endpoint", simulator.url]
    code, told = run(simulator.pki / "client.p12", *options, "--call", IDAM="SIMULATEUR01")
    lines = told.splitlines()
    assert code == 0
    assert lines[-1] == "Fit for INSi, but read the notes."
    assert [line[:6].strip() for line in lines if line[:1].strip()][:3] == ["ok", "ok", "ok"]
    assert any(line.startswith("ok    call            INSi finds ADRUN ZOE") for line in lines)
    assert {line[21] for line in lines[:-2]} == {" "}
    assert all(len(line) <= 110 for line in lines)


def test_the_settings_of_the_server_are_the_defaults(simulator: Simulator):
    settings = {
        "PKCS12": simulator.pki / "client.p12",
        "PKCS12_PASSPHRASE": "simulator",
        "TRUST": simulator.pki / "authority.pem",
        "ENDPOINT": simulator.url,
    }
    code, told = run("--call", **settings, IDAM="UNKNOWN")
    assert code == 1
    assert "desir_550" in told
    assert told.endswith("Not fit for INSi: 1 BAD finding above.\n")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"insi_idam": ""}, "set FHIR_INS_INSI_IDAM"), ({"insi_endpoint": None}, "name the endpoint, --endpoint")],
)
def test_a_call_that_lacks_something_is_not_made(settings: Settings, capsys, changes, reason):
    assert check(settings.insi_pkcs12, settings.model_copy(update=changes), call=True) == 1
    assert f"BAD   call            None was made: {reason}" in capsys.readouterr().out


@pytest.mark.parametrize(("passphrase", "reason"), [("wrong", "is wrong"), ("", "is not given")])
def test_a_wrong_passphrase_is_the_only_finding(settings: Settings, capsys, passphrase: str, reason: str):
    wrong = settings.model_copy(update={"insi_pkcs12_passphrase": SecretStr(passphrase)})
    assert check(settings.insi_pkcs12, wrong, call=True) == 1
    told = capsys.readouterr().out
    assert told.startswith("BAD   file ")
    assert told.count("BAD  ") == 1
    assert reason in " ".join(told.split())


def test_an_expired_certificate_gets_every_finding_and_no_call(tmp_path: Path, simulator: Simulator):
    file = tmp_path / "client.p12"
    file.write_bytes(Authority().issue("INSI AUTO", start=NOW - timedelta(days=30), days=20).pkcs12())
    (tmp_path / "trust.pem").write_text("damaged")
    options = ["--passphrase", "secret", "--endpoint", simulator.url, "--trust", tmp_path / "trust.pem", "--call"]
    code, told = run(file, *options, IDAM="SIMULATEUR01")
    assert code == 1
    bad = [line for line in told.splitlines() if line.startswith("BAD")]
    assert [line[6:22].strip() for line in bad] == ["name (CN)", "validity", "trust", "call"]
    assert "None was made" in bad[-1]


def test_a_wrong_option_is_told_by_its_name():
    code, told = run("client.p12", "--endpoint", "localhost")
    assert code == 1
    assert told.startswith("fhir-ins: --endpoint: ")


def test_without_a_file_it_says_what_to_give():
    code, told = run()
    assert code == 1
    assert "set FHIR_INS_INSI_PKCS12" in told
