"""The téléservice INSi over SOAP 1.2, in the name of an organisation (mTLS) or of a professional (CPx card).

Source: contract DESIR_ICIR_EXP 1.5.0. `envelope` builds the request from the WSDL, `channel` carries it, `reader`
reads the answer. A call is logged by its id, code and duration, and by who made it, never by what it asked.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import aiohttp
import structlog

from fhir_ins.insi.assertion_source import AssertionSource
from fhir_ins.insi.certificate import CertificateFault, ClientCertificate
from fhir_ins.insi.certificate_file import CertificateFile, current_certificate
from fhir_ins.insi.channels import Channels
from fhir_ins.insi.credentials import (
    NO_ORGANISATION,
    NO_PROFESSIONAL,
    Credentials,
    credentials_of_organisation,
    credentials_of_professional,
    professional,
)
from fhir_ins.insi.envelope import CallingSoftware, RequestBuilder, RequestIds
from fhir_ins.insi.port import Call, Exchange, Fault, FaultKind, Found, Outcome, Question, Requester, Verify, Witness
from fhir_ins.insi.reader import read
from fhir_ins.insi.unreachable import unreachable
from fhir_ins.insi.verification import Verification, VerificationContract

_TEST_HOST = "qualif"
_SEARCH_FAILED = ("insi_101", "insi_102")
_UNKNOWN_IN_TEST = (
    "This is INSi's test environment, which answers so for a person whom it does not know; production answers "
    "compte rendu 01."
)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SoapConfiguration:
    """What an operator sets to reach INSi; times in seconds.

    `certificate`: the organisation's, for mTLS, best as a file, which is read anew when it changes; None where
    professionals' cards speak (CPx). `trust`: PEM bundle, read anew too, None for the system's. `emetteur`: over mTLS,
    None for the certificate's OU. `wsdl`: the official WSDL, None for our own. `given_names_joined`: a call with
    several given names sends them in one Prenom, else in several. `verification`: None where the unitary verification
    is not to be asked. `assertions`: for CPx, where the AssertionPS comes from when the caller brings none. Raises
    ValueError for an endpoint that is not https.
    """

    endpoint: str
    certificate: CertificateFile | ClientCertificate | None
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
    verification: VerificationContract | None = None
    assertions: AssertionSource | None = None

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
        """Load the contracts and the certificate.

        Raises `CertificateFault` when TLS cannot be set up, ValueError or OSError when a contract does not serve.
        """
        self._configuration = configuration
        self._clock = clock
        self._new_uuid = new_uuid
        self._witness = witness
        self._emetteur = _emetteur(configuration)
        self._channels = Channels(
            configuration.endpoint,
            configuration.certificate,
            configuration.trust,
            connect=configuration.connect_timeout,
            clock=clock,
        )
        self._verification = Verification(configuration.verification) if configuration.verification else None
        self._builder = RequestBuilder(
            _software(configuration),
            configuration.wsdl,
            self._verification,
            given_names_joined=configuration.given_names_joined,
        )

    @property
    def verifies(self) -> bool:
        return self._verification is not None

    @property
    def speaks_for_operators(self) -> bool:
        return self._emetteur is None

    @property
    def is_test(self) -> bool:
        """Whether this is INSi's test environment, by the certificate's issuer or the endpoint's name."""
        certificate = self._channels.certificate
        host = urlsplit(self._configuration.endpoint).hostname or ""
        return bool(certificate and certificate.is_test) or host.startswith(_TEST_HOST)

    def refusal(self, question: Question, requester: Requester) -> Fault | None:
        """See the port."""
        certificate = self._channels.certificate
        if certificate and (reason := certificate.out_of_date(self._clock())):
            text = f"The client certificate for INSi {reason}: put a valid one in its place, no restart is needed."
            return Fault(FaultKind.CONFIGURATION, text)
        if isinstance(question, Verify) and not self.verifies:
            return Fault(FaultKind.CONFIGURATION, "The unitary verification of INSi is not configured here.")
        if self._emetteur is None and requester.assertion is None and self._configuration.assertions is not None:
            return None
        credentials = self._credentials(question, requester.assertion)
        return credentials if isinstance(credentials, Fault) else None

    async def ask(self, question: Question, requester: Requester, *, within: float) -> Call:
        """Make exactly one call, or none and say why when it must not be made; see the port."""
        began = time.perf_counter()
        ids = RequestIds(self._new_uuid(), self._new_uuid(), self._new_uuid(), self._clock())
        message_id = f"uuid:{ids.message}"
        request = await self._request(question, requester, ids, within)
        if isinstance(request, Fault):
            return Call(message_id, question.sent, request, question.operation)
        left = within - (time.perf_counter() - began)
        outcome, answer = await self._exchange(request, question, left)
        call = Call(message_id, question.sent, outcome, question.operation)
        _tell(call, requester, time.perf_counter() - began)
        await self._show(Exchange(call, requester, ids.time, request, answer))
        return call

    async def aclose(self) -> None:
        """Close the connections; no call can be made afterwards."""
        await self._channels.aclose()

    def state(self) -> Mapping[str, Any]:
        """How long the certificate is valid, and why a newer file of it is not used; see `Channels`."""
        return self._channels.state()

    async def _request(self, question: Question, requester: Requester, ids: RequestIds, within: float) -> bytes | Fault:
        if fault := self.refusal(question, requester):
            return fault
        assertion = await self._assertion(requester, within)
        credentials = assertion if isinstance(assertion, Fault) else self._credentials(question, assertion)
        if isinstance(credentials, Fault):
            return credentials
        try:
            return self._builder.envelope(
                question, ids, emetteur=credentials.emetteur, assertions=credentials.assertions
            )
        except ValueError:
            text = "The question holds a character that XML cannot carry, or lacks a part; nothing was asked."
            return Fault(FaultKind.REQUEST, text)

    async def _assertion(self, requester: Requester, within: float) -> bytes | Fault | None:
        """The caller's AssertionPS, else the source's; an operator's own source may fail in any way."""
        source = None if self._emetteur else self._configuration.assertions
        if requester.assertion is not None or source is None:
            return requester.assertion
        try:
            async with asyncio.timeout(within):
                given = await source.assertion(requester)
        except Exception as error:
            _log.warning("insi_assertion_failed", tenant=requester.tenant, error=type(error).__name__)
            text = f"The source of assertions gave none ({type(error).__name__}): INSi was not asked."
            return Fault(FaultKind.CONFIGURATION, text)
        judged = professional(given, self._clock())
        if isinstance(judged, Fault):  # the caller cannot help it
            return replace(judged, kind=FaultKind.CONFIGURATION, text=f"From the source of assertions: {judged.text}")
        return given

    def _credentials(self, question: Question, assertion: bytes | None) -> Credentials | Fault:
        if self._emetteur is not None:
            if assertion is not None:
                return NO_ORGANISATION
            return credentials_of_organisation(question, self._emetteur, self._clock())
        if assertion is None:
            return NO_PROFESSIONAL
        return credentials_of_professional(question, assertion, self._clock())

    async def _exchange(self, request: bytes, question: Question, within: float) -> tuple[Outcome, bytes | None]:
        try:
            answer = await self._channels.post(request, self._builder.action(question.operation), within)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return unreachable(error, self._configuration.endpoint), None
        verification = self._verification if isinstance(question, Verify) else None
        return self._as_here(read(answer.body, answer.status, verification)), answer.body

    def _as_here(self, outcome: Outcome) -> Outcome:
        """In the test environment a search that failed stays failed: its base does not hold the person."""
        if isinstance(outcome, Fault) and (outcome.code or "").lower() in _SEARCH_FAILED and self.is_test:
            return replace(outcome, retryable=False, text=f"{outcome.text} {_UNKNOWN_IN_TEST}")
        return outcome

    async def _show(self, exchange: Exchange) -> None:
        """Let the witness see the exchange; what becomes of it there takes nothing from the answer."""
        if self._witness is None:
            return
        try:
            await self._witness(exchange)
        except Exception as error:
            _log.error("insi_witness_failed", message_id=exchange.call.message_id, error=type(error).__name__)


def _tell(call: Call, requester: Requester, seconds: float) -> None:
    _log.info(
        "insi_call",
        operation=call.operation.value,
        tenant=requester.tenant,
        operator=requester.operator,
        message_id=call.message_id,
        code=call.code,
        duration_ms=round(seconds * 1000),
        warnings=list(call.outcome.warnings) if isinstance(call.outcome, Found) else [],
    )


def _software(configuration: SoapConfiguration) -> CallingSoftware:
    return CallingSoftware(
        configuration.idam, configuration.lps_name, configuration.lps_version, configuration.lps_instance
    )


def _emetteur(configuration: SoapConfiguration) -> str | None:
    """The organisation's; None where each AssertionPS says its own."""
    certificate = current_certificate(configuration.certificate)
    if certificate is None:
        return None
    emetteur = configuration.emetteur or certificate.organisational_unit
    if not emetteur:
        raise CertificateFault("The certificate has no OU to send as Emetteur: configure the Emetteur.")
    return emetteur
