"""The port of the téléservice INSi: what can be asked, on whose behalf, and every answer it may give, as values.

Source: contract DESIR_ICIR_EXP 1.5.0 (rechercherInsAvecTraitsIdentite, rechercherInsAvecCarteVitale); the unitary
verification of INSi Lot 2, whose contract is not public.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any, Protocol

from fhir_ins.ins.identity import InsNumber as InsNumber
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.traits import Traits


class Operation(StrEnum):
    """The operations of the téléservice, by the names it gives them."""

    SEARCH_BY_TRAITS = "rechercherInsAvecTraitsIdentite"
    SEARCH_BY_VITALE = "rechercherInsAvecCarteVitale"
    VERIFY = "verifierInsAvecTraitsIdentite"


@dataclass(frozen=True, slots=True)
class ByTraits:
    """One call of the search by traits: `traits` normalised for INSi, `given` the names this call sends as Prenom."""

    traits: Traits
    given: tuple[str, ...]

    @property
    def operation(self) -> Operation:
        return Operation.SEARCH_BY_TRAITS

    @property
    def sent(self) -> str:
        """The given names of this call, as its record tells them."""
        return " ".join(self.given)


@dataclass(frozen=True, slots=True)
class ByVitale:
    """The search with what was read from a carte Vitale (RECVITALE); None for what the card did not say.

    `individual` is the bearer's own number, `holder` the one rights are opened by (MatriculeOD). `birth_date` is as
    the card has it, `birth_rank` one digit. `assertion` is the Vitale assertion, a signed SAML assertion as bytes.
    """

    individual: Matricule | None
    holder: Matricule | None
    family: str | None
    birth_date: str | None
    birth_rank: str | None
    assertion: bytes | None = field(default=None, repr=False)

    @property
    def operation(self) -> Operation:
        return Operation.SEARCH_BY_VITALE

    @property
    def sent(self) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Verify:
    """The unitary verification: does this INS belong to the person with these traits (normalised for INSi)?"""

    number: InsNumber
    traits: Traits

    @property
    def operation(self) -> Operation:
        return Operation.VERIFY

    @property
    def sent(self) -> str:
        return " ".join(self.traits.given)


Question = ByTraits | ByVitale | Verify


@dataclass(frozen=True, slots=True)
class Requester:
    """On whose behalf INSi is asked: the tenant, whose certificate it is, and who acts (a user, else a client).

    `assertion`: the AssertionPS of a CPx card, a signed SAML assertion as bytes, where the call is made in the name of
    a professional; None where the tenant's own means of authentication serve.
    """

    tenant: str
    operator: str
    assertion: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Found:
    """Compte rendu 00: the identity, with `traits` exactly as INSi wrote them."""

    active: InsNumber
    history: tuple[InsNumber, ...]
    traits: Traits
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoIdentity:
    """Compte rendu 01: nobody answers to these traits."""


@dataclass(frozen=True, slots=True)
class SeveralIdentities:
    """Compte rendu 02: more given names or the birth place are needed."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The answer of the unitary verification: whether all agrees, and what it says of each element, by its name."""

    concordant: bool
    elements: tuple[tuple[str, bool], ...] = ()


class FaultKind(Enum):
    """Whose turn it is.

    INSi's (come back later), the operator's (configuration), the caller's (the request), the caller's card (an
    assertion that is too old), or ours (too many calls wait already).
    """

    TRANSIENT = "transient"
    CONFIGURATION = "configuration"
    REQUEST = "request"
    EXPIRED = "expired"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Fault:
    """A SOAP fault, or a failure to reach INSi at all (then without codes), as data.

    `message_id` is the one the fault repeats, if it does. `retryable`: the same call may succeed when it is made again
    soon. `retry_after`: seconds after which to try, where that is known.
    """

    kind: FaultKind
    text: str
    siram: str | None = None
    code: str | None = None
    severity: str | None = None
    message_id: str | None = None
    retryable: bool = False
    retry_after: int | None = None


Outcome = Found | NoIdentity | SeveralIdentities | Verified | Fault


@dataclass(frozen=True, slots=True)
class Call:
    """One exchange with INSi. `given` is what was sent as Prenom; `message_id` is the wsa:MessageID sent."""

    message_id: str
    given: str
    outcome: Outcome
    operation: Operation = Operation.SEARCH_BY_TRAITS

    @property
    def code(self) -> str:
        """The CodeCR, `ok` or `ko` of a verification, the fault's own code (insi_102, desir_550…), or `unreachable`."""
        match self.outcome:
            case Found():
                return "00"
            case NoIdentity():
                return "01"
            case SeveralIdentities():
                return "02"
            case Verified(concordant=concordant):
                return "ok" if concordant else "ko"
            case Fault(code=code, siram=siram):
                return (code or siram or "unreachable").lower()


@dataclass(frozen=True, slots=True)
class Conversation:
    """What INSi says to one question of ours, and the calls made for it in order, those repeated included.

    There may be no call at all: then the outcome is a Fault that says why none was made.
    """

    outcome: Outcome
    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call as it went over the wire, for whoever keeps evidence; `answer` is None when none came."""

    call: Call
    requester: Requester
    at: datetime
    request: bytes
    answer: bytes | None


Witness = Callable[[Exchange], Awaitable[None]]


class Adapter(Protocol):
    """Whatever carries one question to INSi, for one tenant."""

    @property
    def verifies(self) -> bool:
        """Whether it can ask the unitary verification."""

    @property
    def speaks_for_operators(self) -> bool:
        """Whether each operator has a credential of their own, although the requester brings none."""

    def state(self) -> Mapping[str, Any]:
        """What `/health/ready` says of its certificate and trust file."""

    def refusal(self, question: Question, requester: Requester) -> Fault | None:
        """Why INSi must not be asked this: an assertion past its time, a card that is another person's; else None."""

    async def ask(self, question: Question, requester: Requester, *, within: float) -> Call:
        """Make exactly one call, within so many seconds; what INSi or the network does is an outcome, not raised."""

    async def aclose(self) -> None:
        """Close the connections; no call can be made afterwards."""


class Insi(Protocol):
    """What the rest of the server knows of the téléservice. Nothing here raises for what INSi or the network does."""

    async def search_by_traits(self, traits: Traits, requester: Requester) -> Conversation:
        """Search as the CNDA wants it, each given name alone, then all together (see `insi.sequence`).

        `traits` are normalised for INSi (`ins.normalisation`) and hold a given name, else ValueError.
        """

    async def search_by_vitale(self, card: ByVitale, requester: Requester) -> Conversation:
        """Search with what a carte Vitale says."""

    async def verify(self, number: InsNumber, traits: Traits, requester: Requester) -> Conversation:
        """Ask INSi's own verification; only where `verifies`."""

    def verifies(self, tenant: str) -> bool:
        """Whether the unitary verification is configured for this tenant."""

    def state(self) -> Mapping[str, Any]:
        """What `/health/ready` says of the téléservice."""
