"""What a reader would say of the test cards, for an INSi that takes these assertions: the simulator.

The form of a real Vitale assertion is not public; here it is a SAML assertion as a professional's, in the name of the
bearer's number, signed by the simulator's card.
"""

from datetime import datetime

from fhir_ins.cnda.case import Reading
from fhir_ins.ins.matricule import Matricule
from fhir_ins.insi.assertion_ps import AssertionPs, Signer, sign
from fhir_ins.insi.port import ByVitale

_BILLING_NUMBER, _SECTOR = "999999999", "SA07"


async def professional_assertion(signer: Signer, now: datetime) -> bytes:
    """The AssertionPS of the card's holder."""
    return await sign(AssertionPs.of_card(signer.certificate, _BILLING_NUMBER, _SECTOR), signer, now)


async def read_card(reading: Reading, signer: Signer, now: datetime) -> ByVitale:
    """What the card says, with its Vitale assertion, as old and about whom the reading says."""
    card = reading.card
    bearer = _number(reading.assertion_of.number if reading.assertion_of else card.number)
    issuer = AssertionPs.of_card(signer.certificate, _BILLING_NUMBER, _SECTOR).issuer
    said = AssertionPs(issuer, f"{bearer.number}{bearer.key}", _BILLING_NUMBER, _SECTOR, qualifier="NIR")
    assertion = await sign(said, signer, now - reading.age)
    return ByVitale(_number(card.number), None, card.family, card.birth_date, card.birth_rank, assertion)


def _number(written: str) -> Matricule:
    number, key = written.split()
    return Matricule(number, key)
