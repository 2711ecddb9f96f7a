"""What a caller sends to an operation, read against its OperationDefinition; the traits of `$ins-fetch`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from fhir_ins.api.body import bounded_body, resource_in
from fhir_ins.api.insi_search import PATIENT_PLACES
from fhir_ins.api.patients import without_server_elements
from fhir_ins.artifacts import artifact
from fhir_ins.fhir.operations import Argument, Arguments, arguments, parameters_in
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.frcore.traits import SEX_OF_GENDER, traits_of
from fhir_ins.ins.traits import Trait, Traits

FETCH = "ins-fetch"
VERIFY = "ins-verify"
IDENTITY = "ins-identity"
SCAN = "ins-scan"
OPERATIONS = (FETCH, VERIFY, IDENTITY, SCAN)

_TRAIT_NAMES = ("family", "given", "gender", "birthDate", "birthDateIns", "birthPlace")


@dataclass(frozen=True, slots=True)
class FetchInput:
    """The in parameters of $ins-fetch.

    `place` is where the Patient stood and `place_of` where each trait did, for an error to point at.
    """

    patient: dict[str, Any]
    place: str
    traits: Traits
    place_of: Callable[[Trait], str]
    persist: bool
    accept_traits: bool
    force: bool


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


def fetch_input(given: Arguments, *, instance: bool = False) -> FetchInput:
    """Read $ins-fetch's arguments. Raises BadRequest when the traits are given twice, or at instance level."""
    traits_given = [name for name in _TRAIT_NAMES if given[name]]
    if instance and (traits_given or given["patient"]):
        raise BadRequest(
            "At instance level the traits are those of the stored Patient: update it first, or call "
            "Patient/$ins-fetch with these traits.",
            "Parameters.parameter",
        )
    if given["patient"] and traits_given:
        raise BadRequest("Give the traits either as a patient or one by one, not both.", "Parameters.parameter")
    if given["birthDate"] and given["birthDateIns"]:
        raise BadRequest("Give birthDate, or birthDateIns for a date with 00, not both.", "Parameters.parameter")
    patient, traits, place_of = _patient_and_traits(given)
    return FetchInput(
        patient=patient,
        place=given["patient"][0].expression if given["patient"] else "Patient",
        traits=traits,
        place_of=place_of,
        persist=_flag(given["persist"], default=True),
        accept_traits=_flag(given["acceptTraits"], default=False),
        force=_flag(given["force"], default=False),
    )


def _patient_and_traits(given: Arguments) -> tuple[dict[str, Any], Traits, Callable[[Trait], str]]:
    if given["patient"]:
        argument = given["patient"][0]
        return without_server_elements(argument.value), traits_of(argument.value), patient_place(argument)
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

    return {"resourceType": "Patient"}, traits, place_of


def patient_place(argument: Argument) -> Callable[[Trait], str]:
    """Where a trait stands in a Patient given as a parameter."""

    def place_of(trait: Trait) -> str:
        return argument.expression + PATIENT_PLACES[trait].removeprefix("Patient")

    return place_of


def _first(found: list[Argument]) -> str | None:
    return str(found[0].value) if found else None


def _flag(found: list[Argument], *, default: bool) -> bool:
    return bool(found[0].value) if found else default
