"""HTTP by hand on a socket: for clients that are slow, or write what no library would."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

GET = b"GET /fhir/metadata HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Wire:
    """Both ends of a connection's bytes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> Answer:
        """The next answer, whole. Raises IncompleteReadError where the server ends the connection instead."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(int(status.split()[1]), headers, body)

    async def is_closed(self) -> bool:
        """Wait for the server to end the connection; no more may come before."""
        try:
            return await self.reader.read() == b""
        except ConnectionResetError:
            return True


@asynccontextmanager
async def wire(url: str, tls: ssl.SSLContext | None = None, limit: int = 2**20) -> AsyncIterator[Wire]:
    """A connection to the server of this URL."""
    where = urlsplit(url)
    name = "localhost" if tls else None
    reader, writer = await asyncio.open_connection(
        where.hostname, where.port, ssl=tls, server_hostname=name, limit=limit
    )
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):  # the server was first
            await writer.wait_closed()
