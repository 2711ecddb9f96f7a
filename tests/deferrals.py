"""Deferred calls as the tests make and follow them, and a gate before INSi that holds calls back."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
from people import ADRUN, traits

from fhir_ins.fhir.structure import validate

Json = dict[str, Any]

FETCH = "/Patient/$ins-fetch"
NOWHERE = "https://localhost:9/lps"
QUICK = 6000  # calls a minute: as good as no bound
ONE_TRY: Json = {"insi_attempts": 1, "insi_breaker_failures": 1000}  # INSi away is told at once, each time
AWAY: Json = {"insi_endpoint": NOWHERE, "insi_deferred_per_minute": 0, **ONE_TRY}  # INSi away, nothing carried out
ENDED = {"completed", "failed", "cancelled"}

DEFER: Json = {"resourceType": "Parameters", "parameter": [{"name": "defer", "valueBoolean": True}]}
DEFERRED = traits("ADRUN", ["ZOE"], "female", "1975-12-31", defer=True)
BROKEN = traits("VANDERMONDE", ["ARIANA"], "female", "1995-06-17", defer=True)  # INSi answers insi_102
PEOPLE = [  # of whom INSi knows the first four
    DEFERRED,
    traits("ECETINSI", ["PIERRE-ALAIN"], "male", "2009-07-14", defer=True),
    traits("NESSI", ["NATHALIE"], "female", "1977-07-14", defer=True),
    traits("CORSE", ["ANTHONY"], "male", "1980-03-02", defer=True),
    traits("HOUILLES", ["PIERRE"], "male", "1993-01-27", defer=True),
    traits("HOUILLES", ["PAUL"], "male", "1993-01-27", defer=True),
]


def with_flags(parameters: Json, **flags: bool) -> Json:
    given = [{"name": name, "valueBoolean": value} for name, value in flags.items()]
    return {**parameters, "parameter": [*parameters["parameter"], *given]}


async def deferred(fhir: httpx.AsyncClient, parameters: Json = DEFERRED, path: str = FETCH) -> str:
    """The path of the Task."""
    answer = await fhir.post(path, json=parameters)
    assert answer.status_code == 202, answer.text
    assert validate(answer.json()) == []
    location = answer.headers["content-location"]
    assert location.startswith(str(fhir.base_url))
    assert f"Task/{location.rpartition('/')[2]}" in answer.text
    return "/Task/" + location.rpartition("/")[2]


async def read(fhir: httpx.AsyncClient, path: str) -> Json:
    answer = await fhir.get(path)
    assert answer.status_code == 200, answer.text
    assert validate(answer.json()) == []
    return answer.json()  # type: ignore[no-any-return]


async def until(fhir: httpx.AsyncClient, task: str, holds: Callable[[Json], bool]) -> Json:
    """The Task once that is so of it."""
    deadline = time.monotonic() + 60
    while not holds(found := await read(fhir, task)):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.02)
    assert ADRUN not in str(found)
    return found


async def ended(fhir: httpx.AsyncClient, task: str) -> Json:
    return await until(fhir, task, lambda found: found["status"] in ENDED)


async def patients(fhir: httpx.AsyncClient) -> list[Json]:
    return [entry["resource"] for entry in (await fhir.get("/Patient")).json().get("entry", [])]


async def tasks(fhir: httpx.AsyncClient, **parameters: str) -> list[Json]:
    answer = await fhir.get("/Task", params=parameters)
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", [])]


def outputs(task: Json, name: str) -> list[Any]:
    return [
        next(value for key, value in found.items() if key.startswith("value"))
        for found in task.get("output", [])
        if found["type"]["coding"][0]["code"] == name
    ]


def told(task: Json) -> str:
    """What the Task says in words."""
    return " ".join(task[name]["text"] for name in ("statusReason", "businessStatus") if name in task)


class Gate:
    """A way to INSi that lets nobody pass until it is opened: calls are under way as long as a test likes."""

    def __init__(self, insi: str) -> None:
        self._insi = urlsplit(insi).port
        self._handlers: set[asyncio.Task[None]] = set()
        self._arrivals: asyncio.Queue[None] = asyncio.Queue()
        self.opened = asyncio.Event()
        self.url = ""

    async def reached(self, times: int = 1) -> None:
        """Wait until so many more calls have come."""
        async with asyncio.timeout(60):
            for _ in range(times):
                await self._arrivals.get()

    @asynccontextmanager
    async def standing(self, port: int = 0) -> AsyncIterator["Gate"]:
        """With the gate there, at a free port or at this one."""
        server = await asyncio.start_server(self._come, "localhost", port)
        self.url = f"https://localhost:{server.sockets[0].getsockname()[1]}/lps"
        try:
            yield self
        finally:
            server.close()
            for handler in self._handlers:
                handler.cancel()
            await asyncio.gather(*self._handlers)
            await server.wait_closed()

    async def _come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.current_task()
        assert handler
        self._handlers.add(handler)
        self._arrivals.put_nowait(None)
        writers = [writer]
        try:
            await self.opened.wait()
            inside, outside = await asyncio.open_connection("localhost", self._insi)
            writers.append(outside)
            await asyncio.gather(_passed(reader, outside), _passed(inside, writer))
        except (OSError, asyncio.CancelledError):
            pass  # the client has left, or the test is over
        finally:
            for one in writers:
                one.close()
                with suppress(OSError):
                    await one.wait_closed()
            self._handlers.discard(handler)


async def _passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
