"""Independent judges of every form we emit: base R4, fhir.resources, the invariants and slices of FR Core 2.2.0."""

import json
import tarfile
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.patient import Patient
from fhirpathpy import compile as compiled
from fhirpathpy.models import models
from frcore.records import FR_CORE, answer_about, known, number
from people import INS_PROFILE, PATIENT_PROFILE, RELIABILITY, patient, reliability

from fhir_ins.fhir.json import parse, serialise
from fhir_ins.fhir.structure import validate
from fhir_ins.frcore.forms import forms
from fhir_ins.frcore.reliability import SUFFICIENT_MEANS
from fhir_ins.ins.identity import DocumentCheck
from fhir_ins.ins.status import Attribute, Status
from fhir_ins.simulator.identities import PEOPLE, Person

Json = dict[str, Any]

PACKAGE = Path(__file__).parents[2].parent / "shared/data/fr-core/hl7.fhir.fr.core-2.2.0.tgz"

_STATUS = f"extension('{RELIABILITY}').extension('identityStatus').value"
_SYSTEM = "urn:oid:1.2.250.1.213.1.4"
FR_CORE_1 = (
    f"({_STATUS}.exists(code = 'VALI')) implies ("
    f"identifier.where(system = '{_SYSTEM}.8' and use = 'official' and type.coding.exists(code = 'INS-NIR')).exists()"
    " or "
    f"identifier.where(system = '{_SYSTEM}.9' and use = 'official').exists() or "
    f"identifier.where(system = '{_SYSTEM}.10' and use = 'official').exists() or "
    f"identifier.where(system = '{_SYSTEM}.11' and use = 'official').exists())"
)
FR_CORE_2 = f"({_STATUS}.exists(code = 'VALI')) implies (identifier.where(use = 'official').count() = 1)"
FR_CORE_3 = (
    f"({_STATUS}.exists(code = 'VALI')) implies "
    "extension('http://hl7.org/fhir/StructureDefinition/patient-birthPlace').value"
    ".extension('https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code').value.code != '99999'"
)


@cache
def invariant(expression: str) -> Callable[[Json], list[Any]]:
    return compiled(expression, models["r4"])  # type: ignore[no-any-return]


INVARIANTS = (FR_CORE_1, FR_CORE_2, FR_CORE_3)

IPP = {"use": "usual", "system": "urn:ipp", "value": "7"}
NSS = {"use": "official", "system": "urn:oid:1.2.250.1.213.1.4.13", "value": "275126322074974"}
BODIES = (
    patient(),
    patient(identifier=[IPP], extension=[reliability("HOMD")], name=[{"use": "usual", "family": "Martin"}]),
    patient(identifier=[NSS], meta={"profile": [PATIENT_PROFILE]}),
)
ATTRIBUTES = (frozenset[Attribute](), frozenset({Attribute.HOMONYME}))


def emitted(person: Person, body: Json, means: str = "CN") -> Iterator[Json]:
    """Every form of this person in every status, with and without attribute and supplied number."""
    answer = answer_about(person)
    for status, attributes, supplied in product(Status, ATTRIBUTES, ((), (number(),))):
        checked = status in (Status.VALIDEE, Status.QUALIFIEE)
        check = DocumentCheck("2026-11-20", means, "agent") if checked else None
        found = known(status, answer, body, check=check, attributes=attributes, supplied=supplied)
        made = forms(found.patient, found.identity, FR_CORE)
        yield from (form for form in (made.conveyed, made.concealed, made.reference) if form)


def every_form() -> Iterator[Json]:
    for person, body in product(PEOPLE, BODIES):
        yield from emitted(person, body)
    for means in sorted(SUFFICIENT_MEANS):
        yield from emitted(PEOPLE[0], BODIES[0], means)


@cache
def all_forms() -> tuple[Json, ...]:
    """All the forms as their reader gets them, each once."""
    return tuple(map(parse, dict.fromkeys(serialise(form) for form in every_form())))


def ins_forms() -> list[Json]:
    return [form for form in all_forms() if INS_PROFILE in form.get("meta", {}).get("profile", [])]


def test_every_form_is_base_r4() -> None:
    assert len(all_forms()) > 200
    for form in all_forms():
        assert validate(form) == [], form


def test_every_form_is_a_patient_to_fhir_resources() -> None:
    for form in all_forms():
        Patient.model_validate(form)


@pytest.mark.parametrize("expression", INVARIANTS, ids=["fr-core-1", "fr-core-2", "fr-core-3"])
def test_what_claims_the_ins_profile_keeps_its_invariants(expression: str) -> None:
    assert ins_forms()
    for form in ins_forms():
        assert invariant(expression)(form) == [True], form


def test_the_invariants_are_not_true_of_everything() -> None:
    found = known(Status.QUALIFIEE)
    qualified = forms(found.patient, found.identity, FR_CORE).conveyed
    assert [invariant(rule)(qualified) for rule in INVARIANTS] == [[True], [True], [True]]
    assert [invariant(rule)({**qualified, "identifier": []}) for rule in INVARIANTS[:2]] == [[False], [False]]
    assert invariant(FR_CORE_2)({**qualified, "identifier": [*qualified["identifier"], NSS]}) == [False]


@pytest.fixture(scope="module")
def package() -> dict[str, Json]:
    """The resources of the package by their canonical."""
    if not PACKAGE.exists():
        pytest.skip("the FR Core package is not at hand")
    with tarfile.open(PACKAGE) as archive:
        names = [name for name in archive.getnames() if name.count("/") == 1 and name.endswith(".json")]
        files = [archive.extractfile(name) for name in names]
        found = [json.load(file) for file in files if file]
    return {resource["url"]: resource for resource in found if "url" in resource}


def element(package: dict[str, Json], profile: str, id_: str) -> Json:
    elements = package[profile.split("|")[0]]["differential"]["element"]
    return next((found for found in elements if found["id"] == id_), {})


def codes(package: dict[str, Json], value_set: str) -> set[str]:
    """The codes of a value set that lists them, or has a whole code system of the package."""
    includes = package[value_set.split("|")[0]]["compose"]["include"]
    concepts = (include.get("concept") or package[include["system"]]["concept"] for include in includes)
    return {concept["code"] for listed in concepts for concept in listed}


def contains(value: Any, pattern: Any) -> bool:
    """Whether `value` has all that `pattern` says (ElementDefinition.pattern)."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(contains(value.get(name), part) for name, part in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(contains(item, part) for item in value) for part in pattern)
    return bool(value == pattern)


def extensions(holder: Json, url: str) -> list[Json]:
    return [found for found in holder.get("extension", []) if found["url"] == url]


def test_the_claims_are_the_canonicals_of_the_profile_slices(package: dict[str, Json]) -> None:
    ins = element(package, INS_PROFILE, "Patient.meta.profile:fr-ins-canonical")
    base = element(package, PATIENT_PROFILE, "Patient.meta.profile:fr-canonical")
    assert (ins["patternCanonical"], base["patternCanonical"]) == (INS_PROFILE, PATIENT_PROFILE)


@pytest.mark.parametrize("slice_", ["INS-NIR", "INS-NIA", "INS-NIR-TEST", "INS-NIR-DEMO"])
def test_each_number_is_in_its_slice(package: dict[str, Json], slice_: str) -> None:
    rules = {
        part: element(package, INS_PROFILE, f"Patient.identifier:{slice_}.{part}")
        for part in ("use", "type", "system", "value")
    }
    of_slice = [
        found
        for form in ins_forms()
        for found in form["identifier"]
        if contains(found["system"], rules["system"]["patternUri"])
    ]
    assert of_slice or slice_ in ("INS-NIR-TEST", "INS-NIR-DEMO")
    for found in of_slice:
        assert all(part in found for part, rule in rules.items() if rule.get("min"))
        assert contains(found["type"], rules["type"]["patternCodeableConcept"])
        binding = rules["use"].get("binding")
        uses = codes(package, binding["valueSet"]) if binding else {rules["use"]["patternCode"]}
        assert found["use"] in uses


def test_an_ins_patient_has_what_the_profile_asks(package: dict[str, Json]) -> None:
    genders = codes(package, "https://hl7.fr/ig/fhir/core/ValueSet/fr-core-vs-patient-gender")
    birth_list = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient-birth-list-given-name"
    insee_code = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code"
    for url in (birth_list, insee_code):
        assert package[url]["kind"] == "complex-type"
    for form in ins_forms():
        (official,) = [name for name in form["name"] if name.get("use") == "official"]
        (listed,) = extensions(official, birth_list)
        (given,) = official["given"]
        assert official["family"]
        assert listed["valueString"].split(" ")[0] == given
        (place,) = extensions(form, "http://hl7.org/fhir/StructureDefinition/patient-birthPlace")
        (code,) = extensions(place["valueAddress"], insee_code)
        assert set(code["valueCoding"]) >= {"system", "code"}
        assert form["gender"] in genders
        assert len(form["birthDate"]) == 10


def test_the_statement_is_the_extension_as_defined(package: dict[str, Json]) -> None:
    parts = {
        found["id"].rpartition(":")[2]: found
        for found in package[RELIABILITY]["differential"]["element"]
        if found["id"].count(":") == 1 and "." not in found["id"].rpartition(":")[2]
    }
    modes = element(package, INS_PROFILE, "Patient.extension:identityReliability.extension:validationMode.value[x]")
    allowed = {
        "identityStatus": codes(package, "https://hl7.fr/ig/fhir/core/ValueSet/fr-core-vs-identity-reliability"),
        "methodCollection": codes(
            package, "https://hl7.fr/ig/fhir/core/ValueSet/fr-core-vs-identity-method-collection"
        ),
        "validationMode": codes(package, modes["binding"]["valueSet"]),
    }
    for form in ins_forms():
        for repetition in extensions(form, RELIABILITY):
            urls = [part["url"] for part in repetition["extension"]]
            assert set(urls) <= set(parts)
            assert len(urls) == len(set(urls))  # each is 0..1
            for part in repetition["extension"]:
                if part["url"] in allowed:
                    assert part["valueCoding"]["code"] in allowed[part["url"]]
