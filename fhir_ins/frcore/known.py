"""What the server keeps of a Patient, and who writes it."""

from dataclasses import dataclass

from fhir_ins.frcore.elements import Json
from fhir_ins.frcore.profiles import FrCore
from fhir_ins.ins.identity import Identity


@dataclass(frozen=True, slots=True)
class Known:
    """A Patient as the server keeps it: without the elements the server owns, and its identity record."""

    patient: Json
    identity: Identity


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, and how: `may_qualify`, `is_reference` and `is_trusted` are rights.

    `version_known`: what is written over is what the writer has seen (If-Match), or nothing is (a create). `fr_core` is
    what the store is written in.
    """

    actor: str
    today: str
    may_qualify: bool
    is_reference: bool
    version_known: bool
    fr_core: FrCore
    is_trusted: bool = False
    wrong_key_is_error: bool = True
