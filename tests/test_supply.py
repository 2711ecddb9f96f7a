"""The supply chain: the bill of materials is about what runs, whole, and conforms to CycloneDX."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parents[1]
LOCK = "docker/requirements.lock"
PIN = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)
# Of other systems, so that they are not installed where the document is made, and nobody says their licence.
ELSEWHERE = {"colorama", "tzdata"}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The document that `make sbom` writes."""
    target = tmp_path_factory.mktemp("sbom") / "new" / "sbom.cdx.json"
    subprocess.run(
        [sys.executable, "docker/supply/sbom.py", LOCK, str(target)], cwd=ROOT, check=True, capture_output=True
    )
    return target.read_text("utf-8")


@pytest.fixture(scope="module")
def bom(text: str) -> dict[str, Any]:
    return json.loads(text)


def test_it_conforms_to_cyclonedx(text: str, bom: dict[str, Any]) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.replace('"type": "library"', '"type": "book"'))
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    assert bom["metadata"]["component"]["name"] == "fhir-ins"


def test_it_names_every_package_that_runs_and_no_other(bom: dict[str, Any]) -> None:
    pinned = sorted(PIN.findall((ROOT / LOCK).read_text()))
    assert sorted((one["name"], one["version"]) for one in bom["components"]) == pinned
    assert len(pinned) > 40
    assert {one["purl"] for one in bom["components"]} == {f"pkg:pypi/{name}@{version}" for name, version in pinned}
    assert not {"pytest", "mypy", "cyclonedx-python-lib"} & {one["name"] for one in bom["components"]}


def test_it_has_every_hash_of_the_lock(bom: dict[str, Any]) -> None:
    hashes = [
        digest["content"]
        for one in bom["components"]
        for file in one["externalReferences"]
        for digest in file["hashes"]
    ]
    assert sorted(hashes) == sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", (ROOT / LOCK).read_text()))


def test_it_says_the_licences(bom: dict[str, Any]) -> None:
    unknown = {one["name"] for one in bom["components"] if not one.get("licenses")}
    assert unknown <= ELSEWHERE
    said = {one["name"]: json.dumps(one.get("licenses")) for one in bom["components"]}
    assert "MIT" in said["fastapi"]
    assert not {name for name, licence in said.items() if re.search(r"\bA?GPL", licence)}


def test_it_says_who_needs_whom(bom: dict[str, Any]) -> None:
    needs = {one["ref"]: one.get("dependsOn", []) for one in bom["dependencies"]}
    names = {one["bom-ref"]: one["name"] for one in bom["components"]}
    assert {"fastapi", "uvicorn", "pymongo", "cryptography"} <= {names[ref] for ref in needs["fhir-ins"]}
    fastapi = next(ref for ref, name in names.items() if name == "fastapi")
    assert "starlette" in {names[ref] for ref in needs[fastapi]}
    needed = {names[ref] for refs in needs.values() for ref in refs}
    assert set(names.values()) - needed <= ELSEWHERE


def test_an_audit_that_cannot_ask_does_not_pass() -> None:
    """pip-audit leaves out what its service does not know, and succeeds, unless it is strict."""
    recipe = subprocess.run(["make", "-n", "audit"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.search(r"pip-audit --strict .*--requirement docker/requirements.lock", recipe)
    assert "exit 1" in recipe


def test_what_audits_is_pinned_by_hash_too() -> None:
    lock = (ROOT / "docker/supply/requirements.lock").read_text()
    assert "pip-audit" in dict(PIN.findall(lock))
    assert all("--hash=sha256:" in following for following in re.split(PIN, lock)[3::3])
    assert "://" not in lock
