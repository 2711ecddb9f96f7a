"""One request, one answer: nothing that comes unasked is taken for what INSi says of the next person."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fhir_ins.insi.channel import Channel


def http(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def request(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    (length,) = (line for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    return await reader.readexactly(int(length.partition(b":")[2]))


@asynccontextmanager
async def peer(unasked: bytes) -> AsyncIterator[tuple[str, list[int]]]:
    """A server that says something more a moment after its first answer; its address, the connections of requests."""
    connections: list[int] = []
    counted = iter(range(100))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = next(counted)
        try:
            while True:
                asked = await request(reader)
                connections.append(own)
                writer.write(http(b"answer to " + asked))
                if unasked and len(connections) == 1:
                    await asyncio.sleep(0.05)
                    writer.write(unasked)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/lps", connections


@pytest.mark.parametrize(
    ("unasked", "kept"),
    [(b"", True), (http(b"answer to somebody else"), False), (b"\0", False)],
)
async def test_a_connection_is_used_again_unless_something_came_unasked(unasked: bytes, kept: bool) -> None:
    async with peer(unasked) as (endpoint, connections):
        channel = Channel(endpoint, ssl.create_default_context(), connect=5)
        try:
            for person in (b"one", b"two", b"three"):
                assert (await channel.post(person, "action", 5)).body == b"answer to " + person
                await asyncio.sleep(0.15)
        finally:
            await channel.aclose()
    assert (connections[0] == connections[1]) is kept
    assert connections[1] == connections[2]
