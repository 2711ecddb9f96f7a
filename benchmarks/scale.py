"""Search at two scales: `python -m benchmarks.scale --patients 1000000`, in one run, on one embedded MongoDB.

Two tenants, of few Patients and of as many as are asked for, made by several processes straight into the store, as
the server itself would write them. In each the same few are planted, and searches that find just those are timed
through the server, the tenants in turn; the keys and documents MongoDB examines are read from its profiler.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from pymongo import MongoClient

from benchmarks import processes
from fhir_ins.frcore.search_parameters import further_keys
from fhir_ins.ins.identity import Identity
from fhir_ins.security.caller import Caller
from fhir_ins.store.documents import Draft, version_document
from fhir_ins.store.mongod import LOOPBACK, Mongod

Json = dict[str, Any]

DATABASE = "scale"
PLANTED = 10
SYSTEM = "urn:oid:1.2.250.1.999.1.1"
_BATCH = 500
_STARTS = ("MAR", "DU", "LE", "BER", "PE", "MO", "RO", "GAR", "FOU", "LAM", "BON", "FRAN", "RI", "CHE", "MER", "VI")
_MIDDLES = ("", "", "CHE", "LI", "NA", "VE", "RO", "DE")
_ENDS = ("TIN", "RAND", "ROY", "NARD", "TIT", "REAU", "BERT", "NET", "CHARD", "VIN", "LER", "ZEAU", "DET", "NIER")
_GIVEN = ("JEAN", "MARIE", "PIERRE", "LOUISE", "PAUL", "ANNE", "LUC", "JEANNE", "HUGO", "EMMA", "LEO", "CHLOE", "ZOE")
_CITIES = ["Ambert", "Lyon", "Paris", "Nantes", "Lille", "Brest", "Nice", "Rouen", "Metz", "Dijon", "Tours", "Caen"]


@dataclass(frozen=True, slots=True)
class Query:
    """A search that finds what is planted, and no other."""

    name: str
    path: str
    parameters: Sequence[tuple[str, str]]


QUERIES = (
    Query("identifier", "Patient", (("identifier", f"{SYSTEM}|planted-3"),)),
    Query("family+birthdate", "Patient", (("family", "martin"), ("birthdate", "1903-02-01"))),
    Query("family:contains", "Patient", (("family:contains", "zyxw"),)),
    Query("_lastUpdated pages", "Patient", (("_lastUpdated", "ge2030"), ("_count", "5"))),
    Query("_has", "Patient", (("_has:Observation:patient:code", "urn:bench|planted"),)),
    Query("_sort", "Patient", (("family", "martinzyxwvu"), ("_sort", "-birthdate,given"))),
)


def person(chance: random.Random, serial: int, planted: int | None) -> Json:
    """A Patient of about 1 KB, of names as common as real ones are; one planted has what the queries ask for."""
    family = chance.choice(_STARTS) + chance.choice(_MIDDLES) + chance.choice(_ENDS)
    born = f"{chance.randint(1930, 2025)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
    value = f"{serial:012}"
    if planted is not None:
        family, born, value = "MARTIN-ZYXWVU", "1903-02-01", f"planted-{planted}"
    given = [chance.choice(_GIVEN), chance.choice(_GIVEN)]
    return {
        "resourceType": "Patient",
        "identifier": [{"use": "usual", "system": SYSTEM, "value": value}],
        "active": True,
        "name": [{"use": "official", "family": family, "given": given}],
        "telecom": [{"system": "phone", "value": f"+33 4 {chance.randint(0, 99_999_999):08}", "use": "home"}],
        "gender": chance.choice(("female", "male")),
        "birthDate": born,
        "address": [
            {
                "line": [f"{chance.randint(1, 99)} rue de l'Église"],
                "city": chance.choice(_CITIES),
                "postalCode": f"{chance.randint(1, 95):02}000",
                "country": "FRA",
            }
        ],
    }


def observation(patient: str, *, planted: bool) -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "urn:bench", "code": "planted" if planted else "weight"}]},
        "subject": {"reference": f"Patient/{patient}"},
    }


def documents(tenant: str, of: range, patients: int) -> Iterator[Json]:
    """The documents of these serial numbers: every tenth Patient, and each planted one, has an Observation."""
    caller, chance = Caller(tenant, "bench", frozenset()), random.Random(of.start)
    every = patients // PLANTED
    for serial in of:
        planted = serial // every if serial % every == 0 else None
        id_ = f"{chance.getrandbits(128):032x}"
        resource = person(chance, serial, planted)
        draft = Draft(resource, None, None, Identity(), further_keys(resource, Identity()))
        made = version_document(caller, "Patient", id_, draft, None, "POST")
        if planted is not None:
            made["updated"] = made["updated"].replace(year=2030)
        yield made
        if serial % 10 == 0 or planted is not None:
            weighed = Draft(observation(id_, planted=planted is not None), None, None, Identity())
            yield version_document(caller, "Observation", f"o{id_[1:]}", weighed, None, "POST")


def filled(uri: str, tenant: str, patients: int, of: range) -> int:
    """Store a part of a tenant; in a process of its own."""
    with MongoClient[Json](uri) as client:
        batch: list[Json] = []
        for document in documents(tenant, of, patients):
            batch.append(document)
            if len(batch) == _BATCH:
                client[DATABASE].resources.insert_many(batch, ordered=False)
                batch = []
        if batch:
            client[DATABASE].resources.insert_many(batch, ordered=False)
    return len(of)


def fill(uri: str, tenant: str, patients: int, workers: int) -> None:
    parts = [range(start, min(start + 10_000, patients)) for start in range(0, patients, 10_000)]
    begun = time.monotonic()
    with ProcessPoolExecutor(workers) as pool:
        done = 0
        for count in pool.map(partial(filled, uri, tenant, patients), parts):
            done += count
            took = time.monotonic() - begun
            print(f"\r{tenant}: {done} of {patients} Patients, {done / took:.0f}/s", end="", file=sys.stderr)
    print(file=sys.stderr)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one query at one scale: milliseconds, and what MongoDB examined for what it found."""

    p50: float
    p95: float
    found: int
    keys: int
    documents: int


def timed(port: int, query: Query, times: int) -> tuple[list[float], int]:
    """Milliseconds of each of so many requests, one after the other on one connection; how many it finds."""
    path = f"/fhir/{query.path}?{urlencode(query.parameters, quote_via=quote)}"
    connection = HTTPConnection(LOOPBACK, port)
    took, found = [], 0
    for _ in range(times):
        begun = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        took.append(1000 * (time.perf_counter() - begun))
        if answer.status != 200:
            raise SystemExit(f"{query.name} was answered {answer.status}: {body[:300].decode()}")
        found = len(json.loads(body).get("entry", ()))
    connection.close()
    return took, found


def examined(client: MongoClient[Json], port: int, query: Query) -> tuple[int, int]:
    """The keys and documents that all commands of one request examine."""
    database = client[DATABASE]
    database.command("profile", 0)
    database["system.profile"].drop()
    database.command("profile", 2)
    timed(port, query, 1)
    database.command("profile", 0)
    seen = list(database["system.profile"].find({"ns": f"{DATABASE}.resources", "op": {"$in": ["query", "command"]}}))
    return sum(one.get("keysExamined", 0) for one in seen), sum(one.get("docsExamined", 0) for one in seen)


def measured(ports: dict[str, int], uri: str, rounds: int, times: int) -> dict[str, dict[str, Figures]]:
    """Each query at each scale, in turn, so that a noisy moment meets both."""
    figures: dict[str, dict[str, Figures]] = {}
    with MongoClient[Json](uri) as client:
        for query in QUERIES:
            took: dict[str, list[float]] = {tenant: [] for tenant in ports}
            found: dict[str, int] = {}
            for port in ports.values():
                timed(port, query, 20)
            for round_ in range(rounds):
                for tenant in list(ports)[:: 1 if round_ % 2 else -1]:
                    more, found[tenant] = timed(ports[tenant], query, times)
                    took[tenant] += more
            figures[query.name] = {
                tenant: Figures(
                    statistics.median(took[tenant]),
                    statistics.quantiles(took[tenant], n=20)[-1],
                    found[tenant],
                    *examined(client, port, query),
                )
                for tenant, port in ports.items()
            }
    return figures


def table(figures: dict[str, dict[str, Figures]]) -> str:
    head = f"{'query':20} {'tenant':8} {'p50 ms':>8} {'p95 ms':>8} {'found':>6} {'keys':>7} {'docs':>7} {'ratio':>6}"
    lines = [head]
    for name, by_tenant in figures.items():
        least = by_tenant["small"].p50
        for tenant, one in by_tenant.items():
            lines.append(
                f"{name:20} {tenant:8} {one.p50:8.2f} {one.p95:8.2f} {one.found:6} {one.keys:7} {one.documents:7} "
                f"{one.p50 / least:6.2f}"
            )
    return "\n".join(lines)


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--patients", type=int, default=1_000_000, help="Patients of the large tenant (%(default)s)")
    parser.add_argument("--small", type=int, default=10_000, help="Patients of the small tenant (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes that make them (%(default)s)")
    parser.add_argument("--rounds", type=int, default=6, help="rounds over both tenants (%(default)s)")
    parser.add_argument("--times", type=int, default=50, help="requests of a query a round (%(default)s)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> dict[str, dict[str, Figures]]:
    """Prints the figures of each query at each scale, and the sizes of the indexes."""
    chosen = options(arguments)
    with ExitStack() as running:
        directory = running.enter_context(tempfile.TemporaryDirectory(prefix="fhir-ins-scale-"))
        mongod = running.enter_context(Mongod.start(Path(directory), cache_gigabytes=6))
        ports = {}
        for tenant in ("small", "large"):
            settings = {"FHIR_INS_MONGODB_DATABASE": DATABASE, "FHIR_INS_TENANT": tenant}
            ports[tenant], _ = running.enter_context(processes.server(mongod.uri, settings))
        fill(mongod.uri, "small", chosen.small, chosen.workers)
        fill(mongod.uri, "large", chosen.patients, chosen.workers)
        figures = measured(ports, mongod.uri, chosen.rounds, chosen.times)
        print(f"{chosen.small} and {chosen.patients} Patients, medians of {chosen.rounds * chosen.times} requests\n")
        print(table(figures))
        with MongoClient[Json](mongod.uri) as client:
            sizes = client[DATABASE].command("collStats", "resources")
        print(f"\nresources: {sizes['size'] / 1e6:.0f} MB, stored in {sizes['storageSize'] / 1e6:.0f} MB; indexes:")
        for name, size in sorted(sizes["indexSizes"].items(), key=lambda one: -one[1]):
            print(f"  {name:16} {size / 1e6:8.0f} MB")
    return figures


if __name__ == "__main__":
    main()
