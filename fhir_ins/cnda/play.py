"""Playing the cases through the real path below the API: normalisation, the téléservice, SOAP over mTLS.

Only the fictitious identities of the table are ever sent, and never to production.
"""

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from fhir_ins.cnda.cards import professional_assertion, read_card
from fhir_ins.cnda.case import Case, Reading
from fhir_ins.cnda.frames import Frames
from fhir_ins.cnda.verdict import Result, Verdict, judge
from fhir_ins.ins.normalisation import traits_for_insi
from fhir_ins.insi.assertion_ps import Signer
from fhir_ins.insi.certificate_file import current_certificate
from fhir_ins.insi.port import Conversation, Exchange, Fault, FaultKind, Outcome, Requester
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
    frames: list[Frames] = []

    async def witness(exchange: Exchange) -> None:
        frames.append(
            Frames(exchange.call, exchange.requester.operator, exchange.at, exchange.request, exchange.answer)
        )

    adapter = SoapAdapter(configuration, witness=witness)
    try:
        for case in cases:
            if isinstance(case.asked, Reading) and signer is None:
                yield Played(case, _NEEDS_A_CARD)
                continue
            frames.clear()
            began = time.perf_counter()
            # a téléservice for each: failures that a case is about must not open the breaker for the next one
            insi = Teleservice({tenant: adapter}, Rules(total=configuration.total_timeout, attempts=1))
            outcome = (await _asked(case, insi, Requester(tenant, OPERATOR), signer)).outcome
            seconds = time.perf_counter() - began
            yield Played(case, judge(case, frames, outcome, injects=injects), tuple(frames), outcome, seconds)
    finally:
        await adapter.aclose()


async def _asked(case: Case, insi: Teleservice, requester: Requester, signer: Signer | None) -> Conversation:
    if isinstance(case.asked, Reading):
        assert signer is not None  # noqa: S101 - see play
        now = datetime.now(UTC)
        requester = replace(requester, assertion=await professional_assertion(signer, now))
        return await insi.search_by_vitale(await read_card(case.asked, signer, now), requester)
    traits = traits_for_insi(case.asked)
    if isinstance(traits, dict):
        reasons = " ".join(fault.reason for fault in traits.values())
        return Conversation(Fault(FaultKind.REQUEST, reasons), ())
    return await insi.search_by_traits(traits, requester)


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
