"""What encryption at rest costs: the same requests to a server with it and to one without, in turn.

Both run on one mongod, each on a store of its own with the same Patients; the ratio of a row is the median over the
rounds, so that what else the machine does meets both.
"""

import base64
import os
import statistics
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pymongo import MongoClient

from benchmarks import load, processes, wrk
from benchmarks.rows import CREATE, Preloaded, Requests
from fhir_ins.store.mongod import Mongod

ROW = "encryption"
SIDES = ("clear", "encrypted")
_WARM_UP_SECONDS = 1.0
_ASKED: Mapping[str, str] = {
    "read": "/fhir/Patient/{id}",
    "search by identifier": "/fhir/Patient?identifier={serial}",
    "search by name": "/fhir/Patient?family=pat-be&identifier={serial}",
    "page of 50": "/fhir/Patient?_count=50",
    "create": "",
}


@dataclass(frozen=True, slots=True)
class Costs:
    """Of each row, encrypted over clear: requests a second, and CPU of the server and of mongod for a request.

    `bytes_kept` is what the stores take on disk, encrypted over clear, indexes included.
    """

    throughput: Mapping[str, float]
    cpu: Mapping[str, float]
    mongod_cpu: Mapping[str, float]
    bytes_kept: float


@dataclass(frozen=True, slots=True)
class _Slice:
    per_second: float
    cpu: float
    mongod_cpu: float


def measure(mongod: Mongod, patients: int, connections: int, rounds: int, seconds: float) -> Costs:
    """All rows, on servers of their own over one mongod. Raises SystemExit where a request fails."""
    key = base64.b64encode(os.urandom(32)).decode()
    settings = {"clear": {}, "encrypted": {"FHIR_INS_MASTER_KEY": key}}
    with ExitStack() as running:
        served = {
            side: running.enter_context(
                processes.server(mongod.uri, {**settings[side], "FHIR_INS_MONGODB_DATABASE": side})
            )
            for side in SIDES
        }
        held = {side: _preload(served[side][0], patients, connections) for side in SIDES}
        ratios: dict[str, list[_Slice]] = {}
        for row in _ASKED:
            for round_ in range(rounds + 1):
                length = seconds if round_ else _WARM_UP_SECONDS
                met = {}
                for side in SIDES if round_ % 2 else reversed(SIDES):
                    met[side] = _slice(mongod, served[side], _requests(row, held[side]), connections, length)
                if round_:
                    ratios.setdefault(row, []).append(_over(met["encrypted"], met["clear"]))
        with MongoClient[dict[str, Any]](mongod.uri) as client:
            sizes = {side: client[side].command("dbStats")["totalSize"] for side in SIDES}
    return Costs(
        {row: statistics.median(one.per_second for one in met) for row, met in ratios.items()},
        {row: statistics.median(one.cpu for one in met) for row, met in ratios.items()},
        {row: statistics.median(one.mongod_cpu for one in met) for row, met in ratios.items()},
        sizes["encrypted"] / sizes["clear"],
    )


def table(costs: Costs) -> str:
    lines = [
        f"{row}: {costs.throughput[row]:.3f} of the requests/s, {costs.cpu[row]:.2f} of the CPU, "
        f"{costs.mongod_cpu[row]:.2f} of mongod's"
        for row in costs.throughput
    ]
    return "\n".join(["encryption, over the same without it:", *lines, f"on disk: {costs.bytes_kept:.2f}"])


def _preload(port: int, patients: int, connections: int) -> Preloaded:
    serials = list(islice(load.fresh_serials(), patients))
    answers = load.send_all(port, CREATE, serials, connections)
    if wrong := {answer.status for answer in answers.values()} - {201}:
        raise SystemExit(f"A create was answered {wrong}")
    places = (answers[serial].headers["location"] for serial in serials)
    return Preloaded([place.partition("/Patient/")[2].partition("/")[0] for place in places], serials)


def _requests(row: str, held: Preloaded) -> Requests:
    if row == "create":
        return CREATE
    path = _ASKED[row]
    if "{id}" in path:
        return Requests(path.replace("{id}", "{key}"), held.ids)
    return Requests(path.replace("{serial}", "{key}"), held.serials if "{serial}" in path else ["0"])


def _slice(mongod: Mongod, served: tuple[int, int], requests: Requests, connections: int, seconds: float) -> _Slice:
    port, pid = served
    before = processes.cpu_seconds(pid), processes.cpu_seconds(mongod.pid)
    met = (wrk if wrk.available() else load).load(port, requests, connections, seconds)
    after = processes.cpu_seconds(pid), processes.cpu_seconds(mongod.pid)
    if met.errors:
        raise SystemExit(f"{met.errors} of {met.requests} requests of {requests.path} failed")
    cpu, mongod_cpu = ((end - start) / met.requests for start, end in zip(before, after, strict=True))
    return _Slice(met.requests / met.seconds, cpu, mongod_cpu)


def _over(one: _Slice, other: _Slice) -> _Slice:
    return _Slice(one.per_second / other.per_second, one.cpu / other.cpu, one.mongod_cpu / other.mongod_cpu)
