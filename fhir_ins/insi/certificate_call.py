"""One search through the real adapter, and what its outcome says of certificate and settings.

Source: ADRUN ZOE is a fictitious identity of INSi's test environment; production does not know her (compte rendu 01).
"""

from fhir_ins.ins.traits import Traits
from fhir_ins.insi.certificate_check import Finding, Level
from fhir_ins.insi.port import Adapter, ByTraits, Call, Fault, FaultKind, Found, Requester

ZOE = Traits("ADRUN", ("ZOE",), "F", "1975-12-31", None)

_SECONDS = 20.0
_WHAT_TO_DO = {
    "desir_550": "The IDAM is not known there: check FHIR_INS_INSI_IDAM. The provisional number that the CNDA gives "
    "first serves in the test environment only.",
    "desir_560": "The CN of the certificate is not exactly INSI-AUTO or INSI-MANU: order a new one.",
}


async def examine_call(adapter: Adapter, requester: Requester) -> Finding:
    """Search for ADRUN ZOE, once."""
    call = await adapter.ask(ByTraits(ZOE, ZOE.given), requester, within=_SECONDS)
    return Finding(_level(call), "call", f"{_told(call)} Message {call.message_id}.")


def _level(call: Call) -> Level:
    match call.outcome:
        case Fault(kind=FaultKind.TRANSIENT, siram=siram, code=code) if siram or code:
            return Level.NOTE
        case Fault():
            return Level.BAD
    return Level.OK


def _told(call: Call) -> str:
    match call.outcome:
        case Found():
            return "INSi finds ADRUN ZOE (compte rendu 00): it takes the certificate and the IDAM."
        case Fault() as fault:
            return _told_of(fault)
    normal = ", as is normal in production" if call.code == "01" else ""
    return f"INSi answers compte rendu {call.code}{normal}: it takes the certificate and the IDAM."


def _told_of(fault: Fault) -> str:
    codes = " / ".join(code for code in (fault.siram, fault.code) if code)
    if not codes:
        network = fault.kind is FaultKind.TRANSIENT
        return f"{fault.text}{' Check the address, the firewall and the proxy (HTTPS_PROXY).' if network else ''}"
    told = f"INSi refuses: {fault.text} ({codes})."
    if fault.kind is FaultKind.TRANSIENT:
        return f"INSi answers, but its search fails at this time: {fault.text} ({codes}). Repeat it later."
    return f"{told} {_WHAT_TO_DO.get((fault.code or '').lower(), '')}".strip()
