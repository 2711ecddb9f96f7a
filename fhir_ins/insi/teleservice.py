"""The téléservice as the rest of the server meets it: one adapter a tenant, and the rules of asking around them."""

from collections.abc import Mapping
from typing import Any

from fhir_ins.ins.traits import Traits
from fhir_ins.insi.port import Adapter, ByVitale, Conversation, Fault, FaultKind, InsNumber, Question, Requester, Verify
from fhir_ins.insi.sequence import search


class Teleservice:
    """The port `Insi`; one for an event loop."""

    def __init__(self, adapters: Mapping[str, Adapter], *, total_timeout: float = 20.0) -> None:
        self._adapters = adapters
        self._total_timeout = total_timeout

    async def search_by_traits(self, traits: Traits, requester: Requester) -> Conversation:
        return await search(lambda question: self._ask(question, requester), traits)

    async def search_by_vitale(self, card: ByVitale, requester: Requester) -> Conversation:
        return await self._ask(card, requester)

    async def verify(self, number: InsNumber, traits: Traits, requester: Requester) -> Conversation:
        return await self._ask(Verify(number, traits), requester)

    def verifies(self, tenant: str) -> bool:
        del tenant
        return False

    def state(self) -> Mapping[str, Any]:
        return {"status": "unknown"}

    async def aclose(self) -> None:
        for adapter in self._adapters.values():
            await adapter.aclose()

    async def _ask(self, question: Question, requester: Requester) -> Conversation:
        adapter = self._adapters.get(requester.tenant)
        if adapter is None:
            text = "The téléservice INSi is not configured for this structure."
            return Conversation(Fault(FaultKind.CONFIGURATION, text), ())
        call = await adapter.ask(question, requester, within=self._total_timeout)
        return Conversation(call.outcome, (call,))
