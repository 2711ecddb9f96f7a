"""Running the simulator: uvicorn over TLS, in which a client may show a certificate of the simulator's authorities.

A client that shows none must send an AssertionPS, as one with a CPx card does; one of another authority is refused.
"""

import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn

from fhir_ins.simulator.behaviour import Behaviour
from fhir_ins.simulator.pki import Pki, ensure_pki, trusted_authorities
from fhir_ins.simulator.service import DEFAULT_IDAM, Teleservice, application
from fhir_ins.simulator.wire import Protocol

_GRACE_SECONDS = 2


def serve(host: str, port: int, directory: Path, idam: str = DEFAULT_IDAM, behaviour: Behaviour | None = None) -> None:
    """Serve until SIGTERM or SIGINT, with the PKI of `directory`, from the main thread; port 0 picks a free one.

    Prints one line to stdout once it listens: `INSi simulator: https://localhost:<port>/lps`.
    """
    with _ending_cleanly(), suppress(KeyboardInterrupt):
        server = _AnnouncingServer(_config(host, port, idam, ensure_pki(directory), behaviour))
        server.run()


def _config(host: str, port: int, idam: str, pki: Pki, behaviour: Behaviour | None) -> uvicorn.Config:
    return uvicorn.Config(
        application(Teleservice(idam, trusted_authorities(pki)), behaviour),
        host=host,
        port=port,
        http=Protocol,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_certfile=pki.server_certificate,
        ssl_keyfile=str(pki.server_key),
        ssl_ca_certs=str(pki.authorities),
        ssl_cert_reqs=ssl.CERT_OPTIONAL,
    )


class _AnnouncingServer(uvicorn.Server):
    """Says where it listens, once it does: whoever started it waits for that line."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            port = self.servers[0].sockets[0].getsockname()[1]
            print(f"INSi simulator: https://localhost:{port}/lps", flush=True)


@contextmanager
def _ending_cleanly() -> Iterator[None]:
    """uvicorn raises the signal that stopped it again at its end: here that means an ordinary exit."""
    former = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
