"""The port of the téléservice INSi: one question, and every answer it may give, as values.

Source: contract DESIR_ICIR_EXP 1.5.0, operation rechercherInsAvecTraitsIdentite.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from fhir_ins.ins.identity import InsNumber as InsNumber
from fhir_ins.ins.traits import Traits


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


class FaultKind(Enum):
    """Whose turn it is: INSi's (come back later), the operator's (configuration), or the caller's (the request)."""

    TRANSIENT = "transient"
    CONFIGURATION = "configuration"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Fault:
    """A SOAP fault, or a failure to reach INSi at all (then without codes), as data."""

    kind: FaultKind
    text: str
    siram: str | None = None
    code: str | None = None
    severity: str | None = None


Outcome = Found | NoIdentity | SeveralIdentities | Fault


@dataclass(frozen=True, slots=True)
class Call:
    """One exchange with INSi. `given` is what was sent as Prenom; `message_id` is the wsa:MessageID sent."""

    message_id: str
    given: str
    outcome: Outcome

    @property
    def code(self) -> str:
        """The CodeCR, or the fault's own code (insi_102, desir_550…), or `unreachable`."""
        match self.outcome:
            case Found():
                return "00"
            case NoIdentity():
                return "01"
            case SeveralIdentities():
                return "02"
            case Fault(code=code, siram=siram):
                return code or siram or "unreachable"


class Insi(Protocol):
    """What the rest of the server knows of the téléservice."""

    async def search_by_traits(self, traits: Traits, given: tuple[str, ...]) -> Call:
        """Make one call of rechercherInsAvecTraitsIdentite.

        `traits` are normalised for INSi (`ins.normalisation`); `given` are the names to send in this call,
        which the caller chooses (see `insi.sequence`). Never raises for what INSi or the network does: a
        fault is an outcome.
        """

    def state(self) -> Mapping[str, str]:
        """What `/health/ready` says of the téléservice: how the last call went."""
