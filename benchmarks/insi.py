"""What `$ins-fetch` costs this server, and what an INSi in difficulty costs the rest of it.

The simulator answers in a process of its own, whose CPU is not counted.
"""

import asyncio
import gc
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from statistics import median
from typing import Any

from pymongo import MongoClient

from benchmarks import load, processes
from benchmarks.rows import ROWS, Preloaded, Requests
from fhir_ins.simulator.population import person
from fhir_ins.store.mongod import Mongod

ROW = "ins-fetch"

CROWD = 1000
HANGING = 100
_PLENTY = {"FHIR_INS_INSI_CONCURRENCY": "50", "FHIR_INS_INSI_QUEUE": str(CROWD), "FHIR_INS_INSI_TOTAL_TIMEOUT": "60"}
_FETCH = Requests("/fhir/Patient/$ins-fetch", method="POST", body="{key}")
_people = count(1)


@dataclass(frozen=True, slots=True)
class Costs:
    """Medians over the rounds; `crowd` are `CROWD` fetches at once while INSi takes 300 ms for each.

    `first_ms` CPU of the server for a person it did not know, `again_ms` for one INSi was asked about today already.
    `reads_kept` is how fast reads are while `HANGING` fetches wait for an INSi that hangs, over their speed without.
    """

    first_ms: float
    again_ms: float
    reads_kept: float
    crowd_seconds: float
    crowd_answers: dict[str, int]
    crowd_patients: int
    crowd_memory_mb: float
    excess: dict[str, int]
    excess_ms: float


def measure(mongod: Mongod, rounds: int, seconds: float) -> Costs:
    """All of it, on servers of their own over one mongod."""
    with processes.simulator() as insi:
        with processes.server(mongod.uri, {**insi, "FHIR_INS_MONGODB_DATABASE": "fetch"}) as (port, pid):
            first = [_cpu_ms(port, pid, [_parameters(next(_people)) for _ in range(300)]) for _ in range(rounds)]
            known = [_parameters(next(_people))]
            load.send_all(port, _FETCH, known, 1)
            again = [_cpu_ms(port, pid, known * 300) for _ in range(rounds)]
        reads_kept = _reads_while_hanging(mongod, insi, rounds, seconds)
        slow = {**insi, **_PLENTY, "FHIR_INS_INSI_ENDPOINT": f"{insi['FHIR_INS_INSI_ENDPOINT']}?delay=0.3"}
        crowd = _crowd(mongod, {**slow, "FHIR_INS_MONGODB_DATABASE": "crowd"})
        excess = _crowd(mongod, {**slow, "FHIR_INS_MONGODB_DATABASE": "excess", "FHIR_INS_INSI_QUEUE": "100"})
    return Costs(
        median(first),
        median(again),
        reads_kept,
        crowd.seconds,
        crowd.answers,
        crowd.patients,
        crowd.memory_mb,
        excess.answers,
        excess.refused_ms,
    )


def table(costs: Costs) -> str:
    return "\n".join(
        (
            f"$ins-fetch, CPU ms of the server: a new person {costs.first_ms:.2f}, one asked about today "
            f"{costs.again_ms:.2f}",
            f"reads while {HANGING} fetches hang: {costs.reads_kept:.3f} of their speed without",
            f"{CROWD} fetches at once, INSi takes 300 ms: {costs.crowd_seconds:.1f} s, answers {costs.crowd_answers}, "
            f"{costs.crowd_patients} Patients stored for two crowds, "
            f"{costs.crowd_memory_mb:+.0f} MB from the first crowd to the second",
            f"the same with 100 places to wait: answers {costs.excess}, a refusal in {costs.excess_ms:.0f} ms (p99)",
        )
    )


def _parameters(index: int) -> str:
    """The body of $ins-fetch for one fictitious person."""
    who = person(index)
    return json.dumps(
        {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "family", "valueString": who.family},
                {"name": "given", "valueString": who.given.split()[0]},
                {"name": "gender", "valueCode": {"F": "female", "M": "male"}[who.sex]},
                {"name": "birthDate", "valueDate": who.birth_date},
            ],
        },
        separators=(",", ":"),
    )


def _cpu_ms(port: int, pid: int, bodies: list[str]) -> float:
    """CPU milliseconds of the server for one fetch; four at a time, each on a body of its own turn."""
    before = processes.cpu_seconds(pid)
    statuses = asyncio.run(_sent(port, bodies, 4))
    if set(statuses) != {200}:
        raise SystemExit(f"$ins-fetch was answered {sorted(set(statuses))}")
    return 1000 * (processes.cpu_seconds(pid) - before) / len(bodies)


async def _sent(port: int, bodies: list[str], connections: int) -> list[int]:
    waiting, statuses = iter(bodies), list[int]()

    async def work() -> None:
        connection = load.Connection(port)
        for body in waiting:
            statuses.append((await connection.send(load.render(port, _FETCH, body))).status)
        await connection.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    return statuses


def _reads_while_hanging(mongod: Mongod, insi: dict[str, str], rounds: int, seconds: float) -> float:
    """Reads beside hanging fetches, over reads alone: slices in turn, in one server, the median of the ratios."""
    hanging = {
        **insi,
        **_PLENTY,
        "FHIR_INS_MONGODB_DATABASE": "hanging",
        "FHIR_INS_INSI_ENDPOINT": f"{insi['FHIR_INS_INSI_ENDPOINT']}?wire=hang",
    }
    read = ROWS[0]
    with processes.server(mongod.uri, hanging) as (port, _):
        created = load.send_all(
            port, Requests("/fhir/Patient", method="POST", body=_BARE), [str(n) for n in range(50)], 4
        )
        ids = [answer.headers["location"].partition("/Patient/")[2].partition("/")[0] for answer in created.values()]
        requests = read.server(Preloaded(ids, ()))
        load.load(port, requests, 8, 1.0)
        ratios = []
        for _ in range(rounds):
            alone = load.load(port, requests, 8, seconds)
            with _hanging_fetches(port):
                beside = load.load(port, requests, 8, seconds)
            ratios.append((beside.requests / beside.seconds) / (alone.requests / alone.seconds))
    return median(ratios)


_BARE = '{"resourceType":"Patient","name":[{"family":"BENCH-{key}"}]}'


@contextmanager
def _hanging_fetches(port: int) -> Iterator[None]:
    """`HANGING` fetches that wait for an INSi that does not answer; their callers leave at the end of the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def hang() -> None:
        with_bodies = [_parameters(next(_people)) for _ in range(HANGING)]
        await asyncio.gather(*(_sent(port, [body], 1) for body in with_bodies))

    running = asyncio.run_coroutine_threadsafe(hang(), loop)
    time.sleep(0.5)
    try:
        yield
    finally:
        running.cancel()
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.2), loop).result()  # until the callers have left
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        gc.collect()


@dataclass(frozen=True, slots=True)
class _Crowd:
    seconds: float
    answers: dict[str, int]
    patients: int
    memory_mb: float
    refused_ms: float


def _crowd(mongod: Mongod, settings: dict[str, str]) -> _Crowd:
    """Two crowds one after the other: the second shows whether memory grows."""
    with processes.server(mongod.uri, settings) as (port, pid):
        asyncio.run(_at_once(port))
        before = processes.memory(pid)
        started = time.perf_counter()
        answers, refused_ms = asyncio.run(_at_once(port))
        taken = time.perf_counter() - started
        grown = (processes.memory(pid) - before) / 1e6
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        patients = client[settings["FHIR_INS_MONGODB_DATABASE"]].resources.count_documents({})
    return _Crowd(taken, answers, patients, grown, refused_ms)


async def _at_once(port: int) -> tuple[dict[str, int], float]:
    """How often each status was answered to `CROWD` people asked for at once, and how long a 429 took (p99)."""
    bodies = [_parameters(next(_people)) for _ in range(CROWD)]
    counted: dict[str, int] = {}
    refused: list[float] = []

    async def one(body: str) -> None:
        begun = time.perf_counter()
        connection = load.Connection(port, seconds=120)
        status = (await connection.send(load.render(port, _FETCH, body))).status
        counted[str(status)] = counted.get(str(status), 0) + 1
        if status == 429:
            refused.append(1000 * (time.perf_counter() - begun))
        await connection.close()

    await asyncio.gather(*(one(body) for body in bodies))
    refused.sort()
    return dict(sorted(counted.items())), refused[int(len(refused) * 0.99)] if refused else 0.0
