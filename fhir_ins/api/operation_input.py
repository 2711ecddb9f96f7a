"""What a caller sends to an operation, read against its OperationDefinition; the traits of `$ins-fetch`."""

from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request

from fhir_ins.api.body import bounded_body, resource_in
from fhir_ins.api.insi_search import PATIENT_PLACES, Asked
from fhir_ins.api.patients import without_server_elements
from fhir_ins.artifacts import artifact
from fhir_ins.fhir.operations import Argument, Arguments, arguments, parameters_in
from fhir_ins.fhir.outcome import BadRequest, Unprocessable
from fhir_ins.frcore.traits import SEX_OF_GENDER, traits_of
from fhir_ins.ins.malformed import Malformed
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.normalisation import family_for_insi
from fhir_ins.ins.traits import Trait, Traits, birth_date_fault
from fhir_ins.insi.port import ByVitale

FETCH = "ins-fetch"
VERIFY = "ins-verify"
IDENTITY = "ins-identity"
SCAN = "ins-scan"
OPERATIONS = (FETCH, VERIFY, IDENTITY, SCAN)

_TRAIT_NAMES = ("family", "given", "gender", "birthDate", "birthDateIns", "birthPlace")


@dataclass(frozen=True, slots=True)
class FetchInput:
    """The in parameters of $ins-fetch; `place` is where the Patient stood, for an error to point at."""

    patient: dict[str, Any]
    place: str
    asked: Asked
    persist: bool
    accept_traits: bool
    force: bool
    defer: bool


def operation_definition(name: str) -> Mapping[str, Any]:
    """The published OperationDefinition of one of `OPERATIONS`."""
    return artifact(f"profiles/OperationDefinition-{name}.json")


async def operation_arguments(request: Request, name: str) -> Arguments:
    """The arguments in the body: a Parameters resource, or the one resource it would hold; no body at all gives none.

    https://hl7.org/fhir/R4/operations.html#request
    """
    expected = parameters_in(operation_definition(name))
    types = [parameter.type for parameter in expected.values() if parameter.type == "Patient"]
    body = await bounded_body(request)
    given = resource_in(request, body, "Parameters", *types) if body else {}
    if given.get("resourceType") == "Patient":
        return {**arguments({}, expected), "patient": [Argument(given, "Patient")]}
    return arguments(given, expected)


def card_in(vitale: Argument) -> ByVitale:
    """What a carte Vitale says. Raises Unprocessable for what no card says, or when there is nothing to ask with."""
    said: Arguments = vitale.value
    card = ByVitale(
        individual=_number(said["matriculeIndividu"]),
        holder=_number(said["matriculeOD"]),
        family=_family(said["family"]),
        birth_date=_first(said["birthDate"]),
        birth_rank=_first(said["birthRank"]),
        assertion=_decoded(said["assertion"]),
    )
    if card.individual is None and card.holder is None:
        raise Unprocessable("A carte Vitale has a number: give matriculeIndividu or matriculeOD.", vitale.expression)
    if card.birth_date and (fault := birth_date_fault(card.birth_date)):
        raise Unprocessable(fault.reason, said["birthDate"][0].expression)
    if card.birth_rank and not (card.birth_rank.isascii() and card.birth_rank.isdigit() and len(card.birth_rank) == 1):
        raise Unprocessable("The birth rank is one digit.", said["birthRank"][0].expression)
    return card


def _number(found: list[Argument]) -> Matricule | None:
    if not found:
        return None
    number = Matricule.parse(str(found[0].value).replace(" ", ""))
    if isinstance(number, Malformed):
        raise Unprocessable(number.reason, found[0].expression)
    if not number.key_is_right:
        text = f"The key of {number.masked} is wrong: {number.expected_key} was expected. Read the card again."
        raise Unprocessable(text, found[0].expression)
    return number


def _family(found: list[Argument]) -> str | None:
    if not found:
        return None
    family = family_for_insi(str(found[0].value))
    if isinstance(family, Malformed):
        raise Unprocessable(family.reason, found[0].expression)
    return family


def _decoded(found: list[Argument]) -> bytes | None:
    """The bytes of a base64Binary, which the structure of the resource was judged by already."""
    return b64decode(found[0].value) if found else None


def fetch_input(given: Arguments, *, instance: bool = False) -> FetchInput:
    """Read $ins-fetch's arguments. Raises BadRequest where they contradict each other, or the instance."""
    traits_given = [name for name in _TRAIT_NAMES if given[name]]
    if instance and (traits_given or given["patient"]):
        raise BadRequest(
            "At instance level the traits are those of the stored Patient: update it first, or call "
            "Patient/$ins-fetch with these traits.",
            "Parameters.parameter",
        )
    if bool(given["patient"]) + bool(traits_given) + bool(given["vitale"]) > 1:
        raise BadRequest(
            "Give the traits as a patient or one by one, or what a carte Vitale says, one of the three.",
            "Parameters.parameter",
        )
    if given["birthDate"] and given["birthDateIns"]:
        raise BadRequest("Give birthDate, or birthDateIns for a date with 00, not both.", "Parameters.parameter")
    if _flag(given["defer"], default=False):
        _refuse_to_defer(given)
    patient, asked = _patient_and_question(given)
    return FetchInput(
        patient=patient,
        place=given["patient"][0].expression if given["patient"] else "Patient",
        asked=replace(asked, assertion=assertion_in(given)),
        persist=_flag(given["persist"], default=True),
        accept_traits=_flag(given["acceptTraits"], default=False),
        force=_flag(given["force"], default=False),
        defer=_flag(given["defer"], default=False),
    )


def assertion_in(given: Arguments) -> bytes | None:
    """The AssertionPS of a professional's card, as it was signed; None where none came."""
    return _decoded(given["assertion"])


def _patient_and_question(given: Arguments) -> tuple[dict[str, Any], Asked]:
    if given["patient"]:
        argument = given["patient"][0]
        return without_server_elements(argument.value), Asked(traits_of(argument.value), patient_place(argument))
    if given["vitale"]:
        card = card_in(given["vitale"][0])
        return {"resourceType": "Patient"}, Asked(Traits(card.family, (), None, card.birth_date, None), card=card)
    date = given["birthDateIns"] or given["birthDate"]
    traits = Traits(
        family=_first(given["family"]),
        given=tuple(argument.value for argument in given["given"]),
        sex=SEX_OF_GENDER.get(_first(given["gender"]) or ""),
        birth_date=_first(date),
        birth_place=_first(given["birthPlace"]),
    )
    places = {trait: given[trait.value] for trait in Trait} | {Trait.BIRTH_DATE: date}

    def place_of(trait: Trait) -> str:
        return places[trait][0].expression if places[trait] else "Parameters.parameter"

    return {"resourceType": "Patient"}, Asked(traits, place_of)


def _refuse_to_defer(given: Arguments) -> None:
    """Raise where what is asked cannot wait: nothing would be stored, or a card would be past its time by then."""
    if not _flag(given["persist"], default=True):
        raise BadRequest("What is deferred is stored: leave persist out, or defer.", "Parameters.parameter")
    if cards := given["vitale"] or given["assertion"]:
        raise Unprocessable(
            "A call that waits is made later, by the traits and with the organisation's certificate: a card and its "
            "assertion are past their time by then. Leave them out, or defer.",
            cards[0].expression,
        )


def patient_place(argument: Argument) -> Callable[[Trait], str]:
    """Where a trait stands in a Patient given as a parameter."""

    def place_of(trait: Trait) -> str:
        return argument.expression + PATIENT_PLACES[trait].removeprefix("Patient")

    return place_of


def _first(found: list[Argument]) -> str | None:
    return str(found[0].value) if found else None


def _flag(found: list[Argument], *, default: bool) -> bool:
    return bool(found[0].value) if found else default
