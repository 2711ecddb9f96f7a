"""The simulated téléservice: what it accepts, and that it answers as the live one writes."""

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from fhir_ins.ins.traits import Traits
from fhir_ins.insi.contract import RESULT_NAMESPACE, SIRAM_NAMESPACE, SOAP_NAMESPACE, schema
from fhir_ins.insi.envelope import CallingSoftware, RequestBuilder, RequestIds
from fhir_ins.insi.port import Call, Found
from fhir_ins.insi.reader import read
from fhir_ins.simulator.identities import PEOPLE
from fhir_ins.simulator.service import DEFAULT_IDAM, Answer, answer_to

MEDIA_TYPE = "application/soap+xml; charset=utf-8"
MESSAGE = UUID("6a3c7f5e-0d2b-4c55-9a41-3f0c2b1d7e90")
BUILDER = RequestBuilder(CallingSoftware(DEFAULT_IDAM, "fhir-ins", "0.1.0", "instance-1", "10B0999901"))
ZOE = Traits("ADRUN", ("ZOE",), "F", "1975-12-31", None)


def request(traits: Traits = ZOE, *prenoms: str) -> str:
    ids = RequestIds(MESSAGE, UUID(int=2), UUID(int=3), datetime(2026, 1, 1, tzinfo=UTC))
    return BUILDER.search_by_traits(traits, prenoms or traits.given, ids).decode()


def ask(envelope: str) -> Answer:
    return answer_to(envelope.encode(), MEDIA_TYPE)


def code(answer: Answer) -> str:
    return Call("", "", read(answer.body, answer.status)).code


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: f"{person.family} {person.given}")
def test_everybody_is_found_with_all_their_numbers_and_traits(person):
    given_names = tuple(person.given.split())
    traits = Traits(person.family, given_names, person.sex, person.birth_date, person.birth_place)
    answer = ask(request(traits))
    outcome = read(answer.body, answer.status)
    assert isinstance(outcome, Found)
    assert outcome.traits == traits
    numbers = [
        (number.matricule.number, number.matricule.key, number.oid, number.start, number.end)
        for number in (outcome.active, *outcome.history)
    ]
    assert numbers == [
        (number.number, number.key, number.oid, number.start, number.end) for number in (person.active, *person.history)
    ]


@pytest.mark.parametrize("prenoms", [("PIERRE-ALAIN MURIEL",), ("PIERRE-ALAIN", "MURIEL")])
def test_given_names_may_come_in_one_prenom_or_in_several(prenoms):
    ecetinsi = Traits("ECETINSI", (), "M", "2009-07-14", None)
    assert code(ask(request(ecetinsi, *prenoms))) == "00"


def test_leonardo_is_several_until_his_birth_place_is_given():
    leonardo = Traits("DE VINCI", ("LEONARDO",), "M", "2014-02-01", None)
    assert code(ask(request(leonardo))) == "02"
    born = Traits("DE VINCI", ("LEONARDO",), "M", "2014-02-01", "63220")
    assert code(ask(request(born))) == "00"


def test_an_answer_is_valid_and_written_as_the_live_service_writes_it():
    answer = ask(request())
    root = etree.fromstring(answer.body)
    body = root[0]
    result = body[0]
    assert answer.status == 200
    assert (root.prefix, body.prefix, result.prefix) == ("soap", "env", None)
    schema(RESULT_NAMESPACE).assertValid(result)
    names = {etree.QName(element).localname for element in result.iter()}
    assert not names & {"Prenom", "TypeMatricule"}


def test_a_technical_error_is_fatal_with_http_500():
    answer = ask(request(Traits("VANDERMONDE", ("ARIANA",), "F", "1995-06-17", None)))
    error = next(etree.fromstring(answer.body).iter(f"{{{SIRAM_NAMESPACE}}}Erreur"))
    assert (answer.status, error.get("code"), error.get("severite")) == (500, "insi_102", "fatal")
    schema(SIRAM_NAMESPACE).assertValid(error)


def test_an_unknown_software_is_told_which_message_was_refused():
    answer = ask(request().replace(DEFAULT_IDAM, "UNKNOWN"))
    error = next(etree.fromstring(answer.body).iter(f"{{{SIRAM_NAMESPACE}}}Erreur"))
    assert (error.get("code"), error.get("messageID")) == ("desir_550", f"uuid:{MESSAGE}")


@pytest.mark.parametrize(
    ("traits", "expected"),
    [
        (Traits(None, ("ZOE",), "F", "1975-12-31", None), "insi_19"),
        (Traits("ADRUN", ("ZOE",), "X", "1975-12-31", None), "insi_24"),
        (Traits("ADRUN", ("ZOE",), "F", None, None), "unreachable"),
        (Traits("ADRUN", (), "F", "1975-12-31", None), "unreachable"),
    ],
)
def test_a_missing_or_wrong_trait_is_refused(traits, expected):
    answer = ask(request(traits))
    assert (answer.status, code(answer)) == (500, expected)


@pytest.mark.parametrize(
    ("pattern", "replacement", "complaint"),
    [
        (r"<wsa:Action>.*</wsa:Action>", "", "one valid Action"),
        (r"<wsa:Action>urn", "<wsa:Action>xrn", "a wsa:Action it does not know"),
        (r"<wsa:MessageID>uuid:", "<wsa:MessageID>", "a wsa:MessageID"),
        (r"<ctxbam:ContexteBAM .*</ctxbam:ContexteBAM>", "", "one valid ContexteBAM"),
        (r"<ctxbam:COUVERTURE/>", "", "one valid ContexteBAM"),
        (r"<ctxlps:Temps>[^<]*", "<ctxlps:Temps>yesterday", "one valid ContexteLPS"),
        (r"(<insi:NomNaissance>.*)(<insi:Sexe>F</insi:Sexe>)", r"\2\1", "not a valid RECSANSVITALE"),
        (r"<insi:RECSANSVITALE>.*</insi:RECSANSVITALE>", "", "not a valid RECSANSVITALE"),
        (re.escape(SOAP_NAMESPACE), "http://schemas.xmlsoap.org/soap/envelope/", "SOAP 1.2 envelope"),
        (r"^<\?xml[^>]*>", "<!DOCTYPE a>", "a DTD"),
    ],
)
def test_a_request_that_breaks_the_contract_is_refused(pattern, replacement, complaint):
    broken = re.sub(pattern, replacement, request(), count=0, flags=re.DOTALL)
    assert broken != request()
    answer = ask(broken)
    assert answer.status == 500
    assert complaint in answer.body.decode()


def test_another_media_type_is_refused():
    assert answer_to(request().encode(), "text/xml").status == 500


@settings(deadline=None)
@given(st.binary())
def test_no_bytes_make_the_service_raise(body):
    assert answer_to(body, MEDIA_TYPE).status == 500
