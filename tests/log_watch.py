"""All that servers log while the suite runs, and whether any of it is about a person.

Each process of pytest gathers what its servers say, in it and as processes of their own, and fails at its end when an
identity value is among it: an error of the session, which names the line and the test that was running.
"""

import logging
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from identity_values import identity_values

from fhir_ins.log import Forwarding

# What was logged, with the test that was running.
_gathered: list[tuple[str, str]] = []


def gather(text: str) -> None:
    """Keep a log, or a line of one, to be searched at the end."""
    _gathered.append((text, os.environ.get("PYTEST_CURRENT_TEST", "")))


def gather_file(log: Path) -> None:
    """The same, of a log that a process has written."""
    if log.exists():
        gather(log.read_text("utf-8", "replace"))


def offences(logs: Iterable[tuple[str, str]], values: Iterable[str]) -> list[str]:
    """Which lines name whom, with the test; a value counts where it is a word of its own."""
    logs = list(logs)
    everything = "\n".join(text for text, _ in logs)
    named = [value for value in values if value in everything]
    if not named:
        return []
    word = re.compile(
        r"(?<![^\W_])(?:" + "|".join(map(re.escape, sorted(named, key=len, reverse=True))) + r")(?![^\W_])"
    )
    return [
        f"{found[0]!r} in {line[:500]} ({test})"
        for text, test in logs
        for line in text.splitlines()
        if (found := word.search(line))
    ]


def _gathering(logger: Any) -> Any:
    """The kind of structlog logger that is in use, whose events are gathered whatever becomes of them then."""

    class Gathering(logger):  # type: ignore[misc]
        def _proxy_to_logger(self, method_name: str, event: str | None = None, **values: Any) -> Any:
            said = {**structlog.get_context(self), **values, "event": event, "level": method_name}
            gather(orjson.dumps(said, default=repr).decode())
            return super()._proxy_to_logger(method_name, event, **values)

    return Gathering


@pytest.fixture(scope="session", autouse=True)
def logs_name_nobody() -> Iterator[None]:
    """Errs at the end of the session when a log of it names somebody."""
    structlog.configure(wrapper_class=_gathering(structlog.get_config()["wrapper_class"]))
    forwarding = Forwarding()  # as in production: what libraries say goes through structlog
    logging.getLogger().addHandler(forwarding)
    yield
    logging.getLogger().removeHandler(forwarding)
    assert not (found := offences(_gathered, identity_values())), "logs name people:\n" + "\n".join(found[:20])
