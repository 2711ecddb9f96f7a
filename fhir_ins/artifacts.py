"""Our FHIR artifacts: `profiles/` and `capability/`, inside the wheel or in the checkout."""

from functools import cache
from pathlib import Path
from typing import Any, cast

import orjson

_PACKAGE = Path(__file__).parent
_ROOT = _PACKAGE / "artifacts" if (_PACKAGE / "artifacts").is_dir() else _PACKAGE.parent


@cache
def artifact(path: str) -> dict[str, Any]:
    """The resource in a file such as `profiles/OperationDefinition-ins-fetch.json`. It is shared: do not change it."""
    return cast(dict[str, Any], orjson.loads((_ROOT / path).read_bytes()))


def profiles() -> list[dict[str, Any]]:
    """Every artifact in `profiles/`; the examples below it are none."""
    return [artifact(f"profiles/{path.name}") for path in sorted((_ROOT / "profiles").glob("*.json"))]
