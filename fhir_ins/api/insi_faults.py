"""What INSi could not answer, as the caller's error: whose turn it is, in INSi's own words and codes.

Source: DESIGN of our interface: 503 and Retry-After while INSi is away, 502 for our own configuration (IDAM,
certificate), 422 when INSi refuses the request itself.
"""

from typing import NoReturn

from fhir_ins.fhir.outcome import BadGateway, FhirError, Issue, TooManyRequests, Unavailable, Unprocessable
from fhir_ins.insi.port import Conversation, Fault, FaultKind

_CODINGS = "urn:siram"


class Away(Unavailable):
    """INSi itself is away: the same call may succeed later."""


def raise_fault(conversation: Conversation, fault: Fault, *, retry_after: int) -> NoReturn:
    """Raise the error for the fault that ended the conversation."""
    known = [code.lower() for code in (fault.siram, fault.code) if code]
    codes = tuple({"system": _CODINGS, "code": code} for code in known)
    text = fault.text
    if conversation.calls:
        text = f"INSi: {text} ({' / '.join(known) or 'no code'}; message {conversation.calls[-1].message_id})"
    error: FhirError
    match fault.kind:
        case FaultKind.TRANSIENT:
            away = Away if fault.retryable else Unavailable
            error = away((Issue("transient", text, codings=codes),), Retry_After=str(fault.retry_after or retry_after))
        case FaultKind.CONFIGURATION:
            text = f"Server configuration: the operator must act, repeating does not help. {text}"
            error = BadGateway((Issue("exception", text, codings=codes),))
        case FaultKind.REQUEST:
            error = Unprocessable((Issue("value", text, codings=codes),))
        case FaultKind.EXPIRED:
            error = Unprocessable((Issue("expired", text),))
        case FaultKind.BUSY:
            error = TooManyRequests((Issue("throttled", text),), Retry_After=str(fault.retry_after or 1))
    raise error
