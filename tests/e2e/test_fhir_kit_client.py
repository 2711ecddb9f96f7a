"""A client we did not write, without special handling: fhir-kit-client, of JavaScript."""

import asyncio
import shutil
from pathlib import Path
from subprocess import PIPE
from typing import Any

import httpx
import orjson
import pytest

_SCENARIO = Path(__file__).parent / "fhir-kit-client"


async def ran(*command: str, directory: Path) -> bytes:
    """What a command that must succeed prints."""
    process = await asyncio.create_subprocess_exec(*command, cwd=directory, stdout=PIPE, stderr=PIPE)
    printed, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()
    return printed


@pytest.mark.skipif(shutil.which("npm") is None, reason="Node.js and its npm are not installed")
async def test_every_interaction_an_ehr_begins_with(fhir: httpx.AsyncClient, tmp_path: Path) -> None:
    directory = shutil.copytree(_SCENARIO, tmp_path / "client")
    await ran("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", directory=directory)
    saw: dict[str, Any] = orjson.loads(await ran("node", "scenario.js", str(fhir.base_url), directory=directory))
    assert saw == {
        "found": 5,
        "pages": 3,
        "result": "found",
        "statuses": ["201", "201"],
        "gone": [410, "OperationOutcome"],
    }
