"""The téléservice INSi over SOAP 1.2 and mTLS: the real adapter of the port.

Source: contract DESIR_ICIR_EXP 1.5.0. zeep builds the request from the WSDL, httpx carries it, `reader` reads
the answer. A call is logged by its id, code and duration, never by what it asked.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import structlog

from fhir_ins.insi.certificate import CertificateFault, ClientCertificate, ssl_context
from fhir_ins.insi.contract import SEARCH_BY_TRAITS_ACTION
from fhir_ins.insi.contract.documents import LARGEST
from fhir_ins.insi.envelope import CallingSoftware, RequestBuilder, RequestIds
from fhir_ins.insi.port import ByTraits, Call, Exchange, Fault, FaultKind, Found, Outcome, Question, Requester, Witness
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


class SoapAdapter:
    """INSi over SOAP for one tenant; one for an event loop, and any number of calls at once."""

    def __init__(
        self,
        configuration: SoapConfiguration,
        *,
        clock: Callable[[], datetime] = _utc_now,
        new_uuid: Callable[[], UUID] = uuid4,
        witness: Witness | None = None,
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
        self._witness = witness

    @property
    def verifies(self) -> bool:
        return False

    def refusal(self, question: Question, requester: Requester) -> Fault | None:
        del question, requester
        return None

    async def ask(self, question: Question, requester: Requester, *, within: float) -> Call:
        """Make exactly one call; see the port."""
        began = time.perf_counter()
        ids = RequestIds(self._new_uuid(), self._new_uuid(), self._new_uuid(), self._clock())
        message_id = f"uuid:{ids.message}"
        try:
            request = self._request(question, ids)
        except ValueError:
            fault = Fault(FaultKind.REQUEST, "The traits hold a character that XML cannot carry; nothing was asked.")
            return Call(message_id, question.sent, fault, question.operation)
        outcome, answer = await self._exchange(request, within)
        call = Call(message_id, question.sent, outcome, question.operation)
        duration = round((time.perf_counter() - began) * 1000)
        odd = list(outcome.warnings) if isinstance(outcome, Found) else []
        _log.info("insi_call", message_id=message_id, code=call.code, duration_ms=duration, warnings=odd)
        if self._witness:
            await self._witness(Exchange(call, requester, ids.time, request, answer))
        return call

    async def aclose(self) -> None:
        """Close the connections; no call can be made afterwards."""
        await self._client.aclose()

    def _request(self, question: Question, ids: RequestIds) -> bytes:
        if not isinstance(question, ByTraits):
            raise NotImplementedError
        joined = self._configuration.given_names_joined and len(question.given) > 1
        return self._builder.search_by_traits(question.traits, (question.sent,) if joined else question.given, ids)

    async def _exchange(self, request: bytes, within: float) -> tuple[Outcome, bytes | None]:
        endpoint = self._configuration.endpoint
        try:
            async with (
                asyncio.timeout(within),
                self._client.stream("POST", endpoint, content=request) as response,
            ):
                body = await _bounded(response)
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            return unreachable(error, endpoint), None
        return read(body, response.status_code), body


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
