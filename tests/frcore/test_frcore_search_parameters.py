"""Our search parameters: what the server extracts is what the published expression finds, in every form alike."""

from collections.abc import Iterable
from datetime import date
from functools import cache
from itertools import chain
from typing import Any

import pytest
from fhirpathpy import compile as compiled
from fhirpathpy.models import models
from frcore.records import CHECK, FR_CORE, ZOE, known
from frcore.test_frcore_oracles import all_forms
from hypothesis import given, settings
from hypothesis import strategies as st
from people import RELIABILITY, STATUSES, patient

from fhir_ins.artifacts import artifact
from fhir_ins.fhir.dates import span_of
from fhir_ins.fhir.search import modifiers_of, parse
from fhir_ins.fhir.search_parameters import keys_of
from fhir_ins.fhir.search_values import Kind, Token
from fhir_ins.fhir.structure import definitions
from fhir_ins.frcore.canonical import BIRTH_LIST_GIVEN_NAME, BIRTH_PLACE, COLLECTION_METHODS, INSEE_CODE
from fhir_ins.frcore.forms import forms
from fhir_ins.frcore.search_parameters import PARAMETERS, further_keys
from fhir_ins.ins.identity import Identity
from fhir_ins.ins.status import Status

Json = dict[str, Any]

OURS = ["birth-place-cog", "birth-list-given-name", "identity-status", "ins-call-date"]
OUR_STATUSES = "https://fhir-ins.example/fhir/CodeSystem/ins-identity-status"


@cache
def expression(name: str) -> Any:
    return compiled(artifact(f"profiles/SearchParameter-patient-{name}.json")["expression"], models["r4"])


def evaluated(name: str, resource: Json) -> set[Any]:
    """What the published expression finds, as keys are written."""
    found = [item for item in expression(name)(resource) if item]
    match PARAMETERS["Patient"][name].kind:
        case Kind.TOKEN:
            return {Token(coding.get("system"), coding["code"]) for coding in found if coding.get("code")}
        case Kind.DATE:
            return {span_of(str(day)) for day in found}
        case _:
            return set(found)


def extracted(name: str, resource: Json) -> set[Any]:
    keys = keys_of(resource, {name: PARAMETERS["Patient"][name]})
    return {value for _, value in (*keys.tokens, *keys.strings, *keys.dates)}


@pytest.mark.parametrize("name", OURS)
def test_the_table_is_what_is_published(name: str) -> None:
    parameter, published = PARAMETERS["Patient"][name], artifact(f"profiles/SearchParameter-patient-{name}.json")
    assert (published["code"], published["type"], published["url"]) == (name, parameter.kind, parameter.definition)
    assert published["base"] == ["Patient"]
    assert ("comparator" in published) is (parameter.kind is Kind.DATE)
    assert published["modifier"] == list(modifiers_of(parameter))


def test_the_comparators_are_those_the_grammar_reads() -> None:
    codes = chain(*definitions()["valuesets"]["search-comparator"].values())
    asked = {code: parse([("ins-call-date", f"{code}2026")], PARAMETERS["Patient"], lenient=False) for code in codes}
    assert {search.criteria[0].values[0].prefix for search in asked.values()} == set(asked)
    assert set(artifact("profiles/SearchParameter-patient-ins-call-date.json")["comparator"]) == set(asked)


@pytest.mark.parametrize("name", OURS)
def test_the_expression_finds_what_we_extract_in_every_form_we_emit(name: str) -> None:
    found = [extracted(name, form) for form in all_forms()]
    assert any(found)
    assert found == [evaluated(name, form) for form in all_forms()]


def part(url: str, *codes: str) -> st.SearchStrategy[Json]:
    systems = st.sampled_from([STATUSES, COLLECTION_METHODS, OUR_STATUSES, None])
    coding = st.builds(
        lambda system, code: {**({"system": system} if system else {}), "code": code}, systems, st.sampled_from(codes)
    )
    return coding.map(lambda found: {"url": url, "valueCoding": found})


PARTS = st.one_of(
    part("identityStatus", "PROV", "VALI", "DOUT", "HOMA", "qualifiee"),
    part("methodCollection", "INSI", "CV"),
    st.sampled_from(["2026-11-20", "2026-11", "2025"]).map(lambda day: {"url": "dateCollection", "valueDate": day}),
)
RELIABILITIES = st.lists(PARTS, min_size=1, max_size=4).map(lambda parts: {"url": RELIABILITY, "extension": parts})
CODES = st.sampled_from(["63220", "2B020", "99255"]).map(
    lambda code: {"url": INSEE_CODE, "valueCoding": {"code": code}}
)
PLACES = st.lists(CODES, min_size=1, max_size=2).map(
    lambda codes: {"url": BIRTH_PLACE, "valueAddress": {"city": "Clermont", "extension": codes}}
)
LISTS = st.sampled_from(["ZOE", "Pierre-Alain Gunther", "…"]).map(
    lambda text: {"extension": [{"url": BIRTH_LIST_GIVEN_NAME, "valueString": text}], "family": "A"}
)
STRANGE = st.builds(
    lambda extensions, names: patient(extension=extensions, name=names),
    st.lists(RELIABILITIES | PLACES, min_size=1, max_size=4),
    st.lists(LISTS, min_size=1, max_size=3),
)


@settings(max_examples=60, deadline=None)
@given(resource=STRANGE)
def test_and_in_whatever_a_client_may_write(resource: Json) -> None:
    for name in OURS:
        assert extracted(name, resource) == evaluated(name, resource) - {""}, name


def keys_found(of: Iterable[tuple[str, Any]], name: str) -> set[Any]:
    return {value for found, value in of if found == name}


@pytest.mark.parametrize("status", Status)
def test_the_record_s_own_status_is_found_beside_what_is_conveyed(status: Status) -> None:
    found = known(status)
    conveyed = {
        Status.PROVISOIRE: set(),  # a Patient that never used the extension
        Status.RECUPEREE: {Token(STATUSES, "PROV")},
        Status.VALIDEE: {Token(STATUSES, "VALI")},
        Status.QUALIFIEE: {Token(STATUSES, "VALI")},
    }
    keys = further_keys(forms(found.patient, found.identity, FR_CORE).conveyed, found.identity)
    assert keys_found(keys.tokens, "identity-status") == conveyed[status] | {Token(OUR_STATUSES, status.value)}


@pytest.mark.parametrize("status", Status)
def test_every_form_of_a_patient_is_found_alike(status: Status) -> None:
    found = known(status)
    made = forms(found.patient, found.identity, FR_CORE)
    keys = [further_keys(form, found.identity) for form in (made.conveyed, made.concealed, made.reference) if form]
    assert set(keys) == {keys[0]}


def test_the_call_date_is_the_server_s_own_statement() -> None:
    """A repetition of another meaning stays the client's, whatever it says of INSi."""
    claimed = {
        "url": RELIABILITY,
        "extension": [
            {"url": "methodCollection", "valueCoding": {"system": COLLECTION_METHODS, "code": "INSI"}},
            {"url": "dateCollection", "valueDate": "1999-01-01"},
            {"url": "identityStatus", "valueCoding": {"system": STATUSES, "code": "HOMD"}},
        ],
    }
    assert extracted("ins-call-date", patient(extension=[claimed])) == set()
    shown = forms(patient(extension=[claimed]), Identity(obtained=ZOE, check=CHECK), FR_CORE).conveyed
    assert extracted("ins-call-date", shown) == {span_of(date.fromisoformat(ZOE.on).isoformat())}
