"""The four statuses of an identity, and what each event makes of it.

Source: RNIV 1; référentiel INS v2.1, EXI SI 07 (exclusive statuses), EXI SI 08 and EXI ID 29 (the matricule is
conveyed for a qualified identity only), EXI ID 24/26 and EXI SI 09 (douteux, fictif); IHE PAM France 2.11.2
p. 19-20 and 36-38. "inferred" marks a row no text states, decided on the side of safety.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from fhir_ins.ins.traits import ComplementaryTrait, Trait


class Status(StrEnum):
    """Statuses by the two facts they rest on: obtained from INSi (I), identity document checked (C)."""

    PROVISOIRE = "provisoire"
    RECUPEREE = "recuperee"
    VALIDEE = "validee"
    QUALIFIEE = "qualifiee"

    @classmethod
    def of(cls, *, obtained: bool, checked: bool) -> "Status":
        return _BY_FACTS[obtained, checked]


class Attribute(StrEnum):
    """What may be said of an identity beside its status, with the codes of fr-core-cs-v2-0445."""

    HOMONYME = "HOMA"
    DOUTEUX = "DOUT"
    FICTIF = "FICT"


BLOCKING = frozenset({Attribute.DOUTEUX, Attribute.FICTIF})


class Obstacle(StrEnum):
    """Why a true identity must not be shared: anonymity, or another legitimate reason to hide it.

    Whatever the status, INSi is not called and nothing is conveyed while one stands (CSP R1111-8-1 and following for
    the legitimate obstacle; codes of fr-core-cs-v2-0445). The status itself does not change.
    """

    ANONYME = "ANOM"
    CACHEE = "CACH"


class Event(Enum):
    INSI_FOUND = "INSi answered 00 with these traits"
    INSI_CONTRADICTED = "a verification found another matricule or other traits"
    DOCUMENT_CHECKED = "an identity document of high confidence was checked"
    DOCUMENT_WITHDRAWN = "the check is declared void"
    STRICT_TRAIT_EDITED = "one of the five strict traits was changed locally"
    MARKED_DOUBTFUL_OR_FICTITIOUS = "the identity was marked douteux or fictif"


class MatriculeFate(Enum):
    """What becomes of the matricule: absent, kept without being shown, or shown to everyone who may read."""

    NONE = "none"
    STORED = "stored"
    CONVEYED = "conveyed"


@dataclass(frozen=True, slots=True)
class Transition:
    after: Status
    source: str


_BY_FACTS: Mapping[tuple[bool, bool], Status] = {
    (False, False): Status.PROVISOIRE,
    (True, False): Status.RECUPEREE,
    (False, True): Status.VALIDEE,
    (True, True): Status.QUALIFIEE,
}

MATRICULE: Mapping[Status, MatriculeFate] = {
    Status.PROVISOIRE: MatriculeFate.NONE,
    Status.RECUPEREE: MatriculeFate.STORED,
    Status.VALIDEE: MatriculeFate.NONE,
    Status.QUALIFIEE: MatriculeFate.CONVEYED,
}

TRANSITIONS: Mapping[tuple[Status, Event], Transition] = {
    (Status.PROVISOIRE, Event.INSI_FOUND): Transition(Status.RECUPEREE, "RNIV 1"),
    (Status.RECUPEREE, Event.INSI_FOUND): Transition(Status.RECUPEREE, "EXI REC 08"),
    (Status.VALIDEE, Event.INSI_FOUND): Transition(Status.QUALIFIEE, "RNIV 1"),
    (Status.QUALIFIEE, Event.INSI_FOUND): Transition(Status.QUALIFIEE, "EXI REC 08"),
    (Status.PROVISOIRE, Event.INSI_CONTRADICTED): Transition(Status.PROVISOIRE, "inferred"),
    (Status.RECUPEREE, Event.INSI_CONTRADICTED): Transition(Status.PROVISOIRE, "inferred"),
    (Status.VALIDEE, Event.INSI_CONTRADICTED): Transition(Status.VALIDEE, "inferred"),
    (Status.QUALIFIEE, Event.INSI_CONTRADICTED): Transition(Status.VALIDEE, "PAM p. 19"),
    (Status.PROVISOIRE, Event.DOCUMENT_CHECKED): Transition(Status.VALIDEE, "RNIV 1"),
    (Status.RECUPEREE, Event.DOCUMENT_CHECKED): Transition(Status.QUALIFIEE, "RNIV 1"),
    (Status.VALIDEE, Event.DOCUMENT_CHECKED): Transition(Status.VALIDEE, "RNIV 1"),
    (Status.QUALIFIEE, Event.DOCUMENT_CHECKED): Transition(Status.QUALIFIEE, "RNIV 1"),
    (Status.PROVISOIRE, Event.DOCUMENT_WITHDRAWN): Transition(Status.PROVISOIRE, "inferred"),
    (Status.RECUPEREE, Event.DOCUMENT_WITHDRAWN): Transition(Status.RECUPEREE, "inferred"),
    (Status.VALIDEE, Event.DOCUMENT_WITHDRAWN): Transition(Status.PROVISOIRE, "inferred"),
    (Status.QUALIFIEE, Event.DOCUMENT_WITHDRAWN): Transition(Status.RECUPEREE, "PAM p. 20"),
    (Status.PROVISOIRE, Event.STRICT_TRAIT_EDITED): Transition(Status.PROVISOIRE, "inferred"),
    (Status.RECUPEREE, Event.STRICT_TRAIT_EDITED): Transition(Status.PROVISOIRE, "PAM p. 36-38"),
    (Status.VALIDEE, Event.STRICT_TRAIT_EDITED): Transition(Status.PROVISOIRE, "inferred"),
    (Status.QUALIFIEE, Event.STRICT_TRAIT_EDITED): Transition(Status.PROVISOIRE, "PAM p. 36-38"),
    (Status.PROVISOIRE, Event.MARKED_DOUBTFUL_OR_FICTITIOUS): Transition(Status.PROVISOIRE, "EXI ID 24/26"),
    (Status.RECUPEREE, Event.MARKED_DOUBTFUL_OR_FICTITIOUS): Transition(Status.PROVISOIRE, "EXI ID 24/26"),
    (Status.VALIDEE, Event.MARKED_DOUBTFUL_OR_FICTITIOUS): Transition(Status.PROVISOIRE, "EXI ID 24/26"),
    (Status.QUALIFIEE, Event.MARKED_DOUBTFUL_OR_FICTITIOUS): Transition(Status.PROVISOIRE, "EXI ID 24/26"),
}

# What a local change of each trait is; None: nothing happens to the identity.
CHANGES: Mapping[Trait | ComplementaryTrait, Event | None] = {
    **dict.fromkeys(Trait, Event.STRICT_TRAIT_EDITED),
    **dict.fromkeys(ComplementaryTrait, None),
}
