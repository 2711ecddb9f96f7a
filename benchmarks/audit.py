"""What the audit trail costs: two servers on one MongoDB, one with a trail and one without, asked the same in turn."""

import base64
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import load, processes, wrk
from benchmarks.report import Figures, Slice
from benchmarks.rows import ROWS, Preloaded, Row
from fhir_ins.security.audit.checkpoints import write_signing_key
from fhir_ins.store.mongod import Mongod

ROW = "audit"
SIDES = ("without", "with")
MEASURED = ("read", "search by identifier", "page of 50", "create")
WARM_UP_SECONDS = 1.0

Results = Mapping[str, Mapping[str, Figures]]  # row, side


@contextmanager
def trail() -> Iterator[dict[str, str]]:
    """The settings of an audit trail, its files in a directory of their own."""
    with tempfile.TemporaryDirectory() as directory:
        signing = Path(directory, "signing.pem")
        write_signing_key(signing)
        yield {
            "FHIR_INS_AUDIT_KEY": base64.b64encode(os.urandom(32)).decode(),
            "FHIR_INS_AUDIT_SIGNING_KEY": str(signing),
            "FHIR_INS_AUDIT_CHECKPOINTS": directory,
        }


def measure(
    mongod: Mongod,
    preloaded: Preloaded,
    sides: Mapping[str, tuple[int, int]],
    connections: int,
    bounds: tuple[int, float],
) -> Results:
    """The figures of each row on each side ((port, pid)); `bounds`: how many rounds of how many seconds.

    The side that comes first changes from round to round.
    """
    rounds, seconds = bounds
    generator = wrk if wrk.available() else load

    def slice_(row: Row, side: str, seconds: float) -> Slice:
        port, pid = sides[side]
        before = processes.cpu_seconds(pid), processes.cpu_seconds(mongod.pid)
        met = generator.load(port, row.server(preloaded), connections, seconds)
        after = processes.cpu_seconds(pid), processes.cpu_seconds(mongod.pid)
        return Slice(met, after[0] - before[0], after[1] - before[1])

    def figures(row: Row) -> dict[str, Figures]:
        slices: dict[str, list[Slice]] = {side: [] for side in SIDES}
        for side in SIDES:
            slice_(row, side, WARM_UP_SECONDS)
        for round_ in range(rounds):
            for side in SIDES if round_ % 2 == 0 else reversed(SIDES):
                slices[side].append(slice_(row, side, seconds))
        return {side: Figures.of(slices[side]) for side in SIDES}

    return {row.name: figures(row) for row in ROWS if row.name in MEASURED}


@contextmanager
def servers(mongod: Mongod) -> Iterator[dict[str, tuple[int, int]]]:
    """Both sides: the port and pid of a server without a trail and of one with, on the same data."""
    with ExitStack() as running:
        settings = running.enter_context(trail())
        yield {
            "without": running.enter_context(processes.server(mongod.uri)),
            "with": running.enter_context(processes.server(mongod.uri, settings)),
        }


def as_json(results: Results) -> dict[str, Any]:
    """For each row both sides, and `ratio`: with over without."""
    return {
        row: {
            **{side: asdict(figures) for side, figures in sides.items()},
            "ratio": sides["with"].over(sides["without"]),
        }
        for row, sides in results.items()
    }


def table(results: Results) -> str:
    """Aligned text: for each row what the trail leaves of the throughput, and what it adds."""
    lines: list[Sequence[str]] = [
        ("audit trail", "requests/s without", "with", "kept", "p50 ms", "with", "CPU us/req", "with", "mongod", "with")
    ]
    for row, sides in results.items():
        off, on = sides["without"], sides["with"]
        lines.append(
            (
                row,
                f"{off.requests_per_second:,.0f}",
                f"{on.requests_per_second:,.0f}",
                f"{on.requests_per_second / off.requests_per_second:.0%}",
                f"{off.p50_ms:.2f}",
                f"{on.p50_ms:.2f}",
                f"{off.cpu_us:.0f}",
                f"{on.cpu_us:.0f}",
                f"{off.mongod_cpu_us:.0f}",
                f"{on.mongod_cpu_us:.0f}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n" + "\n".join(
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
