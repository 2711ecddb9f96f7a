"""In whose name a call is made: the Emetteur and the assertions that go with it, or why it must not be made.

Source: the two modes of the téléservice. Over mTLS the organisation's certificate speaks, there is no AssertionPS, and
the Emetteur is the certificate's OU. With a CPx card TLS is one-way, wsse:Security holds the AssertionPS, and the
Emetteur is its NameID. In both, a search with a carte Vitale sends the Vitale assertion where there is one, after the
AssertionPS. CNDA test 1.02: an assertion past its time is never sent.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fhir_ins.ins.matricule import Matricule
from fhir_ins.insi.assertion import PS_LIFETIME, VITALE_LIFETIME, Assertion, Malformed, read_assertion
from fhir_ins.insi.port import ByVitale, Fault, FaultKind, Question

NO_PROFESSIONAL = Fault(
    FaultKind.REQUEST,
    "This structure asks INSi in the name of a professional: give the AssertionPS signed with their card.",
)
NO_ORGANISATION = Fault(
    FaultKind.REQUEST,
    "This structure asks INSi in its own name, with its certificate: leave the AssertionPS out.",
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request carries of them; `assertions` in the order of wsse:Security."""

    emetteur: str
    assertions: tuple[bytes, ...] = field(default=(), repr=False)


def credentials_of_organisation(question: Question, emetteur: str, now: datetime) -> Credentials | Fault:
    """Over mTLS: the organisation's Emetteur, and the Vitale assertion if the question has one."""
    vitale = _vitale(question, now)
    return vitale if isinstance(vitale, Fault) else Credentials(emetteur, vitale)


def credentials_of_professional(question: Question, assertion: bytes, now: datetime) -> Credentials | Fault:
    """With a CPx card: the AssertionPS, and the Vitale assertion if the question has one."""
    own = professional(assertion, now)
    if isinstance(own, Fault):
        return own
    vitale = _vitale(question, now)
    return vitale if isinstance(vitale, Fault) else Credentials(own.name_id, (own.xml, *vitale))


def professional(assertion: bytes, now: datetime) -> Assertion | Fault:
    """An AssertionPS that may be sent, or why it may not."""
    too_old = "The AssertionPS is more than an hour old: sign a new one with the card. INSi was not asked."
    own = _judged(assertion, "AssertionPS", PS_LIFETIME, now, too_old)
    if not isinstance(own, Fault) and _nir(own.name_id):
        # as Emetteur it would go out in the name of a patient
        return Fault(FaultKind.REQUEST, "What was given as AssertionPS names a patient, as a Vitale assertion does.")
    return own


def _vitale(question: Question, now: datetime) -> tuple[bytes, ...] | Fault:
    if not isinstance(question, ByVitale) or question.assertion is None:
        return ()
    too_old = "The Vitale assertion is more than twenty minutes old: read the card again. INSi was not asked."
    vitale = _judged(question.assertion, "Vitale assertion", VITALE_LIFETIME, now, too_old)
    if isinstance(vitale, Fault):
        return vitale
    return _swapped(vitale, question) or (vitale.xml,)


def _judged(content: bytes, name: str, lifetime: timedelta, now: datetime, too_old: str) -> Assertion | Fault:
    try:
        assertion = read_assertion(content)
    except Malformed as why:
        return Fault(FaultKind.REQUEST, f"The {name} was not sent, and INSi not asked: {why}.")
    if assertion.expired(lifetime, now):
        return Fault(FaultKind.EXPIRED, too_old)
    if assertion.from_the_future(now):
        return Fault(
            FaultKind.REQUEST,
            f"The {name} was issued in the future: check the clock of the workstation. INSi was not asked.",
        )
    return assertion


def _swapped(assertion: Assertion, card: ByVitale) -> Fault | None:
    """CNDA test 1.03: the card was changed between its reading and the call.

    Inferred: that NameID of a Vitale assertion is a NIR where it has the form of one, and that it may be the holder's
    when the bearer is their child. A NameID of another form says nothing here.
    """
    said = _nir(assertion.name_id)
    if said is None or said in {number.number for number in (card.individual, card.holder) if number}:
        return None
    return Fault(
        FaultKind.REQUEST,
        "The Vitale assertion names another person than the numbers read: the card was changed. Read the card again.",
    )


def _nir(name_id: str) -> str | None:
    """The 13 characters of a NIR, if NameID has the form of one, with its key or without."""
    said = "".join(name_id.split())
    is_nir = len(said) in (13, 15) and Matricule(said[:13], "").expected_key is not None
    return said[:13] if is_nir else None
