"""The attributes and obstacles a write states: homonyme, douteux, fictif; anonymous, hidden."""

from fhir_ins.fhir.outcome import Unprocessable
from fhir_ins.frcore.document_check import RELIABILITY
from fhir_ins.frcore.reliability import Claim
from fhir_ins.ins.identity import Identity
from fhir_ins.ins.status import Attribute


def with_marks(identity: Identity, claim: Claim) -> Identity:
    if {Attribute.DOUTEUX, Attribute.FICTIF} <= claim.attributes:
        raise Unprocessable("An identity is not both douteux (DOUT) and fictif (FICT): keep one.", RELIABILITY)
    if not claim.present or (claim.attributes, claim.obstacles) == (identity.attributes, identity.obstacles):
        return identity
    return identity.marked(claim.attributes, claim.obstacles)
