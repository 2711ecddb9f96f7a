"""The channel to INSi in use: another takes its place when the certificate or the authorities change.

A call that is under way ends on the channel where it began, which is closed after the last of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fhir_ins.insi.certificate import Authorities, ClientCertificate, ssl_context
from fhir_ins.insi.certificate_file import CertificateFile, TrustFile, current_certificate
from fhir_ins.insi.channel import Answer, Channel


class Channels:
    """Connections to one endpoint, with the certificate and the authorities of the moment; one for an event loop."""

    def __init__(
        self,
        endpoint: str,
        certificate: CertificateFile | ClientCertificate | None,
        trust: Path | None,
        *,
        connect: float,
        clock: Callable[[], datetime],
    ) -> None:
        """`connect`: seconds, see `Channel`; raises `CertificateFault` when TLS cannot be set up."""
        self._endpoint = endpoint
        self._held = certificate
        self._trust = TrustFile(trust, clock=clock) if trust else None
        self._connect = connect
        self._retired: set[_InUse] = set()
        self._newest = self._made()

    @property
    def certificate(self) -> ClientCertificate | None:
        """The client certificate of the moment."""
        return current_certificate(self._held)

    async def post(self, content: bytes, action: str, within: float) -> Answer:
        """Send one request; see `Channel`."""
        used = await self._current()
        used.calls += 1
        try:
            return await used.channel.post(content, action, within)
        finally:
            used.calls -= 1
            await self._close_the_idle()

    async def aclose(self) -> None:
        """Close all connections; nothing can be sent afterwards."""
        for used in (self._newest, *self._retired):
            await used.channel.aclose()

    def state(self) -> Mapping[str, Any]:
        """`certificate`: see `CertificateFile`; `trust`: `refused` where a newer trust file is not used."""
        certificate = {"certificate": self._held.state()} if isinstance(self._held, CertificateFile) else {}
        refused = self._trust and self._trust.refused
        return certificate | ({"trust": {"refused": True}} if refused else {})

    async def _current(self) -> "_InUse":
        if self._newest.made_of != self._parts():
            self._retired.add(self._newest)
            self._newest = self._made()
            await self._close_the_idle()
        return self._newest

    async def _close_the_idle(self) -> None:
        for used in [used for used in self._retired if not used.calls]:
            self._retired.discard(used)
            await used.channel.aclose()

    def _parts(self) -> "_Parts":
        return self.certificate, self._trust.current() if self._trust else None

    def _made(self) -> "_InUse":
        certificate, authorities = parts = self._parts()
        context = ssl_context(certificate, authorities)
        return _InUse(Channel(self._endpoint, context, connect=self._connect), parts)


_Parts = tuple[ClientCertificate | None, Authorities | None]


@dataclass(eq=False, slots=True)
class _InUse:
    """A channel, what its TLS was made of, and how many calls are under way on it."""

    channel: Channel
    made_of: _Parts
    calls: int = 0
