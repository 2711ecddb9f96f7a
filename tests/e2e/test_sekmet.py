"""The conformance scenario of a tester we did not write, sekmet-fhir, run against this server by its own command."""

import asyncio
import sys
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import httpx
import orjson
import yaml


async def report_of(scenario: str, base: str, directory: Path) -> dict[str, Any]:
    """What `sekmet scenario run` reports of this scenario against the server at `base`."""
    settings = {
        "base_url": "http://127.0.0.1:9/fhir",
        "data_dir": str(directory / "data"),
        "simulator": {"enabled": False},
        "peers": {"fhir-ins": {"base_url": base}},
    }
    (directory / "settings.yaml").write_text(yaml.safe_dump(settings))
    program = "import sys; from sekmet.cli import app; app(sys.argv[1:])"
    arguments = ["scenario", "run", scenario, "--peer", "fhir-ins", "--no-serve", "--config", "settings.yaml"]
    command = [sys.executable, "-c", program, *arguments]
    process = await asyncio.create_subprocess_exec(*command, cwd=directory, stdout=DEVNULL, stderr=DEVNULL)
    await process.wait()
    (report,) = (directory / "reports").glob("*/*.json")
    (result,) = orjson.loads(report.read_bytes())
    return result  # type: ignore[no-any-return]


async def test_rest_conformance(fhir: httpx.AsyncClient, tmp_path: Path) -> None:
    result = await report_of("conformance_smoke", str(fhir.base_url).rstrip("/"), tmp_path)
    steps = {step["name"]: (step["status"], step["message"]) for step in result["steps"]}
    assert len(steps) == 18
    assert {name: found for name, found in steps.items() if found[0] != "passed"} == {}
