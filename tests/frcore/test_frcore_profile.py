"""What the profile fhir-ins-patient says holds for every form that an ordinary caller reads, and is not empty talk."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import pytest
from fhirpathpy import compile as compiled
from fhirpathpy.models import models
from frcore.records import CHECK, FR_CORE, ZOE, about, known, number, writer
from frcore.test_frcore_oracles import BODIES, contains
from frcore.test_frcore_search_parameters import STRANGE
from hypothesis import given, settings
from people import ADRUN, INS_PROFILE, NIR, RELIABILITY, ins_identifier, patient, reliability

from fhir_ins.artifacts import artifact
from fhir_ins.fhir.json import parse, serialise
from fhir_ins.fhir.outcome import FhirError
from fhir_ins.frcore.forms import forms
from fhir_ins.frcore.writes import attached, written
from fhir_ins.ins.identity import Identity, Obtained
from fhir_ins.ins.oid import InsOid
from fhir_ins.ins.status import Attribute, Status

Json = dict[str, Any]

ELEMENTS = artifact("profiles/StructureDefinition-fhir-ins-patient.json")["differential"]["element"]
CONSTRAINTS = {found["key"]: found["expression"] for found in ELEMENTS[0]["constraint"]}
CITIZEN = {"system": "email", "value": f"{ADRUN}@Patient.mssante.fr"}


@cache
def constraint(key: str) -> Callable[[Json], list[Any]]:
    return compiled(CONSTRAINTS[key], models["r4"])  # type: ignore[no-any-return]


def bodies() -> Iterator[Json]:
    yield from BODIES
    yield patient(telecom=[CITIZEN, {"system": "phone", "value": "1"}])
    yield patient(extension=[reliability("HOMD"), {"url": RELIABILITY, "extension": [{"url": "dateCollection"}]}])


def answers() -> Iterator[Obtained]:
    yield about("ECETINSI", "PIERRE-ALAIN MURIEL FLORIANT")  # a history
    yield about("PROVISOIRE", "MATRICULE")  # a NIA
    yield replace(ZOE, active=number(ADRUN, "1.2.250.1.213.1.4.13"))  # seen: an OID that is none of the INS
    yield replace(ZOE, traits=replace(ZOE.traits, birth_place=None))
    yield replace(ZOE, traits=replace(ZOE.traits, birth_date="1936-00-00"))
    yield replace(ZOE, active=number(ADRUN, InsOid.NIR_TEST), history=(number(oid=InsOid.NIR_TEST),))


def identities(answer: Obtained) -> Iterator[Identity]:
    """Each with a number some client supplied, which nobody here may see."""
    for status in Status:
        found = known(status, answer, supplied=(number(),)).identity
        yield found
        yield found.marked(frozenset({Attribute.HOMONYME}))
        yield found.marked(frozenset({Attribute.DOUTEUX}))


@cache
def conveyed() -> tuple[Json, ...]:
    """Each form once; a past version may be read in its concealed form, so that counts too."""
    found: dict[bytes, None] = {}
    for answer, body in product(answers(), bodies()):
        for identity in identities(answer):
            made = forms(known(Status.RECUPEREE, answer, body).patient, identity, FR_CORE)
            found |= {serialise(form): None for form in (made.conveyed, made.concealed) if form}
    return tuple(map(parse, found))


@pytest.mark.parametrize("key", CONSTRAINTS)
def test_every_form_an_ordinary_caller_reads_keeps_it(key: str) -> None:
    assert len(conveyed()) > 100
    for form in conveyed():
        assert constraint(key)(form) == [True], form


@settings(max_examples=40, deadline=None)
@given(resource=STRANGE)
def test_so_does_whatever_a_client_may_write(resource: Json) -> None:
    try:
        wrote = written(resource, None, writer())
    except FhirError:
        return
    reached = [wrote]
    if not wrote.identity.blocked:  # else INSi is not asked, and no check counts
        reached += [replace(wrote, identity=wrote.identity.checked(CHECK)), attached(wrote, ZOE)]
        reached.append(replace(reached[-1], identity=reached[-1].identity.checked(CHECK)))
    for found in reached:
        form = forms(found.patient, found.identity, FR_CORE).conveyed
        assert [key for key in CONSTRAINTS if constraint(key)(form) != [True]] == [], form


def qualified() -> Json:
    found = known(Status.QUALIFIEE, body=patient(telecom=[CITIZEN]))
    return deepcopy(forms(found.patient, found.identity, FR_CORE).conveyed)


def statement(form: Json) -> Json:
    return next(found for found in form["extension"] if found["url"] == RELIABILITY)


def without_ins(form: Json) -> Json:
    return {name: value for name, value in form.items() if name != "identifier"}


def with_status(form: Json, *codes: str) -> Json:
    """The form with these codes stated instead of its own."""
    others = [found for found in form["extension"] if found["url"] != RELIABILITY]
    return {**form, "extension": [*others, *map(reliability, codes)]}


def twice(form: Json) -> Json:
    return {**form, "identifier": [*form["identifier"], ins_identifier("260058815400233")]}


def link(form: Json) -> Json:
    other = {"other": {"identifier": ins_identifier()}, "type": "seealso"}
    return {**form, "link": [other]}


BREACHES: list[tuple[str, Callable[[Json], Json]]] = [
    ("fhir-ins-1", lambda form: with_status(form, "PROV")),
    ("fhir-ins-1", lambda form: with_status(form, "VALI")),  # no INSI
    ("fhir-ins-1", lambda form: {**form, "extension": []}),
    ("fhir-ins-2", twice),
    ("fhir-ins-2", lambda form: {**form, "identifier": [{**form["identifier"][0], "use": "old"}]}),
    ("fhir-ins-3", lambda form: {**form, "extension": [statement(form)]}),
    ("fhir-ins-3", lambda form: {**form, "name": [{"family": "ADRUN", "given": ["ZOE"], "use": "official"}]}),
    ("fhir-ins-3", lambda form: {name: value for name, value in form.items() if name != "gender"}),
    ("fhir-ins-3", lambda form: {name: value for name, value in form.items() if name != "birthDate"}),
    ("fhir-ins-4", without_ins),
    ("fhir-ins-5", link),
    ("fhir-ins-5", lambda form: {**form, "contained": [{"resourceType": "Patient", "identifier": [ins_identifier()]}]}),
    ("fhir-ins-6", lambda form: with_status(form, "HOMD")),
    ("fhir-ins-6", lambda form: with_status(form, "PROV", "VALI")),
    ("fhir-ins-7", lambda form: with_status(form, "VALI", "DOUT")),
    ("fhir-ins-7", lambda form: with_status(form, "PROV", "DOUT", "FICT")),
    ("fhir-ins-8", without_ins),
]


@pytest.mark.parametrize(("key", "breach"), BREACHES)
def test_it_is_not_true_of_everything(key: str, breach: Callable[[Json], Json]) -> None:
    form = qualified()
    assert form["meta"]["profile"] == [INS_PROFILE]
    assert {found["system"] for found in form["identifier"]} == {NIR}
    assert constraint(key)(form) == [True]
    assert constraint(key)(breach(form)) == [False]


def test_each_constraint_is_shown_to_bite() -> None:
    assert {key for key, _ in BREACHES} == set(CONSTRAINTS)


def test_a_checked_identity_alone_is_conveyed_with_its_number() -> None:
    shown = [form for form in conveyed() if NIR in {found["system"] for found in form.get("identifier", [])}]
    assert shown
    assert all(CHECK.on in str(form["extension"]) for form in shown)


@pytest.mark.parametrize("slice_", ["INS-NIR", "INS-NIA", "INS-NIR-TEST", "INS-NIR-DEMO"])
def test_each_number_is_in_its_slice(slice_: str) -> None:
    rules = {found["id"].rpartition(".")[2]: found for found in ELEMENTS if f":{slice_}." in found["id"]}
    (entry,) = [found for found in ELEMENTS if found.get("sliceName") == slice_]
    for form in conveyed():
        numbers = [found for found in form.get("identifier", []) if found["system"] == rules["system"]["patternUri"]]
        assert entry["max"] == "*" or len(numbers) <= int(entry["max"])
        for found in numbers:
            assert all(part in found for part in rules)
            assert contains(found["type"], rules["type"]["patternCodeableConcept"])
            assert found["use"] in (
                [rules["use"]["patternCode"]] if "patternCode" in rules["use"] else ["official", "old"]
            )
