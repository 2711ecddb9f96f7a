"""The identity record: what the server itself knows of an identity, beside whatever a client writes.

The status is derived from it and from nothing else. Source: RNIV 1; `ins.status` for the transitions.
"""

from dataclasses import dataclass, replace

from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.oid import ins_oid
from fhir_ins.ins.status import BLOCKING, MATRICULE, TRANSITIONS, Attribute, Event, MatriculeFate, Obstacle, Status
from fhir_ins.ins.traits import Traits


@dataclass(frozen=True, slots=True)
class InsNumber:
    """A matricule with its authority; INSACTIF, or one INSHISTO with the dates as received (at times reversed)."""

    matricule: Matricule
    oid: str
    start: str | None = None
    end: str | None = None


@dataclass(frozen=True, slots=True)
class Obtained:
    """Fact I: what INSi answered, on which day (YYYY-MM-DD) and in which call. `traits` are as received.

    `source` is the trusted source that told us in INSi's place: then we made no call, and the day is what it said.
    """

    active: InsNumber
    history: tuple[InsNumber, ...]
    traits: Traits
    on: str | None
    message_id: str | None
    source: str | None = None

    @property
    def numbers(self) -> tuple[InsNumber, ...]:
        """The active one first, then the former ones."""
        return (self.active, *self.history)


@dataclass(frozen=True, slots=True)
class DocumentCheck:
    """Fact C: the day of the check, the means (a code of fr-core-cs-mode-validation-identity), who did it.

    A trusted source may leave out the day, as FR Core's own example does, and the means: FR Core has no code for some
    documents that count.
    """

    on: str | None
    means: str | None
    actor: str


@dataclass(frozen=True, slots=True)
class Identity:
    """The record. `supplied` are numbers a client gave that INSi has not confirmed: kept, never conveyed.

    `ended` are the checks that changes of the identity have ended: sent again, none of them is a new one.
    `withdrawn` are the numbers that were this identity's until an event took them away, the latest last.
    """

    obtained: Obtained | None = None
    check: DocumentCheck | None = None
    attributes: frozenset[Attribute] = frozenset()
    obstacles: frozenset[Obstacle] = frozenset()
    supplied: tuple[InsNumber, ...] = ()
    ended: tuple[DocumentCheck, ...] = ()
    withdrawn: tuple[InsNumber, ...] = ()

    @property
    def status(self) -> Status:
        return Status.of(obtained=self.obtained is not None, checked=self.check is not None)

    @property
    def qualified(self) -> bool:
        return self.status is Status.QUALIFIEE

    @property
    def conveys(self) -> bool:
        """Whether everyone who may read sees the matricule: an INS by its OID, with all five traits of INSi."""
        if MATRICULE[self.status] is not MatriculeFate.CONVEYED or self.obstacles or self.obtained is None:
            return False
        return ins_oid(self.obtained.active.oid) is not None and self.obtained.traits.complete

    @property
    def blocked(self) -> bool:
        """Douteux or fictif (EXI ID 24/26), anonymous or hidden: INSi must not be called."""
        return self.doubtful or bool(self.obstacles)

    @property
    def doubtful(self) -> bool:
        """Douteux or fictif: provisoire, whatever is checked (EXI ID 24/26)."""
        return bool(self.attributes & BLOCKING)

    def found(self, obtained: Obtained) -> "Identity":
        """After an answer 00 whose traits are the identity's."""
        return self._after(Event.INSI_FOUND, obtained=obtained)

    def contradicted(self) -> "Identity":
        """After a verification that found another matricule or other traits."""
        return self._after(Event.INSI_CONTRADICTED)

    def checked(self, check: DocumentCheck) -> "Identity":
        """After an identity document was checked against the traits."""
        return self._after(Event.DOCUMENT_CHECKED, check=check)

    def unchecked(self) -> "Identity":
        """After the document check, if any, was declared void; the same document may then be checked anew."""
        return replace(self._after(Event.DOCUMENT_WITHDRAWN), ended=())

    def deleted(self) -> "Identity":
        """What is left of it once its Patient is deleted: the checks that must not come back as new ones."""
        return Identity(ended=self._ended(None))

    def edited(self) -> "Identity":
        """After a strict trait was changed locally."""
        return self._after(Event.STRICT_TRAIT_EDITED)

    def marked(self, attributes: frozenset[Attribute], obstacles: frozenset[Obstacle] = frozenset()) -> "Identity":
        """With these marks instead of those before; douteux and fictif withdraw the matricule, an obstacle hides it."""
        marked = replace(self, attributes=attributes, obstacles=obstacles)
        return marked._after(Event.MARKED_DOUBTFUL_OR_FICTITIOUS) if marked.doubtful else marked

    def _after(
        self, event: Event, *, obtained: Obtained | None = None, check: DocumentCheck | None = None
    ) -> "Identity":
        """Keep, of the two facts, those the status after the event rests on."""
        after = TRANSITIONS[self.status, event].after
        kept = (check or self.check) if after in (Status.VALIDEE, Status.QUALIFIEE) else None
        known = (obtained or self.obtained) if after in (Status.RECUPEREE, Status.QUALIFIEE) else None
        return replace(
            self, obtained=known, check=kept, ended=self._ended(kept), withdrawn=self._without_numbers_of(known)
        )

    def _without_numbers_of(self, known: Obtained | None) -> tuple[InsNumber, ...]:
        """The numbers withdrawn so far and those of the fact I so far, less what is known of INSi now."""
        current = {number.matricule for number in known.numbers} if known else set()
        lost = reversed(self.obtained.numbers) if self.obtained else ()
        former = dict.fromkeys(reversed((*self.withdrawn, *lost)))
        return tuple(number for number in reversed(former) if number.matricule not in current)

    def _ended(self, kept: DocumentCheck | None) -> tuple[DocumentCheck, ...]:
        if self.check is None or kept is not None or self.check in self.ended:
            return self.ended
        return (*self.ended, self.check)
