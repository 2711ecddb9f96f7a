"""Our artifacts: each is valid R4, says what it is, and says what the code does."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from fhirpathpy import evaluate
from fhirpathpy.models import models

from fhir_ins import __version__
from fhir_ins.api.ins_verify import COMPARE, VERIFICATION
from fhir_ins.artifacts import artifact, profiles
from fhir_ins.fhir.structure import definitions, validate
from fhir_ins.frcore.canonical import OURS, STATUSES_OF_OURS
from fhir_ins.frcore.identifiers import identifier
from fhir_ins.frcore.release import RELEASES
from fhir_ins.frcore.traits import SEX_OF_GENDER
from fhir_ins.ins.identity import InsNumber
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.oid import InsOid, NotAnIns
from fhir_ins.ins.status import Status
from fhir_ins.ins.traits import Trait

Json = dict[str, Any]

ROOT = Path(__file__).parents[1]
ARTIFACTS = profiles()
NAMES = [f"{found['resourceType']}-{found['id']}" for found in ARTIFACTS]
EXAMPLES = sorted(path.name for path in (ROOT / "profiles/examples").glob("*.json"))
EVERY = [*ARTIFACTS, artifact("capability/capability-statement.json")]
BY_NAME = dict(zip(NAMES, ARTIFACTS, strict=True))
UNTITLED = {"SearchParameter", "NamingSystem"}  # R4 gives them no title


def test_a_file_is_named_for_its_resource() -> None:
    assert {path.stem for path in (ROOT / "profiles").glob("*.json")} == set(NAMES)


@pytest.mark.parametrize("resource", ARTIFACTS, ids=NAMES)
def test_each_is_valid_to_us_and_to_fhir_resources(resource: Json) -> None:
    assert validate(resource) == []
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)


@pytest.mark.parametrize("name", EXAMPLES)
def test_so_is_each_example(name: str) -> None:
    resource = artifact(f"profiles/examples/{name}")
    assert validate(resource) == []
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)


@pytest.mark.parametrize("resource", EVERY, ids=[*NAMES, "CapabilityStatement"])
def test_each_says_what_it_is(resource: Json) -> None:
    type_ = resource["resourceType"]
    assert re.fullmatch(r"[A-Z][A-Za-z0-9_]{0,254}", resource["name"])
    assert (resource["status"], resource["publisher"]) == ("active", "fhir-ins")
    assert resource["description"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", resource["date"])
    assert resource["jurisdiction"] == [{"coding": [{"system": "urn:iso:std:iso:3166", "code": "FR"}]}]
    assert ("title" in resource) is (type_ not in UNTITLED)
    if type_ != "NamingSystem":  # which R4 gives neither url nor version
        assert resource["version"] == __version__
        assert resource["url"] == f"{OURS}/{type_}/{resource.get('id', 'fhir-ins')}"
        assert resource["experimental"] is False


def invariants(resource: Json) -> Iterator[tuple[str, str]]:
    """The error invariants R4 puts on a resource and its elements, as (key, FHIRPath at the root)."""
    table, type_ = definitions(), resource["resourceType"]
    for key in table["types"][type_].get("invariants", ()):
        yield key, table["invariants"][key]
    for path, element in table["types"][type_]["elements"].items():
        for key in element.get("invariants", ()):
            yield key, f"{path}.all({table['invariants'][key]})"


@pytest.mark.parametrize("resource", ARTIFACTS, ids=NAMES)
def test_each_keeps_the_invariants_of_its_type(resource: Json) -> None:
    for key, expression in invariants(resource):
        assert evaluate(resource, expression, {"resource": resource}, models["r4"]) in ([True], []), key


def test_each_element_of_the_profile_keeps_the_invariants_of_elementdefinition() -> None:
    (resource,) = [found for found in ARTIFACTS if found["resourceType"] == "StructureDefinition"]
    table = definitions()
    for key in table["types"]["ElementDefinition"]["invariants"]:
        expression = f"differential.element.all({table['invariants'][key]})"
        assert evaluate(resource, expression, {}, models["r4"]) == [True], key
    keys = [found["key"] for element in resource["differential"]["element"] for found in element.get("constraint", [])]
    assert len(keys) == len(set(keys))


def codes(codesystem: str) -> set[str]:
    return {concept["code"] for concept in BY_NAME[f"CodeSystem-{codesystem}"]["concept"]}


def test_the_codes_are_those_of_the_code() -> None:
    assert BY_NAME["CodeSystem-ins-identity-status"]["url"] == STATUSES_OF_OURS
    assert codes("ins-identity-status") == set(Status)
    assert codes("ins-trait") == {*Trait, "matricule", "oid"}
    assert codes("ins-verify-method") == {COMPARE, VERIFICATION}
    assert in_value_set("ins-strict-trait") == set(Trait)
    assert in_value_set("ins-gender") == set(SEX_OF_GENDER)


def in_value_set(id_: str) -> set[str]:
    (include,) = BY_NAME[f"ValueSet-{id_}"]["compose"]["include"]
    listed = {concept["code"] for concept in include.get("concept", [])}
    return listed or codes(include["system"].rpartition("/")[2])


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("ValueSet")])
def test_a_value_set_lists_codes_that_its_system_has(name: str) -> None:
    (include,) = BY_NAME[name]["compose"]["include"]
    if include["system"].startswith(OURS):
        assert in_value_set(BY_NAME[name]["id"]) <= codes(include["system"].rpartition("/")[2])
    else:
        known = definitions()["valuesets"][include["system"].rpartition("/")[2]]
        assert in_value_set(BY_NAME[name]["id"]) <= set(known[include["system"]])


def parameters(definition: Json | list[Json]) -> Iterator[Json]:
    """Every parameter and part of an operation."""
    for parameter in definition:
        yield parameter
        yield from parameters(parameter.get("part", []))


def test_every_binding_is_of_a_code_to_a_value_set_of_ours_and_each_is_bound_somewhere() -> None:
    definitions_ = [found for found in ARTIFACTS if found["resourceType"] == "OperationDefinition"]
    bound = [one for found in definitions_ for one in parameters(found["parameter"]) if "binding" in one]
    assert {one["type"] for one in bound} == {"code"}
    assert {one["binding"]["strength"] for one in bound} == {"required"}
    value_sets = {found["url"] for found in ARTIFACTS if found["resourceType"] == "ValueSet"}
    assert {one["binding"]["valueSet"] for one in bound} == value_sets


INS_OIDS = {f"NamingSystem-ins-{oid.name.lower().replace('_', '-')}": oid for oid in InsOid}
OTHER_OIDS = {
    "NamingSystem-nss-nir": NotAnIns.NSS_NIR,
    "NamingSystem-nss-nia": NotAnIns.NSS_NIA,
    "NamingSystem-ins-c": NotAnIns.INS_C,
}


def test_there_is_a_naming_system_for_each_number() -> None:
    assert {name for name in NAMES if name.startswith("NamingSystem")} == {*INS_OIDS, *OTHER_OIDS}


@pytest.mark.parametrize(("name", "oid"), [*INS_OIDS.items(), *OTHER_OIDS.items()])
def test_a_naming_system_says_its_oid_and_whether_it_is_an_ins(name: str, oid: str) -> None:
    found = BY_NAME[name]
    assert [(one["type"], one["value"]) for one in found["uniqueId"]] == [("oid", oid), ("uri", f"urn:oid:{oid}")]
    assert found["description"].startswith("Not an INS") is (name in OTHER_OIDS)
    if name in INS_OIDS:
        emitted = identifier(InsNumber(Matricule("2751263220749", "74"), oid), "official", RELEASES["2.2.0"])
        assert (found["type"], found["uniqueId"][1]["value"]) == (emitted["type"], emitted["system"])
