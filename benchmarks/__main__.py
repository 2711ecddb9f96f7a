"""`python -m benchmarks`, which is `make bench`: server and floor, in turn, on one embedded MongoDB."""

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from benchmarks import audit, encryption, insi, load, processes, validation, wrk
from benchmarks.floor import DATABASE
from benchmarks.patients import patient
from benchmarks.report import Figures, Results, Slice, as_json, table
from benchmarks.rows import CREATE, ROWS, Preloaded, Requests, Row
from fhir_ins.store.mongod import Mongod

SIDES = ("floor", "server")
WARM_UP_SECONDS = 1.0
_NAMES = [*(row.name for row in ROWS), insi.ROW, encryption.ROW, validation.ROW]


@dataclass(frozen=True, slots=True)
class Bench:
    """The parts of a run: the (port, pid) of each side, mongod, the load and the patients."""

    sides: dict[str, tuple[int, int]]
    mongod: Mongod
    connections: int
    preloaded: Preloaded

    def slice(self, row: Row, side: str, seconds: float) -> Slice:
        """One slice of load on one side, with the CPU it cost."""
        requests: Requests = getattr(row, side)(self.preloaded)
        port, pid = self.sides[side]
        before = processes.cpu_seconds(pid), processes.cpu_seconds(self.mongod.pid)
        generator = wrk if wrk.available() else load
        met = generator.load(port, requests, self.connections, seconds)
        after = processes.cpu_seconds(pid), processes.cpu_seconds(self.mongod.pid)
        return Slice(met, after[0] - before[0], after[1] - before[1])

    def measure(self, row: Row, rounds: int, seconds: float) -> dict[str, Figures]:
        """Both sides in turn, the first one changing from round to round, after a short warm-up."""
        print(f"measuring {row.name} ...", file=sys.stderr, flush=True)
        slices: dict[str, list[Slice]] = {side: [] for side in SIDES}
        for side in SIDES:
            self.slice(row, side, WARM_UP_SECONDS)
        for round_ in range(rounds):
            for side in SIDES if round_ % 2 == 0 else reversed(SIDES):
                slices[side].append(self.slice(row, side, seconds))
        return {side: Figures.of(slices[side]) for side in SIDES}


def preload(port: int, mongod: Mongod, patients: int, connections: int) -> Preloaded:
    """Creates `patients` through the server's own API, and gives the floor the same ids and bytes."""
    serials = list(islice(load.fresh_serials(), patients))
    answers = load.send_all(port, CREATE, serials, connections)
    preloaded = Preloaded([patient_id(answers[serial]) for serial in serials], serials)
    copies = [
        {"_id": id_, "bytes": answers[serial].body or patient(serial).encode()}
        for id_, serial in zip(preloaded.ids, serials, strict=True)
    ]
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        client[DATABASE].patients.insert_many(copies)
    return preloaded


def patient_id(answer: load.Answer) -> str:
    """The id the server gave in the Location of a create."""
    if answer.status != 201:
        raise SystemExit(f"A create was answered {answer.status}: {answer.body[:500].decode()}")
    return answer.headers["location"].partition("/Patient/")[2].partition("/")[0]


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--patients", type=int, default=2000, help="patients to preload (%(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a slice (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="slices of each side for a row (%(default)s)")
    parser.add_argument("--connections", type=int, default=16, help="requests in flight (%(default)s)")
    parser.add_argument(
        "--row",
        action="append",
        choices=_NAMES,
        help="only this row",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the chosen rows and prints their figures."""
    chosen = options(arguments)
    rows = [row for row in ROWS if not chosen.row or row.name in chosen.row]
    generator = "wrk" if wrk.available() else "the bundled generator, benchmarks/load.py"
    figures: dict[str, Any] = {"generator": generator, "python": platform.python_version()}
    if rows:
        results = served(rows, chosen)
        figures["rows"] = as_json(results)
        print(f"{chosen.patients} patients, load by {generator}, {chosen.connections} connections,")
        print(f"medians of {chosen.rounds} rounds of {chosen.seconds:g} s, Python {platform.python_version()}\n")
        print(table(results))
    if not chosen.row or audit.ROW in chosen.row:
        costs_of_trail = audited(chosen)
        figures[audit.ROW] = audit.as_json(costs_of_trail)
        print(audit.table(costs_of_trail))
    if not chosen.row or insi.ROW in chosen.row:
        with (
            tempfile.TemporaryDirectory(prefix="fhir-ins-bench-") as directory,
            Mongod.start(Path(directory)) as mongod,
        ):
            fetches = insi.measure(mongod, chosen.rounds, chosen.seconds)
        figures[insi.ROW] = asdict(fetches)
        print(insi.table(fetches))
    if not chosen.row or encryption.ROW in chosen.row:
        with (
            tempfile.TemporaryDirectory(prefix="fhir-ins-bench-") as directory,
            Mongod.start(Path(directory)) as mongod,
        ):
            sealed = encryption.measure(mongod, chosen.patients, chosen.connections, chosen.rounds, chosen.seconds)
        figures[encryption.ROW] = asdict(sealed)
        print(encryption.table(sealed))
    if not chosen.row or validation.ROW in chosen.row:
        costs = validation.measure()
        figures[validation.ROW] = asdict(costs)
        print(validation.table(costs))
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


def audited(chosen: argparse.Namespace) -> audit.Results:
    """The figures of a server with an audit trail beside those of one without."""
    print(f"measuring {audit.ROW} ...", file=sys.stderr, flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="fhir-ins-bench-") as directory,
        Mongod.start(Path(directory)) as mongod,
        audit.servers(mongod) as sides,
    ):
        preloaded = preload(sides["without"][0], mongod, chosen.patients, chosen.connections)
        return audit.measure(mongod, preloaded, sides, chosen.connections, (chosen.rounds, chosen.seconds))


def served(rows: Sequence[Row], chosen: argparse.Namespace) -> Results:
    """The figures of rows that a server answers, beside the floor's."""
    with ExitStack() as running:
        directory = running.enter_context(tempfile.TemporaryDirectory(prefix="fhir-ins-bench-"))
        mongod = running.enter_context(Mongod.start(Path(directory)))
        sides = {
            "server": running.enter_context(processes.server(mongod.uri)),
            "floor": running.enter_context(processes.floor(mongod.uri)),
        }
        preloaded = preload(sides["server"][0], mongod, chosen.patients, chosen.connections)
        bench = Bench(sides, mongod, chosen.connections, preloaded)
        return {row.name: bench.measure(row, chosen.rounds, chosen.seconds) for row in rows}


if __name__ == "__main__":
    main()
