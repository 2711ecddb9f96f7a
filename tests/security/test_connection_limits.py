"""What one connection may cost: bytes, headers, seconds, and how many there may be. Real sockets throughout."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import orjson
import pytest
from raw_http import GET, Answer, wire
from servers import StartServer, serving
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from fhir_ins.settings import Settings

HOST = b"Host: localhost\r\n"
LARGE = 20_000_000


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the length of the body; at /large with much, at /unread without having read."""
    if scope["type"] != "http":
        return
    request = Request(scope, receive)
    if scope["path"] == "/large":
        response = Response(bytes(LARGE))
    elif scope["path"] == "/unread":
        response = PlainTextResponse("no", 413)
    else:
        response = PlainTextResponse(str(len(await request.body())))
    await response(scope, receive, send)


LIMITS = {"max_header_bytes": 4096, "max_url_bytes": 1000}
HASTY = {"header_timeout": 0.4, "body_timeout": 0.4}


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with serving(Settings(**LIMITS), app) as served:
        yield served


@pytest.fixture
async def hasty() -> AsyncIterator[str]:
    """A server that does not wait long."""
    async with serving(Settings(**HASTY), app) as served:
        yield served


async def ask(url: str, *parts: bytes, pause: float = 0) -> Answer:
    """The answer to a request sent in these parts; the connection must end with it where it says so."""
    async with wire(url) as connection:
        for part in parts:
            await connection.send(part)
            await asyncio.sleep(pause)
        answer = await connection.answer()
        if answer.headers.get("connection") == "close":
            assert await connection.is_closed()
        return answer


def issue(answer: Answer) -> str:
    """The code of the one issue of the outcome, which every refusal is."""
    assert answer.headers["content-type"].startswith("application/fhir+json")
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "date" in answer.headers
    assert "server" not in answer.headers
    (found,) = orjson.loads(answer.body)["issue"]
    return found["code"]


async def test_an_ordinary_request_is_answered_and_the_connection_kept(url: str) -> None:
    async with wire(url) as connection:
        for _ in range(3):
            await connection.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc")
            assert (await connection.answer()).body == b"3"
        await connection.send(GET * 3)  # pipelined
        for _ in range(3):
            assert (await connection.answer()).body == b"0"


@pytest.mark.parametrize(
    "parts",
    [
        [b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 5000 + b"\r\n\r\n"],
        [b"GET / HTTP/1.1\r\n" + HOST, b"X: " + b"x" * 2500, b"x" * 2500 + b"\r\n\r\n"],
        [b"GET / HTTP/1.1\r\n" + HOST, *[b"X: " + b"x" * 1000 + b"\r\n"] * 6],
        [b"GET / HTTP/1.1\r\n" + HOST, b"X: ", *[b"x" * 1000] * 6],
        [b"GET / HTTP/1.1\r\n" + HOST + b"X: 1\r\n" * 101 + b"\r\n"],
    ],
    ids=["at once", "in parts", "many without end", "one without end", "too many"],
)
async def test_more_headers_than_are_taken_are_431(url: str, parts: list[bytes]) -> None:
    answer = await ask(url, *parts, pause=0.01)
    assert (answer.status, issue(answer)) == (431, "too-long")


@pytest.mark.parametrize(
    "parts",
    [[b"GET /" + b"x" * 1000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"], [b"GET /", *[b"x" * 1000] * 6]],
    ids=["whole", "without end"],
)
async def test_a_longer_url_than_is_taken_is_414(url: str, parts: list[bytes]) -> None:
    answer = await ask(url, *parts, pause=0.01)
    assert (answer.status, issue(answer)) == (414, "too-long")


async def test_a_head_within_the_limits_is_taken_in_whatever_parts(url: str) -> None:
    head = b"GET /" + b"x" * 900 + b" HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 2500 + b"\r\n\r\n"
    assert (await ask(url, head)).status == 200
    assert (await ask(url, *[head[at : at + 500] for at in range(0, len(head), 500)], pause=0.001)).status == 200
    # after a body in the same bytes, which is no part of the next head
    body = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 9000\r\n\r\n" + b"x" * 9000
    async with wire(url) as connection:
        await connection.send(body + head[:200])
        await connection.send(head[200:])
        assert [(await connection.answer()).body for _ in range(2)] == [b"9000", b"0"]


@pytest.mark.parametrize(
    "parts",
    [[b"GET / HT"], [b"GET / HTTP/1.1\r\n", HOST], [b"\r\n", b"GET"], [GET[:-2], b"X", b":", b"1", b"\r", b"\n", b"Y"]],
    ids=["request line", "headers", "empty lines first", "drop by drop"],
)
async def test_a_head_that_does_not_come_in_time_is_408(hasty: str, parts: list[bytes]) -> None:
    answer = await ask(hasty, *parts, pause=0.01)
    assert (answer.status, issue(answer)) == (408, "timeout")


async def test_whoever_asks_nothing_is_let_go_without_a_word(hasty: str) -> None:
    async with wire(hasty) as connection:
        assert await connection.is_closed()
    async with wire(hasty) as connection:
        await connection.send(b"\r\n")
        assert await connection.is_closed()


async def test_a_late_head_after_an_answer_ends_the_connection(hasty: str) -> None:
    async with wire(hasty) as connection:
        await connection.send(GET + b"GET /")
        assert (await connection.answer()).status == 200
        assert (await connection.answer()).status == 408
        assert await connection.is_closed()


async def test_an_idle_connection_is_ended() -> None:
    async with serving(Settings(idle_timeout=1), app) as url, wire(url) as connection:
        await connection.send(GET)
        assert (await connection.answer()).status == 200
        assert await connection.is_closed()


SLOW = b"POST /%b HTTP/1.1\r\n" + HOST + b"Content-Type: application/fhir+json\r\nContent-Length: 100\r\n\r\n{"


async def test_a_body_that_does_not_come_in_time_is_408(start_server: StartServer) -> None:
    fhir = await start_server(body_timeout=0.4)
    answer = await ask(str(fhir.base_url), SLOW % b"fhir/Patient")
    assert (answer.status, issue(answer)) == (408, "timeout")
    french = (SLOW % b"fhir/Patient").replace(HOST, HOST + b"Accept-Language: fr\r\n")
    assert "secondes" in (await ask(str(fhir.base_url), french)).body.decode()


async def test_a_body_that_nobody_reads_holds_no_connection(hasty: str) -> None:
    async with wire(hasty) as connection:
        await connection.send(SLOW % b"unread")
        answer = await connection.answer()
        assert answer.status == 413
        assert await connection.is_closed()


async def test_an_application_that_reads_late_is_not_the_clients_fault() -> None:
    """While we do not read, the client cannot send."""

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(3.0)
            await app(scope, receive, send)

    large = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\n" + bytes(1_000_000)
    async with serving(Settings(**HASTY), late) as url, wire(url) as connection:
        await connection.send(large)
        assert (await connection.answer()).body == b"1000000"


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_an_answer_that_is_not_taken_is_given_up(hasty: str, version: bytes) -> None:
    async with wire(hasty, limit=1024) as connection:
        await connection.send(b"GET /large HTTP/" + version + b"\r\n" + HOST + b"\r\n")
        await asyncio.sleep(1.0)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await connection.reader.readexactly(LARGE)


async def test_an_answer_that_is_taken_slowly_but_in_time_is_whole() -> None:
    async with serving(Settings(body_timeout=5), app) as url, wire(url, limit=1024) as connection:
        await connection.send(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
        head = await connection.reader.readuntil(b"\r\n\r\n")
        assert b"200" in head
        received = 0
        while received < LARGE:
            received += len(await connection.reader.read(2_000_000))
            await asyncio.sleep(0.001)
        assert received == LARGE


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"BREW / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["TLS", "method", "space", "CONNECT", "both lengths", "two lengths", "chunk"],
)
async def test_what_is_no_http_is_400(url: str, sent: bytes) -> None:
    answer = await ask(url, sent)
    assert (answer.status, issue(answer)) == (400, "structure")


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
async def test_an_upgrade_is_answered_as_what_else_it_is_and_ends_the_connection(url: str, protocol: bytes) -> None:
    upgrade = (
        HOST + b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    )
    answer = await ask(url, b"GET / HTTP/1.1\r\n" + upgrade + b"Sec-WebSocket-Version: 13\r\n\r\n")
    assert (answer.status, answer.headers["connection"]) == (200, "close")


async def test_more_connections_than_there_may_be_are_503() -> None:
    async with serving(Settings(max_connections=2), app) as url, wire(url) as one:
        async with wire(url) as two:
            for connection in (one, two):
                await connection.send(GET)
                assert (await connection.answer()).status == 200
            answer = await ask(url)
            assert (answer.status, issue(answer), answer.headers["retry-after"]) == (503, "transient", "5")
            await one.send(GET)
            assert (await one.answer()).status == 200
        await two_is_gone(url)


async def two_is_gone(url: str) -> None:
    """The server sees it in its own time."""
    for _ in range(500):
        if (await ask(url, GET)).status == 200:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the place of a connection that has ended was not free again")


async def test_one_address_has_its_share_of_the_connections_but_a_trusted_proxy_more() -> None:
    async with serving(Settings(max_connections_of_one=1), app) as url, wire(url) as one:
        await one.send(GET)
        assert (await one.answer()).status == 200
        assert (await ask(url)).status == 503
    async with serving(Settings(max_connections_of_one=1, trusted_proxies="127.0.0.0/8"), app) as url, wire(url) as one:
        await one.send(GET)
        assert (await one.answer()).status == 200
        assert (await ask(url, GET)).status == 200


async def test_what_a_client_of_the_api_sees(start_server: StartServer) -> None:
    """The same through the application; the client of the tests asks for the French of each outcome."""
    fhir = await start_server(max_url_bytes=300)
    answer: httpx.Response = await fhir.get("/Patient", params={"family": "x" * 300})
    assert answer.status_code == 414
    answer = await fhir.get("/Patient", headers={f"X-{number}": "1" for number in range(100)})
    assert answer.status_code == 431
