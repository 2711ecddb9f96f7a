"""A simulator in a process of its own, the real adapter, and a TLS server that answers what a test wants."""

import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from lxml import etree

from fhir_ins.insi.certificate import ClientCertificate, load_certificate
from fhir_ins.insi.contract import ADDRESSING_NAMESPACE, BAM_NAMESPACE, LPS_NAMESPACE
from fhir_ins.insi.port import Witness
from fhir_ins.insi.soap import SoapAdapter, SoapConfiguration
from fhir_ins.simulator.pki import Pki, ensure_pki
from fhir_ins.simulator.service import DEFAULT_IDAM


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return ensure_pki(tmp_path_factory.mktemp("insi"))


@pytest.fixture(scope="session")
def certificate(pki: Pki) -> ClientCertificate:
    return load_certificate(pki.client, pki.passphrase)


@pytest.fixture(scope="session")
def endpoint(pki: Pki) -> Iterator[str]:
    """Where the simulator listens, over real mTLS on a free port."""
    command = [
        sys.executable,
        "-m",
        "fhir_ins.simulator",
        "--port",
        "0",
        "--directory",
        str(pki.client.parent),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def configuration(endpoint: str, pki: Pki, certificate: ClientCertificate) -> SoapConfiguration:
    return SoapConfiguration(
        endpoint=endpoint,
        certificate=certificate,
        trust=pki.authority,
        idam=DEFAULT_IDAM,
        lps_name="fhir-ins",
        lps_version="0.1.0",
        lps_instance="6a3c7f5e-0d2b-4c55-9a41-3f0c2b1d7e90",
    )


Connect = Callable[..., SoapAdapter]


@pytest.fixture
async def connect(configuration: SoapConfiguration) -> AsyncIterator[Connect]:
    """Makes adapters for the simulator, or for what the changes to the configuration say."""
    made: list[SoapAdapter] = []

    def make(*, now: datetime | None = None, witness: Witness | None = None, **changes: object) -> SoapAdapter:
        clock = {"clock": lambda: now} if now else {}
        made.append(SoapAdapter(replace(configuration, **changes), witness=witness, **clock))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for insi in made:
        await insi.aclose()


@dataclass(frozen=True)
class Received:
    """A request as it came over the wire, and the serial number of the client's certificate."""

    content_type: str
    body: bytes
    serial: int | None  # of the client's certificate

    @property
    def certified(self) -> bool:
        return self.serial is not None


class Wire:
    """A server over real mTLS that keeps what it receives and behaves as a test wants."""

    def __init__(self, pki: Pki) -> None:
        self.requests: list[Received] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pki.server_certificate, pki.server_key)
        self._context.load_verify_locations(pki.authority)
        self._context.verify_mode = ssl.CERT_REQUIRED
        # TLS 1.3 may lose the alert that refuses a client when the client is already writing
        self._context.maximum_version = ssl.TLSVersion.TLSv1_2
        self._stopped = threading.Event()
        self._server: ThreadingHTTPServer | None = None

    def answers(self, status: int, body: bytes, host: str = "127.0.0.1", media_type: str | None = None) -> str:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            if media_type:
                handler.send_header("Content-Type", media_type)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        return self._start(answer, host)

    def answers_in_turn(self, *answers: tuple[int, bytes]) -> str:
        """One after the other; the last one again and again."""
        left = list(answers)

        def answer(handler: BaseHTTPRequestHandler) -> None:
            status, body = left.pop(0) if len(left) > 1 else left[0]
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        return self._start(answer)

    def slow(self, seconds: float, body: bytes) -> str:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            self._stopped.wait(seconds)
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        return self._start(answer)

    def one_way(self) -> "Wire":
        """Let clients in who show no certificate."""
        self._context.verify_mode = ssl.CERT_OPTIONAL
        return self

    def silent(self) -> str:
        return self._start(lambda _: self._stopped.wait())

    def hanging_up(self) -> str:
        return self._start(lambda handler: setattr(handler, "close_connection", True))

    def dripping(self) -> str:
        def drip(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.end_headers()
            while not self._stopped.wait(0.05):
                handler.wfile.write(b" ")

        return self._start(drip)

    def ids(self) -> list[tuple[str, str, str]]:
        """The MessageID and the Ids of both contexts, of each request."""
        roots = [etree.fromstring(request.body) for request in self.requests]
        wanted = (
            f"{{{ADDRESSING_NAMESPACE}}}MessageID",
            f"{{{BAM_NAMESPACE}}}Id",
            f"{{{LPS_NAMESPACE}}}Id",
        )
        return [tuple(next(root.iter(name)).text for name in wanted) for root in roots]  # type: ignore[misc]

    def stop(self) -> None:
        self._stopped.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def _start(self, behave: Callable[[BaseHTTPRequestHandler], object], host: str = "127.0.0.1") -> str:
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 2

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                certificate = self.connection.getpeercert()  # type: ignore[attr-defined]
                serial = int(certificate["serialNumber"], 16) if certificate else None
                wire.requests.append(Received(self.headers["Content-Type"], body, serial))
                try:
                    behave(self)
                except OSError:  # the client has given up
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server((host, 0), Handler)
        self._server.socket = self._context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return f"https://{host}:{self._server.server_port}/lps"


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, *_: object) -> None:
        pass


OpenWire = Callable[[Pki], Wire]


@pytest.fixture
def open_wire() -> Iterator[OpenWire]:
    """Makes such servers with the files of a PKI; `authority` is whose clients they let in."""
    made: list[Wire] = []

    def make(pki: Pki) -> Wire:
        made.append(Wire(pki))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def wire(open_wire: OpenWire, pki: Pki) -> Wire:
    return open_wire(pki)


@pytest.fixture(scope="session")
def published() -> Path:
    """The published contract and answers, which the project does not ship."""
    folder = Path(__file__).parents[2].parent / "shared" / "data" / "insi"
    if not folder.is_dir():
        pytest.skip("the published INSi files are not on this machine")
    return folder
