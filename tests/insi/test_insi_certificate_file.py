"""Certificates and trust files that change under a running server."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
import structlog
from authority import NOW, Authority, Issued
from cryptography.hazmat.primitives.asymmetric import rsa

from fhir_ins.ins.traits import Traits
from fhir_ins.insi.certificate import CertificateFault
from fhir_ins.insi.certificate_file import CertificateFile, TrustFile
from fhir_ins.insi.port import ByTraits, FaultKind, Found, Requester
from fhir_ins.insi.soap import SoapAdapter, SoapConfiguration
from fhir_ins.simulator.pki import Pki, ensure_pki

AUTHORITY = Authority()
FIRST, SECOND = AUTHORITY.issue(), AUTHORITY.issue()
QUESTION = ByTraits(Traits("ADRUN", ("ZOE",), "F", "1975-12-31", None), ("ZOE",))
WHO = Requester("tests", "a-test")


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "client.p12"
    path.write_bytes(FIRST.pkcs12())
    return path


@pytest.fixture
def logged() -> Iterator[list[dict]]:
    with structlog.testing.capture_logs() as events:
        yield events


def written(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def renamed(file: Path, content: bytes) -> None:
    new = file.with_name("client.p12.new")
    new.write_bytes(content)
    new.replace(file)


@pytest.mark.parametrize("put", [written, renamed])
def test_a_new_file_is_taken_a_second_later_and_not_before(file, clock, logged, put: Callable[[Path, bytes], None]):
    held = CertificateFile(file, "secret", clock=clock)
    put(file, SECOND.pkcs12())
    clock.passes(seconds=0.9)
    assert held.current().certificate == FIRST.certificate
    clock.passes(seconds=0.1)
    assert held.current().certificate == SECOND.certificate
    assert held.current() is held.current()
    assert [event["event"] for event in logged] == ["insi_file_taken"]


def test_the_links_that_kubernetes_turns_are_followed(tmp_path: Path, clock):
    def mounted(version: str, client: Issued, passphrase: str) -> None:
        (tmp_path / version).mkdir()
        (tmp_path / version / "client.p12").write_bytes(client.pkcs12(passphrase))
        (tmp_path / version / "passphrase").write_text(f"{passphrase}\n")
        (tmp_path / "..data.new").symlink_to(version)
        (tmp_path / "..data.new").replace(tmp_path / "..data")

    mounted("..1", FIRST, "one")
    for name in ("client.p12", "passphrase"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    held = CertificateFile(tmp_path / "client.p12", tmp_path / "passphrase", clock=clock)
    mounted("..2", SECOND, "two")
    clock.passes(seconds=1)
    assert held.current().certificate == SECOND.certificate


def test_a_passphrase_file_that_comes_after_the_certificate_completes_it(file, clock):
    passphrase = file.with_name("passphrase")
    passphrase.write_text("secret")
    held = CertificateFile(file, passphrase, clock=clock)
    file.write_bytes(SECOND.pkcs12("new secret"))
    clock.passes(seconds=1)
    assert held.current().certificate == FIRST.certificate
    passphrase.write_text("new secret\r\n")
    clock.passes(seconds=1)
    assert held.current().certificate == SECOND.certificate


EXPIRED = AUTHORITY.issue(start=NOW - timedelta(days=20), days=10)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (SECOND.pkcs12()[:300], "is cut short"),
        (SECOND.pkcs12("another"), "passphrase of"),
        (SECOND.pem, "is a PEM file"),
        (EXPIRED.pkcs12(), "expired on"),
        (AUTHORITY.issue(unit="10B0999902").pkcs12(), "is of the structure (OU) 10B0999902"),
        (Authority("AC IGC-SANTE ELEMENTAIRE ORGANISATIONS").issue().pkcs12(), "is of production"),
        (AUTHORITY.issue(key=rsa.generate_private_key(65537, 1024)).pkcs12(), "OpenSSL refuses"),
        (None, "There is no file"),
    ],
)
def test_a_file_that_cannot_be_used_leaves_the_former_in_use_and_is_told_once(file, clock, logged, content, reason):
    held = CertificateFile(file, "secret", clock=clock)
    file.write_bytes(content) if content else file.unlink()
    for _ in range(3):
        clock.passes(seconds=1)
        assert held.current().certificate == FIRST.certificate
    (event,) = logged
    assert (event["event"], event["log_level"], event["file"]) == ("insi_file_refused", "warning", str(file))
    assert reason in event["reason"]
    assert "secret" not in str(event)
    assert (held.refused, held.state()["refused"]) == (event["reason"], True)
    file.write_bytes(SECOND.pkcs12())
    clock.passes(seconds=1)
    assert held.current().certificate == SECOND.certificate
    assert "refused" not in held.state()


def test_a_file_that_becomes_readable_is_read(file, clock, monkeypatch):
    held = CertificateFile(file, "secret", clock=clock)
    renamed(file, SECOND.pkcs12())
    with monkeypatch.context() as forbidding:  # root reads everything
        forbidding.setattr(
            Path, "read_bytes", lambda _: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
        )
        clock.passes(seconds=1)
        assert held.current().certificate == FIRST.certificate
    os.chmod(file, 0o600)
    clock.passes(seconds=1)
    assert held.current().certificate == SECOND.certificate


def test_a_certificate_for_later_is_taken_when_its_time_comes(file, clock):
    held = CertificateFile(file, "secret", clock=clock)
    later = AUTHORITY.issue(start=NOW + timedelta(hours=1))
    file.write_bytes(later.pkcs12())
    clock.passes(minutes=59)
    assert held.current().certificate == FIRST.certificate
    assert "is valid from" in (held.refused or "")
    clock.passes(minutes=1)
    assert held.current().certificate == later.certificate


def test_the_same_certificate_written_again_changes_nothing(file, clock, logged):
    held = CertificateFile(file, "secret", clock=clock)
    before = held.current()
    file.write_bytes(FIRST.pkcs12())
    clock.passes(seconds=1)
    assert held.current() is before
    assert logged == []


def test_the_state_tells_how_long_it_lasts(file, clock):
    held = CertificateFile(file, "secret", clock=clock)
    assert held.state() == {"notAfter": f"{NOW + timedelta(days=364):%Y-%m-%d}", "daysLeft": 364}
    clock.passes(days=366)
    assert held.state()["daysLeft"] == -2


def test_a_server_starts_with_an_expired_certificate_and_takes_the_next(file, clock, logged):
    file.write_bytes(EXPIRED.pkcs12())
    held = CertificateFile(file, "secret", clock=clock)
    assert [event["event"] for event in logged] == ["insi_certificate_out_of_date"]
    renamed(file, SECOND.pkcs12())
    clock.passes(seconds=1)
    assert held.current().certificate == SECOND.certificate


@pytest.mark.parametrize(
    ("content", "text"), [(None, "There is no passphrase file"), (b"\xff", "is not text in UTF-8")]
)
def test_a_passphrase_file_that_cannot_be_read_is_named(file, content, text):
    passphrase = file.with_name("passphrase")
    if content:
        passphrase.write_bytes(content)
    with pytest.raises(CertificateFault, match=text):
        CertificateFile(file, passphrase)
    with pytest.raises(CertificateFault, match="cannot be read"):
        CertificateFile(file, file.parent)


def test_a_trust_file_is_watched_likewise(tmp_path: Path, clock, logged):
    other = Authority()
    held = TrustFile(AUTHORITY.write(tmp_path / "trust.pem"), clock=clock)
    (tmp_path / "trust.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nMIIB")
    clock.passes(seconds=1)
    assert held.current() == (AUTHORITY.certificate,)
    assert "holds no PEM certificate" in (held.refused or "")
    other.write(tmp_path / "trust.pem")
    clock.passes(seconds=1)
    assert held.current() == (other.certificate,)
    assert [event["event"] for event in logged] == ["insi_file_refused", "insi_file_taken"]


# Over real mTLS


@pytest.fixture
def choosy(open_wire, pki: Pki, tmp_path: Path):
    """A server with the simulator's name that lets clients of AUTHORITY in."""
    return open_wire(replace(pki, authority=AUTHORITY.write(tmp_path / "clients.pem")))


Adapting = Callable[..., SoapAdapter]


@pytest.fixture
async def adapting(configuration: SoapConfiguration, clock: Clock, file: Path, open_wire) -> AsyncIterator[Adapting]:
    """Makes adapters whose certificate is that of `file`, whatever it becomes; closed before the servers stop."""
    made: list[SoapAdapter] = []

    def make(endpoint: str, **changes: object) -> SoapAdapter:
        held = {"certificate": CertificateFile(file, "secret", clock=clock)}
        changed = replace(configuration, endpoint=endpoint, **(held | changes))  # type: ignore[arg-type]
        made.append(SoapAdapter(changed, clock=clock))
        return made[-1]

    yield make
    for adapter in made:
        await adapter.aclose()


async def asked(adapter: SoapAdapter):
    return (await adapter.ask(QUESTION, WHO, within=20)).outcome


async def test_the_simulator_lets_the_replaced_certificate_in(adapting, endpoint, clock, pki: Pki, tmp_path: Path):
    foreign = ensure_pki(tmp_path / "foreign")
    adapter = adapting(endpoint, certificate=CertificateFile(foreign.client, foreign.passphrase, clock=clock))
    assert not isinstance(await asked(adapter), Found)
    renamed(foreign.client, pki.client.read_bytes())
    clock.passes(seconds=1)
    assert isinstance(await asked(adapter), Found)


async def test_the_next_call_goes_out_with_the_new_certificate(adapting, choosy, clock, file):
    adapter = adapting(choosy.answers(200, b""))
    for put in (FIRST, FIRST, SECOND, SECOND):
        renamed(file, put.pkcs12())
        clock.passes(seconds=1)
        await asked(adapter)
    assert serials(choosy) == [client.certificate.serial_number for client in (FIRST, FIRST, SECOND, SECOND)]


async def test_a_call_under_way_is_not_cut(adapting, choosy, clock, file):
    adapter = adapting(choosy.slow(0.5, b""))
    first = asyncio.create_task(asked(adapter))
    while not choosy.requests:  # noqa: ASYNC110 - the server is in another thread
        await asyncio.sleep(0.01)
    renamed(file, SECOND.pkcs12())
    clock.passes(seconds=1)
    second = await asked(adapter)
    assert "with an empty body" in (await first).text
    assert "with an empty body" in second.text
    assert serials(choosy) == [client.certificate.serial_number for client in (FIRST, SECOND)]


async def test_the_former_connections_are_closed_after_their_last_call(adapting, choosy, clock, file):
    endpoint = choosy.answers(200, b"")
    adapter = adapting(endpoint)
    await asked(adapter)
    former = connections(endpoint)
    renamed(file, SECOND.pkcs12())
    clock.passes(seconds=1)
    await asked(adapter)
    assert len(former) == len(connections(endpoint)) == 1
    assert former != connections(endpoint)


def serials(wire) -> list[int]:
    return [request.serial for request in wire.requests]


def connections(endpoint: str) -> set[str]:
    """The local ends of the open connections to the server."""
    port = f":{httpx.URL(endpoint).port:04X}"
    rows = (row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return {row[1] for row in rows if row[2].endswith(port) and row[3] == "01"}


async def test_the_replaced_trust_file_is_believed(adapting, choosy, clock, pki: Pki, tmp_path: Path):
    trust = Authority().write(tmp_path / "trust.pem")
    adapter = adapting(choosy.answers(200, b""), trust=trust)
    assert "is not trusted" in (await asked(adapter)).text
    trust.write_bytes(b"half")
    clock.passes(seconds=1)
    assert "is not trusted" in (await asked(adapter)).text
    assert adapter.state()["trust"] == {"refused": True}
    renamed(trust, pki.authority.read_bytes())
    clock.passes(seconds=1)
    assert "with an empty body" in (await asked(adapter)).text


async def test_an_expired_certificate_is_not_sent(adapting, choosy, clock, file):
    adapter = adapting(choosy.answers(200, b""))
    await asked(adapter)
    clock.passes(days=365)
    fault = await asked(adapter)
    assert fault == adapter.refusal(QUESTION, WHO)
    assert (fault.kind, fault.retryable) == (FaultKind.CONFIGURATION, False)
    assert f"expired on {NOW + timedelta(days=364):%Y-%m-%d}" in fault.text
    assert len(choosy.requests) == 1
    assert adapter.state()["certificate"]["daysLeft"] == -1
    renamed(file, AUTHORITY.issue(days=800).pkcs12())
    clock.passes(seconds=1)
    assert "with an empty body" in (await asked(adapter)).text


async def test_a_certificate_that_is_no_file_is_not_sent_expired_either(adapting, choosy):
    assert "expired on" in (await asked(adapting(choosy.answers(200, b""), certificate=EXPIRED.client))).text
    assert choosy.requests == []
