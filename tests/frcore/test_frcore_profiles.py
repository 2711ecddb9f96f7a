"""FR Core's profiles: what breaks an INS Patient, what the published examples deserve, what cannot be helped."""

import json
import tarfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from frcore.records import writer
from hypothesis import given
from hypothesis import strategies as st
from ins_patients import (
    BIRTH_PLACE,
    COMMUNES,
    COUNTRIES,
    FR_CORE,
    GIVEN_NAMES,
    INS,
    TYPES,
    V2_0203,
    coded,
    identifier,
    ins_patient,
    insee_code,
)
from people import ADRUN, MODES, reliability

from fhir_ins.fhir import fhirpath
from fhir_ins.fhir.json import parse
from fhir_ins.fhir.outcome import FhirError, Issue
from fhir_ins.fhir.profiles import Profiles
from fhir_ins.fhir.scope import Scope
from fhir_ins.fhir.structure import validate
from fhir_ins.frcore.invariants import INVARIANTS
from fhir_ins.frcore.profiles import RELEASES, fr_core, fr_core_profiles
from fhir_ins.frcore.writes import written

Json = dict[str, Any]
Change = Callable[[Json], object]

DATA = Path(__file__).parents[2].parent / "shared/data"
OFFICIAL_OID = "urn:oid:1.2.250.1.213.1.4"

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the published FR Core files are not beside this checkout")


@cache
def profiles(release: str) -> Profiles:
    return fr_core_profiles(release)


def judged(resource: Json, release: str, canonical: str = INS) -> list[Issue]:
    assert validate(resource) == []
    return profiles(release).judge(resource, canonical)


def errors(resource: Json, release: str, canonical: str = INS) -> list[str | None]:
    return [issue.expression for issue in judged(resource, release, canonical) if issue.severity == "error"]


@pytest.mark.parametrize("release", RELEASES)
def test_a_good_ins_patient_has_nothing_against_it(release: str) -> None:
    assert errors(ins_patient(release), release) == []
    assert errors(ins_patient(release), release, f"{FR_CORE}/fr-core-patient|{release}") == []
    assert profiles(release).conforms(ins_patient(release), f"{INS}|{release}")


def removed(name: str) -> Change:
    return lambda patient: patient.pop(name)


def put(value: Any, *path: str | int) -> Change:
    """Set (None: remove) what stands at `path`."""

    def change(patient: Json) -> None:
        *way, last = path
        target: Any = patient
        for step in way:
            target = target[step]
        if value is None:
            del target[last]
        else:
            target[last] = value

    return change


def added(value: Any, *path: str | int) -> Change:
    def change(patient: Json) -> None:
        target: Any = patient
        for step in path:
            target = target[step]
        target.append(value)

    return change


def of_pi(**changes: Any) -> Json:
    found = identifier("usual", coded(V2_0203, "PI", "Patient internal identifier"), "urn:oid:1.2.250.1.999.1.1", "7")
    return {name: value for name, value in {**found, **changes}.items() if value is not None}


NDP = identifier(
    "secondary",
    coded(TYPES, "NDP", "Identifiant du patient au Dossier Pharmaceutique"),
    "urn:oid:1.2.250.1.176.1.2",
    "1",
)

# What is broken, and where that is an error in 2.2.0 and in 2.1.0.
MUTATIONS: dict[str, tuple[Change, list[str], list[str]]] = {
    "no birth date": (removed("birthDate"), ["Patient"], ["Patient"]),
    "no gender": (removed("gender"), ["Patient"], ["Patient"]),
    "gender other": (put("other", "gender"), ["Patient.gender"], ["Patient.gender"]),
    "no identifier": (removed("identifier"), ["Patient"] * 3, ["Patient"] * 2),
    "no birth place": (put(reliability("VALI"), "extension", 0), ["Patient"], ["Patient"]),
    "birth place without code": (
        put(None, "extension", 0, "valueAddress", "extension"),
        ["Patient.extension[0].value"] * 2,
        ["Patient.extension[0].value"] * 2,
    ),
    "birth place of two": (
        added({"url": BIRTH_PLACE, "valueAddress": {"extension": [insee_code("63220")]}}, "extension"),
        ["Patient.extension"],
        ["Patient.extension"],
    ),
    "birth place with text instead of a code": (
        put({"url": insee_code("1")["url"], "valueString": "Marsac"}, "extension", 0, "valueAddress", "extension", 0),
        ["Patient.extension[0].value.extension[0].value"],
        ["Patient.extension[0].value.extension[0].value"],
    ),
    "birth place in the commune system of 2.0": (
        put(
            insee_code("63220", COMMUNES.replace("CommuneOM", "Commune")),
            "extension",
            0,
            "valueAddress",
            "extension",
            0,
        ),
        ["Patient.extension[0].value.extension[0].value"],
        ["Patient.extension[0].value.extension[0].value"],
    ),
    "a code in a wrong place": (
        added(insee_code("63220"), "extension"),
        ["Patient.extension[2]"],
        ["Patient.extension[2]"],
    ),
    "no reliability": (lambda patient: patient["extension"].pop(), [], ["Patient", "Patient"]),
    "a status as text": (
        put({"url": "identityStatus", "valueString": "VALI"}, "extension", 1, "extension", 0),
        ["Patient.extension[1].extension[0].value"],
        ["Patient.extension[1].extension[0].value"],
    ),
    "two statuses in one repetition": (
        added({"url": "identityStatus", "valueCoding": {"code": "VALI"}}, "extension", 1, "extension"),
        ["Patient.extension[1].extension"],
        ["Patient.extension[1].extension"],
    ),
    "a check by residence permit": (
        put({"system": MODES, "code": "CS"}, "extension", 1, "extension", 2, "valueCoding"),
        ["Patient.extension[1].extension[2].value"],
        [],
    ),
    "a check by an unknown document": (
        put({"system": MODES, "code": "ZZ"}, "extension", 1, "extension", 2, "valueCoding"),
        ["Patient.extension[1].extension[2].value"] * 2,
        ["Patient.extension[1].extension[2].value"],
    ),
    "a value beside the parts": (
        put({"url": reliability("VALI")["url"], "valueString": "VALI"}, "extension", 1),
        ["Patient.extension[1].value"],
        ["Patient.extension[1].value"],
    ),
    "no official name": (put("usual", "name", 0, "use"), ["Patient"], ["Patient"]),
    "two official names": (
        put("official", "name", 1, "use"),
        ["Patient.name[1]", "Patient.name[1]", "Patient.name"],
        ["Patient.name[1]", "Patient.name[1]", "Patient.name"],
    ),
    "no family name": (put(None, "name", 0, "family"), ["Patient.name[0]"], ["Patient.name[0]"]),
    "two given names": (
        put(["ZOE", "MARIE"], "name", 0, "given"),
        ["Patient.name[0].given"],
        ["Patient.name[0].given"],
    ),
    "no given name": (put(None, "name", 0, "given"), ["Patient.name[0]"], ["Patient.name[0]"]),
    "no list of given names": (
        put(None, "name", 0, "extension"),
        ["Patient.name[0]", "Patient.name[0]"],
        ["Patient.name[0]", "Patient.name[0]"],
    ),
    "a list of given names as markdown": (
        put({"url": GIVEN_NAMES, "valueMarkdown": "ZOE"}, "name", 0, "extension", 0),
        ["Patient.name[0].extension[0].value"],
        ["Patient.name[0].extension[0].value"],
    ),
    "two prefixes": (put(["MME", "DR"], "name", 1, "prefix"), ["Patient.name[1].prefix"], ["Patient.name[1].prefix"]),
    "a matricule without value": (
        put(None, "identifier", 0, "value"),
        ["Patient.identifier[0]"],
        ["Patient.identifier[0]"],
    ),
    "a matricule under another OID": (
        put(f"{OFFICIAL_OID}.9", "identifier", 0, "system"),
        ["Patient.identifier[0].system"],
        ["Patient.identifier[0].system"],
    ),
    "a matricule without OID": (
        put(None, "identifier", 0, "system"),
        ["Patient.identifier[0]", "Patient"],
        ["Patient"],
    ),
    "a matricule of usual use": (
        put("usual", "identifier", 0, "use"),
        ["Patient", "Patient", "Patient.identifier[0].use"],
        ["Patient.identifier[0].use"],
    ),
    "a second official identifier": (
        put(of_pi(use="official"), "identifier", 1),
        ["Patient", "Patient.identifier[1].use"],
        ["Patient.identifier[1].use"],
    ),
    "a PI without system": (
        put(of_pi(system=None), "identifier", 1),
        ["Patient.identifier[1]"],
        ["Patient.identifier[1]"],
    ),
    "a PI without value": (
        put(of_pi(value=None), "identifier", 1),
        ["Patient.identifier[1]"],
        ["Patient.identifier[1]"],
    ),
    "a PI without use": (put(of_pi(use=None), "identifier", 1), ["Patient.identifier[1]"], []),
    "two NDP": (
        lambda patient: patient["identifier"].extend([NDP, NDP]),
        ["Patient.identifier"],
        ["Patient.identifier"],
    ),
    "an NDP of another system": (
        added({**NDP, "system": "urn:x"}, "identifier"),
        ["Patient.identifier[2].system"],
        ["Patient.identifier[2].system"],
    ),
    "a telecom without system": (
        put({"extension": [{"url": "urn:e", "valueString": "x"}]}, "telecom", 0),
        ["Patient.telecom[0]"] * 2,
        ["Patient.telecom[0]"] * 2,
    ),
    "a contact's telecom without value": (
        put({"system": "phone"}, "contact", 0, "telecom", 0),
        ["Patient.contact[0].telecom[0]"],
        ["Patient.contact[0].telecom[0]"],
    ),
    "an address with two codes": (
        added(insee_code("63003"), "address", 0, "extension"),
        ["Patient.address[0].extension"],
        ["Patient.address[0].extension"],
    ),
    "a category that is none": (
        put(
            {
                **coded("urn:s", "x"),
                "extension": [{"url": f"{FR_CORE}/fr-core-patient-contact-relationship-category", "valueCode": "x"}],
            },
            "contact",
            0,
            "relationship",
            0,
        ),
        ["Patient.contact[0].relationship[0].extension[0].value"],
        [],
    ),
    "two of one category": (
        lambda patient: patient["contact"][0]["relationship"].append(patient["contact"][0]["relationship"][0]),
        ["Patient.contact[0].relationship"],
        [],
    ),
    "a matricule said twice in meta": (
        lambda patient: patient["meta"]["profile"].append(patient["meta"]["profile"][0]),
        ["Patient.meta.profile"],
        [],
    ),
}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("broken", MUTATIONS)
def test_what_breaks_an_ins_patient(release: str, broken: str) -> None:
    change, *expected = MUTATIONS[broken]
    patient = ins_patient(release)
    change(patient)
    assert sorted(map(str, errors(patient, release))) == sorted(expected[list(RELEASES).index(release)])


@pytest.mark.parametrize("release", RELEASES)
def test_a_contradiction_of_the_published_definitions_is_told_and_forgiven(release: str) -> None:
    abroad = ins_patient(release)
    put(insee_code("99109", COUNTRIES), "extension", 0, "valueAddress", "extension", 0)(abroad)
    (issue,) = [issue for issue in judged(abroad, release) if issue.severity == "error"]
    assert issue.published
    assert issue.expression == "Patient.extension[0].value.extension[0].value"
    assert "99109" not in issue.text
    assert profiles(release).conforms(abroad, INS)
    abroad.pop("gender")
    assert not profiles(release).conforms(abroad, INS)


@pytest.mark.parametrize(("code", "system"), [("63220", COUNTRIES), ("99109", "urn:x"), ("9910", COUNTRIES)])
def test_other_birth_places_outside_the_value_set_are_not_forgiven(code: str, system: str) -> None:
    patient = ins_patient()
    put(insee_code(code, system), "extension", 0, "valueAddress", "extension", 0)(patient)
    assert not profiles("2.2.0").conforms(patient, INS)


@pytest.mark.parametrize(("number", "conforms"), [("13", True), ("14", True), ("8", False)])
def test_a_social_security_number_is_taken_for_two_slices_in_2_2_0(number: str, conforms: bool) -> None:
    patient = ins_patient()
    put(reliability("PROV"), "extension", 1)(patient)
    added(identifier("official", coded(V2_0203, "NH"), f"{OFFICIAL_OID}.{number}", ADRUN), "identifier")(patient)
    told = [issue for issue in judged(patient, "2.2.0") if issue.severity == "error"]
    assert told[0].expression == "Patient.identifier[2]"
    assert "NSS-NIR" in told[0].text
    assert told[0].published
    assert (len(told) == 1) is conforms
    assert profiles("2.2.0").conforms(patient, INS) is conforms


# The published examples: the release they are judged by, where they break its profile, and why.
EXAMPLES: dict[str, tuple[str, list[str], str]] = {
    "frcore-2.0.1_Patient-ExamplefrCorePatient001": (
        "2.1.0",
        ["Patient.extension[1].value.extension[0].value"],
        "a commune system that is none",
    ),
    "frcore-2.1.0-ballot_Patient-ExamplefrCorePatient001": (
        "2.1.0",
        ["Patient.extension[1].value.extension[0].value"],
        "the same",
    ),
    "frcore-2.1.0_Patient-ExampleFRCorePatient001": (
        "2.1.0",
        ["Patient.extension[1].value.extension[0].value"],
        "the same; its publisher's validator says so too",
    ),
    "frcore-2.2.0-ballot-2_Patient-FRCorePatientExample": (
        "2.2.0",
        [],
        "a wrong key and lower case, of which the profile says nothing",
    ),
    "frcore-2.2.0_Patient-FRCorePatientExample": ("2.2.0", [], "the same"),
}


@needs_data
@pytest.mark.parametrize("example", EXAMPLES)
def test_the_published_examples_get_what_they_deserve(example: str) -> None:
    release, expressions, _why = EXAMPLES[example]
    resource = parse((DATA / f"fr-core/examples/{example}.json").read_bytes())
    assert errors(resource, release) == expressions


@needs_data
@pytest.mark.parametrize("example", EXAMPLES)
def test_a_write_of_the_published_examples_is_refused_for_what_they_lack(example: str) -> None:
    """The key of 123456789012244 (12 was expected); then, of an ordinary client, the day of the document check.

    The misspelt commune system of 2.1.0 is understood, so that a trusted source may send them if wrong keys may pass.
    """
    edition = fr_core(EXAMPLES[example][0])
    resource = parse((DATA / f"fr-core/examples/{example}.json").read_bytes())
    body = {name: value for name, value in resource.items() if name not in ("id", "text")}
    with pytest.raises(FhirError) as refused:
        written(body, None, writer(edition=edition))
    assert [issue.expression for issue in refused.value.issues] == ["Patient.identifier[0].value"]
    with pytest.raises(FhirError) as refused:
        written(body, None, writer(edition=edition, wrong_key_is_error=False))
    assert str(refused.value.issues[0].expression).endswith("extension('validationDate')")
    trusted = writer(edition=edition, wrong_key_is_error=False, is_trusted=True)
    assert written(body, None, trusted).identity.conveys


@needs_data
@pytest.mark.parametrize("release", RELEASES)
def test_the_examples_in_the_packages_follow_the_profiles_they_claim(release: str) -> None:
    """As FR Core's own validator found (other/validation-oo.json), less references that nobody can resolve."""
    broken = {}
    with tarfile.open(DATA / f"fr-core/hl7.fhir.fr.core-{release}.tgz") as package:
        names = [name for name in package.getnames() if name.startswith("package/example/") and name.endswith(".json")]
        for name in names:
            resource = json.load(package.extractfile(name) or pytest.fail(name))
            claims = [found for found in resource.get("meta", {}).get("profile", []) if profiles(release).knows(found)]
            assert validate(resource) == []
            issues = profiles(release).judge(resource, *claims)
            broken[name] = [issue.expression for issue in issues if issue.severity == "error"]
    assert len(broken) > 10
    wrong = {"package/example/Patient-ExampleFRCorePatient001.json": ["Patient.extension[1].value.extension[0].value"]}
    assert {name: found for name, found in broken.items() if found} == (wrong if release == "2.1.0" else {})


def keyed(name: str) -> tuple[str, str]:
    """`2.2.0 fr-core-1 (error)` as the key of its function."""
    release, key, _ = name.split()
    return f"{INS}|{release}", key


@needs_data
def test_the_invariants_are_those_of_the_truth_table() -> None:
    table = json.loads((DATA / "vectors/frcore_ins_invariants_truth_table.json").read_text())
    assert {keyed(name) for name in table["expressions"]} == INVARIANTS.keys()
    for case in table["cases"]:
        resource = case["resource"]
        for name, verdict in case["results"].items():
            holds = INVARIANTS[keyed(name)].holds(resource, Scope(resource))
            assert holds is (verdict is True), (case["case"], name)  # null is empty, which does not hold
            assert fhirpath.holds(table["expressions"][name], resource, "Patient", resource) is verdict


STATUS = st.sampled_from(["VALI", "PROV", "HOMA"])
NUMBER = st.fixed_dictionaries(
    {},
    optional={
        "use": st.sampled_from(["official", "old", "temp"]),
        "system": st.sampled_from([f"{OFFICIAL_OID}.{number}" for number in (8, 9, 10, 11, 13)]),
        "type": st.sampled_from([coded(TYPES, "INS-NIR"), coded(TYPES, "INS-NIA"), {"text": "x"}]),
    },
)
PLACE = st.sampled_from(["63220", "99999", "99109"])


@given(st.lists(STATUS, max_size=3), st.lists(NUMBER, max_size=3), st.lists(PLACE, max_size=2))
def test_the_invariants_agree_with_their_fhirpath(statuses: list[str], numbers: list[Json], places: list[str]) -> None:
    place = {"url": BIRTH_PLACE, "valueAddress": {"extension": [insee_code(code) for code in places]}}
    resource = {
        "resourceType": "Patient",
        "extension": [*(reliability(status) for status in statuses), *([place] if places else [])],
        "identifier": [{"value": "1", **number} for number in numbers],
    }
    for release in RELEASES:
        for key, expression in expressions_of(release).items():
            holds = INVARIANTS[f"{INS}|{release}", key].holds(resource, Scope(resource))
            assert holds is bool(fhirpath.holds(expression, resource, "Patient", resource)), key


def expressions_of(release: str) -> dict[str, str]:
    """The FHIRPath of the constraints of fr-core-patient-ins, from the table that ships."""
    path = Path(__file__).parents[2] / f"fhir_ins/frcore/definitions/fr-core-{release}.json"
    elements = json.loads(path.read_text())["structures"][INS]["elements"]
    return {key: expression for key, _, expression, _ in elements["Patient"]["constraints"]}


def test_the_tables_are_compiled_from_the_packages(tmp_path: Path) -> None:
    if not DATA.is_dir():
        pytest.skip("the published FR Core files are not beside this checkout")
    from fhir_ins.fhir.compile_profiles import main

    for release in RELEASES:
        main([str(DATA / f"fr-core/hl7.fhir.fr.core-{release}.tgz"), str(tmp_path / release)])
        shipped = Path(__file__).parents[2] / f"fhir_ins/frcore/definitions/fr-core-{release}.json"
        assert (tmp_path / release).read_bytes() == shipped.read_bytes()
