"""Playing the cases through the real path below the API: normalisation, the téléservice, SOAP over mTLS.

Only the fictitious identities of the table are ever sent, and never to production.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from fhir_ins.cnda.cards import professional_assertion, read_card
from fhir_ins.cnda.case import Case, Reading
from fhir_ins.cnda.frames import Frames
from fhir_ins.cnda.verdict import Result, Verdict, judge
from fhir_ins.ins.normalisation import traits_for_insi
from fhir_ins.ins.traits import Traits
from fhir_ins.insi.assertion_ps import Signer
from fhir_ins.insi.certificate_file import current_certificate
from fhir_ins.insi.port import Conversation, Exchange, Fault, FaultKind, Insi, Outcome, Requester
from fhir_ins.insi.soap import SoapAdapter, SoapConfiguration
from fhir_ins.insi.teleservice import Rules, Teleservice

OPERATOR = "fhir-ins cnda"

_NEEDS_A_CARD = Verdict(
    Result.NOT_APPLICABLE,
    (
        "It needs a carte Vitale in a reader: call $ins-fetch with what your software reads of it, then run "
        "`fhir-ins cnda export`.",
    ),
)

_Ask = Callable[[Insi, Requester], Awaitable[Conversation]]


class Production(Exception):
    """The configuration leads to the production of INSi, where no conformity case is played."""


@dataclass(frozen=True, slots=True)
class Played:
    """A case, its verdict, and the calls it rests on; `outcome` is None and `seconds` too where it was not played."""

    case: Case
    verdict: Verdict
    frames: tuple[Frames, ...] = ()
    outcome: Outcome | None = None
    seconds: float | None = None


async def play(
    cases: Sequence[Case],
    configuration: SoapConfiguration,
    tenant: str,
    *,
    injects: bool,
    signer: Signer | None = None,
) -> AsyncIterator[Played]:
    """Play the cases in this order, one after the other, each call made once.

    `injects`: the endpoint is the qualification environment, see `judge`. `signer`: makes the assertions of the cards
    that the simulator knows; without it cases with a carte Vitale are not played. Raises `Production`.
    """
    refuse_production(configuration)
    requester = Requester(tenant, OPERATOR)
    for case in cases:
        if not isinstance(case.asked, Reading):
            yield await _played(case, configuration, requester, _by_traits(case.asked), injects=injects)
        elif signer is None:
            yield Played(case, _NEEDS_A_CARD)
        else:
            # a card is read beside a professional's, in whose name INSi is then asked
            way = replace(configuration, certificate=None)
            yield await _played(case, way, requester, _by_card(case.asked, signer), injects=injects)


async def _played(
    case: Case, configuration: SoapConfiguration, requester: Requester, ask: _Ask, *, injects: bool
) -> Played:
    """Play one case over connections of its own: a failure it is about opens no breaker for the next one."""
    frames: list[Frames] = []

    async def witness(exchange: Exchange) -> None:
        frames.append(
            Frames(exchange.call, exchange.requester.operator, exchange.at, exchange.request, exchange.answer)
        )

    adapter = SoapAdapter(configuration, witness=witness)
    insi = Teleservice({requester.tenant: adapter}, Rules(total=configuration.total_timeout, attempts=1))
    try:
        began = time.perf_counter()
        outcome = (await ask(insi, requester)).outcome
        seconds = time.perf_counter() - began
    finally:
        await insi.aclose()
    return Played(case, judge(case, frames, outcome, injects=injects), tuple(frames), outcome, seconds)


def _by_traits(traits: Traits) -> _Ask:
    async def ask(insi: Insi, requester: Requester) -> Conversation:
        sent = traits_for_insi(traits)
        if isinstance(sent, dict):
            reasons = " ".join(fault.reason for fault in sent.values())
            return Conversation(Fault(FaultKind.REQUEST, reasons), ())
        return await insi.search_by_traits(sent, requester)

    return ask


def _by_card(reading: Reading, signer: Signer) -> _Ask:
    async def ask(insi: Insi, requester: Requester) -> Conversation:
        now = datetime.now(UTC)
        professional = replace(requester, assertion=await professional_assertion(signer, now))
        return await insi.search_by_vitale(await read_card(reading, signer, now), professional)

    return ask


def refuse_production(configuration: SoapConfiguration) -> None:
    """Raise `Production` for an endpoint of the Assurance Maladie that is no `qualif…`, or a certificate for one.

    A certificate of the production authorities opens production only, whatever name a proxy goes by.
    """
    host = (urlsplit(configuration.endpoint).hostname or "").rstrip(".")
    certificate = current_certificate(configuration.certificate)
    issuer = (certificate.issuer_common_name if certificate else None) or ""
    if host.split(".")[-2:] == ["ameli", "fr"] and not host.startswith("qualif"):
        raise Production(f"{host} is the production of INSi: the conformity cases are played in qualification only.")
    if issuer.startswith("AC IGC-SANTE"):
        raise Production(
            f"The certificate was issued by {issuer}, for production: the conformity cases are played with one of "
            "the test authorities."
        )
