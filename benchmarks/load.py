"""The bundled load generator: raw sockets kept alive, one request at a time on each, in one asyncio loop.

It serves where wrk is missing, and it preloads. It spends far more CPU than wrk, so its figures are lower.
"""

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from benchmarks.rows import Requests
from fhir_ins.store.mongod import LOOPBACK

TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Load:
    """What one slice met: requests done, in how many seconds, latencies, answers that were not 2xx."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; the header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """One kept-alive HTTP/1.1 connection to a port of the loopback, opened again when it breaks."""

    def __init__(self, port: int, seconds: float = TIMEOUT_SECONDS) -> None:
        self._port = port
        self._seconds = seconds
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> Answer:
        """Sends a rendered request. Raises OSError (TimeoutError) or EOFError when it breaks."""
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._exchange(request)
        except (OSError, EOFError):
            await self.close()
            raise
        if answer.headers.get("connection") == "close":
            await self.close()
        return answer

    async def _exchange(self, request: bytes) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(LOOPBACK, self._port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status_line, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(status_line.split(" ", 2)[1]), headers, body)

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def render(port: int, requests: Requests, key: str) -> bytes:
    """One request as it goes over the wire."""
    body = requests.body.replace("{key}", key).encode()
    headers = {"Host": f"{LOOPBACK}:{port}", **requests.headers, "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{requests.method} {requests.path.replace('{key}', key)} HTTP/1.1\r\n{head}\r\n".encode() + body


def fresh_prefix() -> str:
    """Eight digits that no other slice is likely to draw; ten more count within the slice."""
    return f"{random.randrange(10**8):08d}"


def fresh_serials() -> Iterator[str]:
    prefix = fresh_prefix()
    return (f"{prefix}{number:010d}" for number in count())


def load(port: int, requests: Requests, connections: int, seconds: float) -> Load:
    """Asks as fast as `connections` allow for `seconds`."""
    return asyncio.run(_load(port, requests, connections, seconds))


async def _load(port: int, requests: Requests, connections: int, seconds: float) -> Load:
    serials = fresh_serials()
    pool = [render(port, requests, key) for key in requests.keys]
    latencies: list[float] = []
    errors = 0

    async def ask() -> None:
        nonlocal errors
        connection = Connection(port)
        while (begin := time.perf_counter()) < deadline:
            request = random.choice(pool) if pool else render(port, requests, next(serials))
            try:
                errors += not 200 <= (await connection.send(request)).status < 300
            except (OSError, EOFError):
                errors += 1
            latencies.append(time.perf_counter() - begin)
        await connection.close()

    start = time.perf_counter()
    deadline = start + seconds
    await asyncio.gather(*(ask() for _ in range(connections)))
    elapsed = time.perf_counter() - start
    latencies.sort()
    p50, p99 = (1000 * latencies[int(len(latencies) * part)] for part in (0.50, 0.99))
    return Load(len(latencies), elapsed, p50, p99, errors)


def send_all(port: int, requests: Requests, keys: Sequence[str], connections: int) -> dict[str, Answer]:
    """Sends one request for each key, and gives the answer to each. Raises OSError or EOFError."""
    waiting = iter(keys)
    answers: dict[str, Answer] = {}

    async def work() -> None:
        connection = Connection(port)
        for key in waiting:
            answers[key] = await connection.send(render(port, requests, key))
        await connection.close()

    async def all_work() -> None:
        await asyncio.gather(*(work() for _ in range(connections)))

    asyncio.run(all_work())
    return answers
