"""TLS of the server: versions, suites, its certificate as it is now, client certificates. Real handshakes."""

import asyncio
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import structlog
from authority import NOW, Authority, Issued
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from raw_http import wire
from servers import StartServer, serving
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from fhir_ins.security.certificate_fault import CertificateFault
from fhir_ins.security.client_certificate import peer_certificate, thumbprint
from fhir_ins.serving import uvicorn_options
from fhir_ins.settings import Settings

# How a client sees a handshake that the server does not take: asyncio sends no alert.
REFUSED = (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)
LOCALHOST = (x509.SubjectAlternativeName([x509.DNSName("localhost")]),)
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def whoami(scope: Scope, receive: Receive, send: Send) -> None:
    """What an application can know of the handshake."""
    if scope["type"] == "http":
        shown = peer_certificate(scope)
        tls = scope["extensions"]["tls"]
        known = {"thumbprint": thumbprint(shown) if shown else None, "scheme": Request(scope).url.scheme, **tls}
        await JSONResponse(known)(scope, receive, send)


Trusting = Callable[..., ssl.SSLContext]


def key_of(issued: Issued, passphrase: str = "") -> bytes:
    sealing = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealing)


@pytest.fixture
def authority() -> Authority:
    return Authority("Edge authority")


@pytest.fixture
def files(tmp_path: Path, authority: Authority) -> dict[str, Path]:
    """The settings of a server that speaks TLS."""
    issued = authority.issue("localhost", extensions=LOCALHOST)
    (tmp_path / "server.pem").write_bytes(issued.pem)
    (tmp_path / "server.key").write_bytes(key_of(issued))
    return {"tls_certificate": tmp_path / "server.pem", "tls_key": tmp_path / "server.key"}


@pytest.fixture
def trusting(authority: Authority) -> Callable[..., ssl.SSLContext]:
    def context(client: Issued | None = None, directory: Path | None = None) -> ssl.SSLContext:
        made = ssl.create_default_context(cadata=authority.pem.decode())
        if client and directory:
            (directory / "client.pem").write_bytes(client.pem + key_of(client))
            made.load_cert_chain(directory / "client.pem")
        return made

    return context


async def told(url: str, tls: ssl.SSLContext) -> dict[str, object]:
    """What the server says of our connection."""
    async with wire(url, tls) as connection:
        await connection.send(GET)
        known: dict[str, object] = json.loads((await connection.answer()).body)
        known["ours"] = connection.writer.get_extra_info("cipher")
        known["certificate"] = connection.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return known


async def test_the_api_over_tls(files: dict[str, Path], start_server: StartServer, trusting: Trusting) -> None:
    async with wire(str((await start_server(**files)).base_url), trusting()) as connection:
        await connection.send(b"GET /fhir/Patient HTTP/1.1\r\nHost: localhost:1\r\n\r\n")
        answer = await connection.answer()
    assert answer.status == 200
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert b'"https://localhost:1/fhir/Patient"' in answer.body


@pytest.mark.parametrize(("version", "number"), [("TLSv1_2", 0x0303), ("TLSv1_3", 0x0304)])
async def test_both_versions_are_spoken(files: dict[str, Path], trusting: Trusting, version: str, number: int) -> None:
    context = trusting()
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    async with serving(Settings(**files), whoami) as url:
        known = await told(url, context)
        assert (known["tls_version"], known["scheme"]) == (number, "https")
        assert known["cipher_suite"] in {0x1301, 0x1302, 0x1303, 0xC02B, 0xC02C, 0xCCA9}
        assert (known["client_cert_chain"], known["client_cert_name"], known["thumbprint"]) == ([], None, None)


async def is_possible(files: dict[str, Path], client: ssl.SSLContext) -> bool:
    """Whether this client's handshake would succeed with a server that takes everything."""
    lax = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    lax.set_ciphers("ALL:@SECLEVEL=0")
    lax.minimum_version = ssl.TLSVersion.TLSv1
    lax.load_cert_chain(files["tls_certificate"], files["tls_key"])
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=lax)
    async with server, wire(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", client):
        return True


# What a modern server no longer speaks: older versions; of TLS 1.2 what has no forward secrecy, or CBC.
@pytest.mark.parametrize(
    ("version", "suites"),
    [
        ("TLSv1", "ALL"),
        ("TLSv1_1", "ALL"),
        ("TLSv1_2", "AES128-GCM-SHA256"),
        ("TLSv1_2", "ECDHE-RSA-AES128-SHA256"),
        ("TLSv1_2", "ECDHE-RSA-AES256-SHA"),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_older_versions_and_suites_are_refused(
    files: dict[str, Path], authority: Authority, trusting: Trusting, version: str, suites: str
) -> None:
    issued = authority.issue("localhost", extensions=LOCALHOST, key=rsa.generate_private_key(65537, 2048))
    files["tls_certificate"].write_bytes(issued.pem)
    files["tls_key"].write_bytes(key_of(issued))
    context = trusting()
    context.set_ciphers(f"{suites}:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    assert await is_possible(files, context)
    async with serving(Settings(**files), whoami) as url:
        with pytest.raises(REFUSED):
            await told(url, context)


def test_no_compression_no_renegotiation_no_tickets(files: dict[str, Path]) -> None:
    context = uvicorn_options(Settings(**files))["ssl_context_factory"](None, None)
    for option in (ssl.OP_NO_COMPRESSION, ssl.OP_NO_RENEGOTIATION, ssl.OP_NO_TICKET):
        assert context.options & option
    assert context.num_tickets == 0
    assert {suite["protocol"] for suite in context.get_ciphers()} == {"TLSv1.2", "TLSv1.3"}
    assert all(suite["aead"] for suite in context.get_ciphers())


async def test_clear_text_on_a_tls_port_is_answered_by_nothing(files: dict[str, Path]) -> None:
    async with serving(Settings(**files), whoami) as url, wire(url) as connection:
        await connection.send(GET)
        assert b"HTTP" not in await connection.reader.read()


class TestClientCertificates:
    """They are asked for where authorities are named."""

    @pytest.fixture
    def clients(self, tmp_path: Path, files: dict[str, Path]) -> Authority:
        authority = Authority("Authority of clients")
        files["tls_client_authorities"] = authority.write(tmp_path / "clients.pem")
        return authority

    @pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
    async def test_the_application_sees_whose_it_is(
        self, files: dict[str, Path], clients: Authority, trusting: Trusting, tmp_path: Path, version: str
    ) -> None:
        client = clients.issue("an EHR", "FINESS 010000001")
        context = trusting(client, tmp_path)
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
        async with serving(Settings(**files), whoami) as url:
            known = await told(url, context)
        assert known["client_cert_chain"] == [client.pem.decode()]
        assert known["client_cert_name"] == client.certificate.subject.rfc4514_string()
        assert known["thumbprint"] == thumbprint(client.certificate)

    async def test_a_client_may_show_none_unless_it_must(
        self, files: dict[str, Path], clients: Authority, trusting: Trusting
    ) -> None:
        async with serving(Settings(**files), whoami) as url:
            assert (await told(url, trusting()))["thumbprint"] is None
        async with serving(Settings(**files, tls_client_required=True), whoami) as url:
            with pytest.raises(REFUSED):
                await told(url, trusting())

    @pytest.mark.parametrize("wrong", ["authority", "expired", "not yet"])
    async def test_one_that_cannot_be_verified_ends_the_handshake(
        self, files: dict[str, Path], clients: Authority, trusting: Trusting, tmp_path: Path, wrong: str
    ) -> None:
        start, days = {"expired": (NOW - timedelta(9), 1.0), "not yet": (NOW + timedelta(1), 9.0)}.get(
            wrong, (NOW - timedelta(1), 9.0)
        )
        issuer = Authority("Somebody else") if wrong == "authority" else clients
        client = issuer.issue("an EHR", start=start, days=days)
        async with serving(Settings(**files), whoami) as url:
            with pytest.raises(REFUSED):
                await told(url, trusting(client, tmp_path))

    async def test_a_session_of_tls_1_3_is_not_taken_up_again(
        self, files: dict[str, Path], clients: Authority, trusting: Trusting
    ) -> None:
        context = trusting()
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        async with serving(Settings(**files), whoami) as url:
            assert await asyncio.to_thread(second_is_resumed, urlsplit(url).port, context) is False
        ordinary = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ordinary.load_cert_chain(files["tls_certificate"], files["tls_key"])
        async with await asyncio.start_server(answer_once, "127.0.0.1", 0, ssl=ordinary) as server:
            port = server.sockets[0].getsockname()[1]
            assert await asyncio.to_thread(second_is_resumed, port, context) is True


def second_is_resumed(port: int, context: ssl.SSLContext) -> bool | None:
    """Whether a client that comes again with its session is spared the handshake."""
    session, resumed = None, None
    for _ in range(2):
        tcp = socket.create_connection(("127.0.0.1", port))
        with context.wrap_socket(tcp, server_hostname="localhost", session=session) as connection:
            connection.sendall(GET)
            assert connection.recv(1000)
            session, resumed = connection.session, connection.session_reused
    return resumed


async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
    await writer.drain()
    writer.close()


class TestReplacedFiles:
    """They are taken by the next handshake, a second later at most."""

    @pytest.fixture(autouse=True)
    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fhir_ins.security.watched_files._LOOK_AGAIN", timedelta(0))

    async def test_a_new_certificate_is_shown(
        self, files: dict[str, Path], authority: Authority, trusting: Trusting
    ) -> None:
        async with serving(Settings(**files), whoami) as url:
            first = (await told(url, trusting()))["certificate"]
            issued = authority.issue("localhost", extensions=LOCALHOST)
            with structlog.testing.capture_logs() as logged:
                files["tls_certificate"].write_bytes(issued.pem)
                assert (await told(url, trusting()))["certificate"] == first  # until its key is there too
                files["tls_key"].write_bytes(key_of(issued))
                second = (await told(url, trusting()))["certificate"]
        assert second == issued.certificate.public_bytes(Encoding.DER) != first
        assert [event["event"] for event in logged] == ["tls_file_refused", "tls_file_taken"]

    async def test_new_authorities_are_believed_and_former_ones_not(
        self, files: dict[str, Path], trusting: Trusting, tmp_path: Path
    ) -> None:
        former, new = Authority("Former authority"), Authority("New authority")
        files["tls_client_authorities"] = former.write(tmp_path / "clients.pem")
        clients = {name: trusting(one.issue(name), tmp_path) for name, one in {"old": former, "new": new}.items()}
        async with serving(Settings(**files), whoami) as url:
            assert (await told(url, clients["old"]))["thumbprint"]
            new.write(tmp_path / "clients.pem")
            assert (await told(url, clients["new"]))["thumbprint"]
            with pytest.raises(REFUSED):
                await told(url, clients["old"])

    async def test_an_expired_certificate_is_not_taken(
        self, files: dict[str, Path], authority: Authority, trusting: Trusting
    ) -> None:
        async with serving(Settings(**files), whoami) as url:
            first = (await told(url, trusting()))["certificate"]
            expired = authority.issue("localhost", extensions=LOCALHOST, start=NOW - timedelta(9), days=1)
            files["tls_certificate"].write_bytes(expired.pem)
            files["tls_key"].write_bytes(key_of(expired))
            assert (await told(url, trusting()))["certificate"] == first


class TestWrongFiles:
    """They stop the start in plain words."""

    def fault(self, **settings: object) -> str:
        with pytest.raises((CertificateFault, ValueError)) as caught:
            uvicorn_options(Settings(**settings))
        return str(caught.value)

    def test_files_that_are_not_what_they_are_named_as(
        self, files: dict[str, Path], authority: Authority, tmp_path: Path
    ) -> None:
        certificate, key = files["tls_certificate"], files["tls_key"]
        assert "There is no file" in self.fault(tls_certificate=tmp_path / "none.pem")
        assert "cannot be read" in self.fault(tls_certificate=tmp_path)
        assert "no private key" in self.fault(tls_certificate=certificate)
        assert "holds no certificate in PEM" in self.fault(tls_certificate=key, tls_key=key)
        assert "holds no authority in PEM" in self.fault(**files, tls_client_authorities=key)
        (tmp_path / "other.key").write_bytes(key_of(authority.issue()))
        assert "is not that of" in self.fault(tls_certificate=certificate, tls_key=tmp_path / "other.key")
        (tmp_path / "cut.key").write_bytes(key.read_bytes()[:100])
        assert "no private key" in self.fault(tls_certificate=certificate, tls_key=certificate)
        assert "damaged" in self.fault(tls_certificate=certificate, tls_key=tmp_path / "cut.key")

    def test_a_key_that_is_too_short(self, authority: Authority, tmp_path: Path) -> None:
        issued = authority.issue("localhost", key=rsa.generate_private_key(65537, 1024))
        (tmp_path / "short.pem").write_bytes(issued.pem + key_of(issued))
        assert "OpenSSL refuses" in self.fault(tls_certificate=tmp_path / "short.pem")

    def test_settings_that_need_others(self, files: dict[str, Path]) -> None:
        assert "FHIR_INS_TLS_CERTIFICATE" in self.fault(tls_key=files["tls_key"])
        assert "FHIR_INS_TLS_CERTIFICATE" in self.fault(tls_client_required=True)
        assert "FHIR_INS_TLS_CLIENT_AUTHORITIES" in self.fault(**files, tls_client_required=True)

    async def test_a_sealed_key(
        self, files: dict[str, Path], authority: Authority, tmp_path: Path, trusting: Trusting
    ) -> None:
        issued = authority.issue("localhost", extensions=LOCALHOST)
        both = tmp_path / "both.pem"
        both.write_bytes(issued.pem + key_of(issued, "open sesame"))
        assert "FHIR_INS_TLS_KEY_PASSPHRASE" in self.fault(tls_certificate=both)
        assert "not that of the key" in self.fault(tls_certificate=both, tls_key_passphrase="sesame")
        async with serving(Settings(tls_certificate=both, tls_key_passphrase="open sesame"), whoami) as url:
            assert (await told(url, trusting()))["scheme"] == "https"

    def test_an_expired_certificate_is_told_and_does_not_stop_the_start(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        issued = authority.issue("localhost", start=NOW - timedelta(9), days=1)
        (tmp_path / "expired.pem").write_bytes(issued.pem + key_of(issued))
        with structlog.testing.capture_logs() as logged:
            uvicorn_options(Settings(tls_certificate=tmp_path / "expired.pem"))
        assert [event["event"] for event in logged] == ["tls_certificate_out_of_date"]

    def test_the_command_says_it(self, tmp_path: Path) -> None:
        environment = {"FHIR_INS_TLS_CERTIFICATE": str(tmp_path / "none.pem")}
        command = [sys.executable, "-m", "fhir_ins", "serve"]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert (ended.returncode, ended.stderr) == (1, f"fhir-ins: There is no file {tmp_path}/none.pem.\n")
