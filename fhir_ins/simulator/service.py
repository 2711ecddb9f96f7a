"""The téléservice itself: POST /lps, a SOAP 1.2 request in, an answer out.

Source: contract DESIR_ICIR_EXP 1.5.0, operations rechercherInsAvecTraitsIdentite and rechercherInsAvecCarteVitale; the
unitary verification of INSi Lot 2, as far as it is known. Requests are held to the contract more strictly than the
live service holds them, so that a mistake of ours shows here first.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from cryptography import x509
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from fhir_ins.insi.contract.documents import LARGEST, Unreadable, parse
from fhir_ins.simulator import answers, operations
from fhir_ins.simulator.answers import Answer
from fhir_ins.simulator.authentication import Caller, Peer, authenticate
from fhir_ins.simulator.behaviour import Behaviour, UnknownBehaviour
from fhir_ins.simulator.control import Control
from fhir_ins.simulator.faults import ACCESS_TOO_LOW, ERRORS, UNKNOWN_SOFTWARE
from fhir_ins.simulator.refusal import Refused
from fhir_ins.simulator.replay import Memory
from fhir_ins.simulator.rules import Sent, held, opened
from fhir_ins.simulator.wire import Outgoing, peer_of

DEFAULT_IDAM = "SIMULATEUR01"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Teleservice:
    """INSi: it knows one calling software, and the authorities of the cards that sign."""

    def __init__(
        self,
        idam: str = DEFAULT_IDAM,
        authorities: Sequence[x509.Certificate] = (),
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._idam = idam
        self._authorities = authorities
        self._clock = clock
        self._memory = Memory()

    def answer(self, body: bytes, content_type: str, peer: Peer | None, behaviour: Behaviour | None = None) -> Answer:
        """The answer to the bytes of a request from a client with that certificate; never raises."""
        behaviour = behaviour or Behaviour()
        try:
            sent, caller = self._accepted(body, content_type, peer)
        except Unreadable as instead:
            return answers.refusal(f"The simulator received {instead}.", behaviour)
        except Refused as rule:
            return answers.refusal(str(rule), behaviour)
        if behaviour.fault:
            return answers.fault(ERRORS[behaviour.fault], sent.message_id, behaviour)
        if not caller.may_call:
            return answers.fault(ACCESS_TOO_LOW, sent.message_id, behaviour)
        if sent.idam != self._idam:
            return answers.fault(UNKNOWN_SOFTWARE, sent.message_id, behaviour)
        try:
            return operations.answer(sent, caller, behaviour)
        except Refused as rule:
            return answers.refusal(str(rule), behaviour)

    def _accepted(self, body: bytes, content_type: str, peer: Peer | None) -> tuple[Sent, Caller]:
        """The request that keeps all rules, and who sent it; only such a request is remembered."""
        now = self._clock()
        envelope = opened(parse(body))
        sent = held(envelope, content_type, now)
        caller = authenticate(envelope.header, peer, self._authorities, now)
        if not set(sent.emetteurs) <= set(caller.emetteurs):
            raise Refused("The Emetteur of both contexts is the OU of the client certificate, or the NameID.")
        self._memory.note(sent.identifiers)
        return sent, caller


def application(teleservice: Teleservice, start: Behaviour | None = None) -> Starlette:
    """The ASGI application: the téléservice at /lps, and at /control how it behaves, at first as `start` says."""
    control = Control(start or Behaviour())

    async def lps(request: Request) -> Response:
        try:
            behaviour = control.behaviour(request.query_params.multi_items())
        except UnknownBehaviour as error:
            return PlainTextResponse(str(error), 400)
        body = await _bounded(request)
        answer = teleservice.answer(body, request.headers.get("content-type", ""), peer_of(request.scope), behaviour)
        if behaviour.delay:
            await asyncio.sleep(behaviour.delay)
        return Outgoing(answer, behaviour.wire)

    return Starlette(
        routes=[
            Route("/lps", lps, methods=["POST"]),
            Route("/control", control.endpoint, methods=["GET", "PUT", "DELETE"]),
        ]
    )


async def _bounded(request: Request) -> bytes:
    """The body, or as much of it as shows that it is too large to be a request."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            break
    return bytes(body)
