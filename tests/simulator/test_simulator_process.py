"""The simulator as a process: what it prints, whom it lets in, and how it ends."""

import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from fhir_ins.insi.certificate import load_certificate, ssl_context
from fhir_ins.simulator.pki import Pki, ensure_pki


@contextmanager
def simulator(directory: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "fhir_ins.simulator", "--port", "0", "--directory", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            process.kill()


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return ensure_pki(tmp_path_factory.mktemp("simulator"))


@pytest.fixture(scope="module")
def endpoint(pki: Pki) -> Iterator[str]:
    with simulator(pki.client.parent) as (_, line):
        yield line.split()[-1]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_one_line_and_ends_cleanly_on_a_signal(pki: Pki, stop: signal.Signals):
    with simulator(pki.client.parent) as (process, line):
        assert re.fullmatch(r"INSi simulator: https://localhost:\d+/lps\n", line)
        process.send_signal(stop)
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == 0


def test_a_client_of_its_authority_is_let_in(pki: Pki, endpoint: str):
    context = ssl_context(load_certificate(pki.client, pki.passphrase), pki.authority)
    assert httpx.post(endpoint, verify=context).status_code == 500


def test_a_client_without_certificate_is_refused(pki: Pki, endpoint: str):
    context = ssl.create_default_context(cafile=pki.authority)
    with pytest.raises(httpx.TransportError):
        httpx.post(endpoint, verify=context)


def test_a_client_of_another_authority_is_refused(pki: Pki, endpoint: str, tmp_path: Path):
    other = ensure_pki(tmp_path)
    context = ssl_context(load_certificate(other.client, other.passphrase), pki.authority)
    with pytest.raises(httpx.TransportError):
        httpx.post(endpoint, verify=context)


def test_it_answers_nothing_but_post_lps(pki: Pki, endpoint: str):
    context = ssl_context(load_certificate(pki.client, pki.passphrase), pki.authority)
    with httpx.Client(verify=context) as client:
        assert client.get(endpoint).status_code == 405
        assert client.post(endpoint.replace("/lps", "/other")).status_code == 404
