"""Identity records of the official fictitious people, and Patients in each of the four statuses."""

from typing import Any

from people import patient

from fhir_ins.frcore.canonical import PATIENT
from fhir_ins.frcore.forms import with_claims
from fhir_ins.frcore.known import Known, Writer
from fhir_ins.frcore.profiles import FrCore, fr_core
from fhir_ins.frcore.traits import with_traits
from fhir_ins.ins.identity import DocumentCheck, Identity, InsNumber, Obtained
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.oid import InsOid
from fhir_ins.ins.status import Status
from fhir_ins.ins.traits import Traits
from fhir_ins.simulator.identities import PEOPLE, Number, Person

Json = dict[str, Any]

FR_CORE, FR_CORE_2_1_0 = fr_core("2.2.0"), fr_core("2.1.0")
TODAY = "2026-11-22"
CHECK = DocumentCheck("2026-11-20", "CN", "agent")
SOMEBODY_ELSE = "260058815400233"


def number(text: str = SOMEBODY_ELSE, oid: str = InsOid.NIR, **dates: str) -> InsNumber:
    return InsNumber(Matricule(text[:13], text[13:]), str(oid), **dates)


def _number(found: Number) -> InsNumber:
    return InsNumber(Matricule(found.number, found.key), str(found.oid), found.start, found.end)


def answer_about(person: Person) -> Obtained:
    """What the téléservice says of this person."""
    traits = Traits(person.family, tuple(person.given.split()), person.sex, person.birth_date, person.birth_place)
    return Obtained(_number(person.active), tuple(map(_number, person.history)), traits, "2026-11-20", "call")


def about(family: str, given: str) -> Obtained:
    return next(answer_about(person) for person in PEOPLE if (person.family, person.given) == (family, given))


ZOE = about("ADRUN", "ZOE")


def known(status: Status, answer: Obtained = ZOE, body: Json | None = None, **identity: Any) -> Known:
    """A Patient of this status with the person's traits; `identity` changes the record."""
    found = answer if status in (Status.RECUPEREE, Status.QUALIFIEE) else None
    check = CHECK if status in (Status.VALIDEE, Status.QUALIFIEE) else None
    resource = with_traits(body or patient(), answer.traits)
    record = {"obtained": found, "check": check, **identity}
    return Known(with_claims(resource, [PATIENT]) if found else resource, Identity(**record))


def writer(
    *,
    may_qualify: bool = True,
    is_reference: bool = False,
    version_known: bool = True,
    is_trusted: bool = False,
    wrong_key_is_error: bool = True,
    edition: FrCore = FR_CORE,
) -> Writer:
    """The writer who may qualify and has seen the version written over, unless told otherwise."""
    return Writer("alice", TODAY, may_qualify, is_reference, version_known, edition, is_trusted, wrong_key_is_error)


def matricules(form: Json | None) -> list[str]:
    """The INS numbers a form shows, in order."""
    shown = (form or {}).get("identifier", [])
    return [found["value"] for found in shown if found["system"].startswith("urn:oid:1.2.250.1.213.1.4.")]
