"""The simulator as a process: what it prints, whom it lets in, how it misbehaves on the wire, and how it ends."""

import asyncio
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from insi_requests import Ask, by_traits

from fhir_ins.insi.certificate import load_certificate, ssl_context
from fhir_ins.simulator.card_reader import Card
from fhir_ins.simulator.pki import PROFESSIONAL, Pki, ensure_pki, issue_client


@contextmanager
def simulator(directory: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "fhir_ins.simulator", "--port", "0", "--directory", str(directory), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            process.kill()


@pytest.fixture(scope="module")
def endpoint(pki: Pki) -> Iterator[str]:
    with simulator(pki.client.parent) as (_, line):
        yield line.split()[-1]


def tls(pki: Pki, client: Path | None) -> ssl.SSLContext:
    if client is None:
        return ssl.create_default_context(cafile=pki.authority)
    return ssl_context(load_certificate(client, pki.passphrase), pki.authority)


@pytest.fixture
async def client(pki: Pki) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(verify=tls(pki, pki.client), timeout=20) as client:
        yield client


async def post(client: httpx.AsyncClient, endpoint: str, ask: Ask | None = None, **is_: str) -> httpx.Response:
    ask = ask or by_traits()
    return await client.post(endpoint, params=is_, content=ask.envelope(), headers={"Content-Type": ask.content_type})


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_one_line_and_ends_cleanly_on_a_signal(pki: Pki, stop: signal.Signals):
    with simulator(pki.client.parent) as (process, line):
        assert re.fullmatch(r"INSi simulator: https://localhost:\d+/lps\n", line)
        process.send_signal(stop)
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == 0


@pytest.mark.parametrize(
    ("issued", "expected"),
    [
        ({}, "<CodeCR>00"),
        ({"common_name": "INSI-MANU"}, "<CodeCR>00"),
        ({"production": True, "legacy": True}, "<CodeCR>00"),
        ({"common_name": "INSI"}, "DESIR_560"),
        ({"structure": "10B0999902"}, "The Emetteur of both contexts"),
    ],
)
async def test_an_organisation_of_its_authorities_is_let_in(pki: Pki, endpoint: str, tmp_path: Path, issued, expected):
    context = tls(pki, issue_client(pki, tmp_path / "client.p12", **issued))
    async with httpx.AsyncClient(verify=context) as client:
        assert expected in (await post(client, endpoint)).text


async def test_a_professional_needs_no_certificate(pki: Pki, endpoint: str):
    async with httpx.AsyncClient(verify=tls(pki, None)) as client:
        assertion = Card(pki.card, pki.passphrase).professional(datetime.now(UTC))
        assert "<CodeCR>00" in (await post(client, endpoint, by_traits().by(PROFESSIONAL, assertion))).text
        assert "neither" in (await post(client, endpoint)).text


def test_a_client_of_another_authority_is_refused(pki: Pki, endpoint: str, tmp_path: Path):
    foreign = ensure_pki(tmp_path).client
    with pytest.raises(httpx.TransportError):
        httpx.post(endpoint, verify=tls(pki, foreign))


def test_an_expired_client_is_refused(pki: Pki, endpoint: str, tmp_path: Path):
    context = tls(pki, issue_client(pki, tmp_path / "client.p12", expired=True))
    with pytest.raises(httpx.TransportError):
        httpx.post(endpoint, verify=context)


async def test_it_answers_nothing_but_what_it_is_for(client: httpx.AsyncClient, endpoint: str):
    assert (await client.get(endpoint)).status_code == 405
    assert (await client.post(endpoint.replace("/lps", "/other"))).status_code == 404


async def test_an_answer_may_not_be_what_it_should_be(client: httpx.AsyncClient, endpoint: str):
    usual = await post(client, endpoint)
    away = await post(client, endpoint, wire="html-503")
    assert (away.status_code, away.headers["content-type"]) == (503, "text/html; charset=utf-8")
    html = await post(client, endpoint, wire="wrong-content-type")
    assert (html.status_code, html.headers["content-type"], html.text) == (200, "text/html; charset=utf-8", usual.text)
    empty = await post(client, endpoint, wire="empty")
    assert (empty.status_code, empty.content) == (200, b"")


async def test_a_connection_may_be_reset(client: httpx.AsyncClient, endpoint: str):
    with pytest.raises(httpx.ReadError):
        await post(client, endpoint, wire="reset")
    assert (await post(client, endpoint)).status_code == 200


async def test_an_answer_may_break_off(client: httpx.AsyncClient, endpoint: str):
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        await post(client, endpoint, wire="truncated")
    assert (await post(client, endpoint)).status_code == 200


async def test_an_answer_may_never_come(client: httpx.AsyncClient, endpoint: str):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await post(client, endpoint, wire="hang")
    assert (await post(client, endpoint)).status_code == 200


def test_who_waits_for_ever_does_not_keep_it_from_ending(pki: Pki):
    with simulator(pki.client.parent, "--behaviour", "wire=hang") as (process, line):
        with httpx.Client(verify=tls(pki, pki.client), timeout=0.5) as client, pytest.raises(httpx.ReadTimeout):
            client.post(line.split()[-1])
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=20) == ("", "")


async def test_a_query_string_that_means_nothing_is_told(client: httpx.AsyncClient, endpoint: str):
    for said, complaint in (
        ({"wire": "wet"}, "wire is one of html-503"),
        ({"colour": "red"}, "'colour' is no behaviour"),
    ):
        answer = await post(client, endpoint, **said)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")
        assert complaint in answer.text


async def test_the_default_is_controlled(pki: Pki, client: httpx.AsyncClient):
    with simulator(pki.client.parent, "--behaviour", "unknown=insi_102") as (_, line):
        endpoint = line.split()[-1]
        control = endpoint.replace("/lps", "/control")
        assert (await client.get(control)).json() == {"unknown": "insi_102"}
        assert (await client.put(control, json={"fault": "insi_111", "delay": 0.01})).status_code == 200
        assert (await client.get(control)).json() == {"fault": "insi_111", "delay": "0.01"}
        assert "insi_111" in (await post(client, endpoint)).text
        assert "<CodeCR>00" in (await post(client, endpoint, delay="0")).text
        for body in (b"", b"[]", b'{"fault": "x"}', b'{"colour": null}'):
            assert (await client.put(control, content=body)).status_code == 400
        assert (await client.delete(control)).json() == {"unknown": "insi_102"}
        assert "<CodeCR>00" in (await post(client, endpoint)).text


@pytest.mark.parametrize(
    ("command", "option", "complaint"),
    [
        (["fhir_ins.simulator"], "wire=wet", "wire is one of html-503"),
        (["fhir_ins", "simulator"], "wire", "name=value"),
    ],
)
def test_an_option_that_means_nothing_is_told(command: list[str], option: str, complaint: str):
    ended = subprocess.run(
        [sys.executable, "-m", *command, "--behaviour", option], capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert complaint in ended.stderr
