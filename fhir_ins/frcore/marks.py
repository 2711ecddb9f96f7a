"""The attributes and obstacles a write states: homonyme, douteux, fictif; anonymous, hidden."""

from fhir_ins.fhir.outcome import PreconditionFailed, Unprocessable
from fhir_ins.frcore.document_check import RELIABILITY
from fhir_ins.frcore.known import Writer
from fhir_ins.frcore.reliability import Claim
from fhir_ins.ins.identity import Identity
from fhir_ins.ins.status import BLOCKING, Attribute


def with_marks(identity: Identity, claim: Claim, writer: Writer) -> Identity:
    """The identity with the marks of the claim instead of its own.

    Raises Unprocessable for douteux and fictif at once, and PreconditionFailed when a mark that blocks INSi would go by
    a writer who may not have seen it: what is sent back unread must not undo it.
    """
    if {Attribute.DOUTEUX, Attribute.FICTIF} <= claim.attributes:
        raise Unprocessable("An identity is not both douteux (DOUT) and fictif (FICT): keep one.", RELIABILITY)
    if not claim.present or (claim.attributes, claim.obstacles) == (identity.attributes, identity.obstacles):
        return identity
    gone = ((identity.attributes - claim.attributes) & BLOCKING) | (identity.obstacles - claim.obstacles)
    if gone and not writer.version_known:
        raise PreconditionFailed(
            f"This identity is marked {', '.join(sorted(gone))}: to take the mark away, read the Patient and send its "
            'ETag in If-Match (If-Match: W/"…"); else keep it in identityReliability.',
            RELIABILITY,
        )
    return identity.marked(claim.attributes, claim.obstacles)
