"""The téléservice INSi over SOAP 1.2 and mTLS: the real adapter of the port.

Source: contract DESIR_ICIR_EXP 1.5.0. zeep builds the request from the WSDL, httpx carries it, `reader` reads
the answer. A call is logged by its id, code and duration, never by what it asked.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import structlog

from fhir_ins.ins.traits import Traits
from fhir_ins.insi.certificate import CertificateFault, ClientCertificate, ssl_context
from fhir_ins.insi.contract import SEARCH_BY_TRAITS_ACTION
from fhir_ins.insi.contract.documents import LARGEST
from fhir_ins.insi.envelope import CallingSoftware, RequestBuilder, RequestIds
from fhir_ins.insi.port import Call, Fault, FaultKind, Found, Outcome
from fhir_ins.insi.reader import read
from fhir_ins.insi.unreachable import unreachable

_HEADERS = {
    "Content-Type": f'application/soap+xml; charset=utf-8; action="{SEARCH_BY_TRAITS_ACTION}"',
    "Accept": "application/soap+xml",
    "Accept-Encoding": "identity",
}

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SoapConfiguration:
    """What an operator sets to reach INSi; times in seconds.

    `trust`: PEM bundle, None for the system's. `emetteur`: None for the certificate's OU. `wsdl`: the
    official WSDL, None for our own. `given_names_joined`: a call with several given names sends them in one
    Prenom, else in several. Raises ValueError for an endpoint that is not https.
    """

    endpoint: str
    certificate: ClientCertificate
    trust: Path | None
    idam: str
    lps_name: str
    lps_version: str
    lps_instance: str
    emetteur: str | None = None
    given_names_joined: bool = True
    connect_timeout: float = 5.0
    total_timeout: float = 20.0
    wsdl: Path | None = None

    def __post_init__(self) -> None:
        if not (url := urlsplit(self.endpoint)).hostname or url.scheme != "https":
            raise ValueError("The endpoint of INSi is an https:// address.")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SoapInsi:
    """The port `Insi` over SOAP; one for an event loop, and any number of calls at once."""

    def __init__(
        self,
        configuration: SoapConfiguration,
        *,
        clock: Callable[[], datetime] = _utc_now,
        new_uuid: Callable[[], UUID] = uuid4,
    ) -> None:
        """Load the contract and the certificate; raises `CertificateFault` when TLS cannot be set up."""
        self._configuration = configuration
        self._clock = clock
        self._new_uuid = new_uuid
        self._builder = RequestBuilder(_software(configuration), configuration.wsdl)
        self._client = httpx.AsyncClient(
            verify=ssl_context(configuration.certificate, configuration.trust),
            timeout=httpx.Timeout(configuration.total_timeout, connect=configuration.connect_timeout),
            headers=_HEADERS,
        )
        self._state = {"status": "unknown"}

    async def search_by_traits(self, traits: Traits, given: tuple[str, ...]) -> Call:
        """Make one call of rechercherInsAvecTraitsIdentite; see the port."""
        began = time.perf_counter()
        ids = RequestIds(self._new_uuid(), self._new_uuid(), self._new_uuid(), self._clock())
        message_id, sent = f"uuid:{ids.message}", " ".join(given)
        joined = self._configuration.given_names_joined and len(given) > 1
        try:
            request = self._builder.search_by_traits(traits, (sent,) if joined else given, ids)
        except ValueError:
            fault = Fault(FaultKind.REQUEST, "The traits hold a character that XML cannot carry; nothing was asked.")
            return Call(message_id, sent, fault)
        call = Call(message_id, sent, await self._exchange(request))
        self._note(call)
        duration = round((time.perf_counter() - began) * 1000)
        odd = list(call.outcome.warnings) if isinstance(call.outcome, Found) else []
        _log.info("insi_call", message_id=message_id, code=call.code, duration_ms=duration, warnings=odd)
        return call

    def state(self) -> Mapping[str, str]:
        """`status` (unknown, up, down), and of the last call `lastCall` (ISO time) and `lastCode`."""
        return dict(self._state)

    async def aclose(self) -> None:
        """Close the connections; no call can be made afterwards."""
        await self._client.aclose()

    async def _exchange(self, request: bytes) -> Outcome:
        configuration = self._configuration
        try:
            async with (
                asyncio.timeout(configuration.total_timeout),
                self._client.stream("POST", configuration.endpoint, content=request) as response,
            ):
                return read(await _bounded(response), response.status_code)
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            return unreachable(error, configuration.endpoint)

    def _note(self, call: Call) -> None:
        failed = isinstance(call.outcome, Fault) and call.outcome.kind is not FaultKind.REQUEST
        self._state = {
            "status": "down" if failed else "up",
            "lastCall": self._clock().isoformat(timespec="seconds").replace("+00:00", "Z"),
            "lastCode": call.code,
        }


async def _bounded(response: httpx.Response) -> bytes:
    """The body, or as much of it as shows that it is too large to be an answer."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > LARGEST:
            break
    return bytes(body)


def _software(configuration: SoapConfiguration) -> CallingSoftware:
    emetteur = configuration.emetteur or configuration.certificate.organisational_unit
    if not emetteur:
        raise CertificateFault("The certificate has no OU to send as Emetteur: configure the Emetteur.")
    return CallingSoftware(
        configuration.idam,
        configuration.lps_name,
        configuration.lps_version,
        configuration.lps_instance,
        emetteur,
    )
