"""What is shipped: the wheel, the pins, the container files."""

import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml

from fhir_ins.security.access_file import read_access
from fhir_ins.settings import Settings

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([a-z0-9.-]+)==(\S+)", re.MULTILINE)


def pins(lock: str) -> set[tuple[str, str]]:
    """Names and versions; a package may have a version for each release of Python."""
    return set(PIN.findall((ROOT / lock).read_text()))


def test_the_wheel_carries_our_artifacts_and_tables(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert {
        "fhir_ins/artifacts/profiles/OperationDefinition-ins-fetch.json",
        "fhir_ins/artifacts/profiles/StructureDefinition-fhir-ins-patient.json",
        "fhir_ins/artifacts/profiles/examples/Patient-qualifiee.json",
        "fhir_ins/artifacts/capability/capability-statement.json",
        "fhir_ins/fhir/definitions/r4.json",
        "fhir_ins/api/languages/fr.json",
        "fhir_ins/api/pages/docs.css",
        "fhir_ins/api/pages/docs.html",
        "fhir_ins/api/pages/examples.json",
        "fhir_ins/fhir/definitions/r4-profiles.json",
        "fhir_ins/frcore/definitions/fr-core-2.1.0.json",
        "fhir_ins/frcore/definitions/fr-core-2.2.0.json",
        "fhir_ins/insi/contract/insi.wsdl",
    } <= names
    assert not any("mongod" in name and not name.endswith(".py") for name in names)


@pytest.mark.parametrize("lock", ["requirements.lock", "docker/requirements.lock"])
def test_every_pin_has_hashes_and_no_index_is_named(lock: str) -> None:
    text = (ROOT / lock).read_text()
    pinned = re.split(PIN, text)[3::3]  # what follows each name and version
    assert len(pinned) == len(pins(lock)) > 30
    assert all("--hash=sha256:" in following for following in pinned)
    assert "://" not in text
    assert "index" not in text


def test_the_image_gets_the_same_versions_and_no_mongod() -> None:
    development, runtime = pins("requirements.lock"), pins("docker/requirements.lock")
    assert runtime <= development
    assert not {name for name, _ in runtime if name.startswith(("fiftyone", "pytest", "mypy", "hatchling"))}


@pytest.mark.parametrize("file", ["compose.yaml", "kubernetes.yaml", "Dockerfile", "simulator.env"])
def test_the_container_files_name_settings_that_exist(file: str) -> None:
    text = (ROOT / "docker" / file).read_text()
    known = {f"FHIR_INS_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"FHIR_INS_[A-Z0-9_]+", text)) <= known
    if file.endswith(".yaml"):
        assert list(yaml.safe_load_all(text))


def test_only_the_server_is_published_and_on_loopback() -> None:
    services = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())["services"]
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert published.keys() == {"server"}


def test_the_container_files_say_who_is_let_in() -> None:
    access = read_access(ROOT / "docker/access.toml", "default")
    assert [trust.issuer for trust, _ in access.issuers] == ["http://127.0.0.1:8090"]


def test_the_image_runs_as_nobody_in_particular() -> None:
    text = (ROOT / "docker/Dockerfile").read_text()
    assert re.search(r"^USER [1-9]\d*", text, re.MULTILINE)
    assert "mongod" not in text.lower().replace("mongodb", "")
