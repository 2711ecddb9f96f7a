"""The examples of the documentation: requests that follow each other, and what the sandbox answers to them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

RECORDED_BASE = "http://127.0.0.1:8080/fhir"  # in the answers, as they were recorded

_FILE = Path(__file__).parent / "pages" / "examples.json"


@dataclass(frozen=True, slots=True)
class Example:
    """One request and its answer. `endpoint` names the function that answers; `{patient}` in a path stands for the id
    of the Patient that the example which `keeps` it has found.
    """

    name: str
    title: str
    text: str
    endpoint: str
    method: str
    path: str
    status: int
    media: str = "application/fhir+json"
    headers: tuple[tuple[str, str], ...] = ()
    body: Any = None
    keeps: bool = False
    answer: Any = None


def _example(found: dict[str, Any]) -> Example:
    return Example(**{**found, "headers": tuple(found.get("headers", {}).items())})


EXAMPLES = tuple(_example(found) for found in orjson.loads(_FILE.read_bytes()))
