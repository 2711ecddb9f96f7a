"""The evidence of the calls to INSi as the settings configure it, and the witness that puts each exchange into it."""

from fhir_ins.insi.port import Exchange, Witness
from fhir_ins.settings import Settings
from fhir_ins.store.evidence import Entry, Evidence, EvidenceKeys


def evidence_keys(settings: Settings) -> EvidenceKeys | None:
    """The keys of the evidence; None when none is kept. Raises ValueError for what is no key."""
    return EvidenceKeys.parse(
        settings.insi_evidence_key.get_secret_value(), settings.insi_evidence_former_keys.get_secret_value()
    )


def witness_for(evidence: Evidence) -> Witness:
    """What puts each exchange with INSi into the evidence; it raises PyMongoError where that fails."""

    async def witness(exchange: Exchange) -> None:
        call = exchange.call
        await evidence.keep(
            Entry(
                message_id=call.message_id,
                tenant=exchange.requester.tenant,
                operator=exchange.requester.operator,
                operation=call.operation.value,
                code=call.code,
                at=exchange.at,
                request=exchange.request,
                answer=exchange.answer,
            )
        )

    return witness
