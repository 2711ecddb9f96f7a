"""The simulated téléservice: what each operation answers, and that it answers as the live one writes."""

import asyncio
import time

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from insi_requests import Ask, by_traits, by_vitale, verify
from lxml import etree
from starlette.types import Receive, Scope, Send

from fhir_ins.ins.oid import InsOid
from fhir_ins.ins.traits import Traits
from fhir_ins.insi.contract import RESULT_NAMESPACE, SIRAM_NAMESPACE, VERDICT_NAMESPACE, schema
from fhir_ins.insi.port import Found
from fhir_ins.insi.reader import read
from fhir_ins.simulator.authentication import Peer
from fhir_ins.simulator.cards import CARDS
from fhir_ins.simulator.identities import PEOPLE, Person
from fhir_ins.simulator.pki import STRUCTURE
from fhir_ins.simulator.population import person
from fhir_ins.simulator.service import Teleservice, application

ORGANISATION = Peer("INSI-AUTO", (STRUCTURE,))
ECETINSI = ("ECETINSI", ("PIERRE-ALAIN",), "M", "2009-07-14")
NOBODY = ("INCONNU", ("PERSONNE",), "M", "2001-01-01")
RUTH = next(card.person for card in CARDS if card.person.given == "RUTH")
QUATRE = next(card.person for card in CARDS if card.person.given == "QUATRE")


def of(person: Person) -> Ask:
    return by_traits(person.family, tuple(person.given.split()), person.sex, person.birth_date, person.birth_place)


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: f"{person.family} {person.given}")
def test_everybody_is_found_with_all_their_numbers_and_traits(tell, person):
    answer = tell(of(person)).answer
    outcome = read(answer.body, answer.status)
    assert isinstance(outcome, Found)
    assert outcome.traits == Traits(
        person.family, tuple(person.given.split()), person.sex, person.birth_date, person.birth_place
    )
    numbers = [
        (number.matricule.number, number.matricule.key, number.oid, number.start, number.end)
        for number in (outcome.active, *outcome.history)
    ]
    assert numbers == [
        (number.number, number.key, number.oid, number.start, number.end) for number in (person.active, *person.history)
    ]


@pytest.mark.parametrize("prenoms", [("PIERRE-ALAIN MURIEL",), ("PIERRE-ALAIN", "MURIEL")])
def test_given_names_may_come_in_one_prenom_or_in_several(tell, prenoms):
    assert tell(by_traits("ECETINSI", prenoms, "M", "2009-07-14")).code == "00"


def test_leonardo_is_several_until_his_birth_place_is_given(tell):
    leonardo = ("DE VINCI", ("LEONARDO",), "M", "2014-02-01")
    assert tell(by_traits(*leonardo)).code == "02"
    assert tell(by_traits(*leonardo, "63220")).code == "00"


def test_an_answer_is_valid_and_written_as_the_live_service_writes_it(tell):
    told = tell(by_traits())
    body = told.root[0]
    result = body[0]
    assert told.answer.status == 200
    assert (told.root.prefix, body.prefix, result.prefix) == ("soap", "env", None)
    schema(RESULT_NAMESPACE).assertValid(result)
    names = {etree.QName(element).localname for element in result.iter()}
    assert not names & {"Prenom", "TypeMatricule"}


def test_a_technical_error_is_fatal_with_http_500(tell):
    told = tell(by_traits("VANDERMONDE", ("ARIANA",), "F", "1995-06-17"))
    assert (told.answer.status, told.code, told.error.get("severite")) == (500, "insi_102", "fatal")
    schema(SIRAM_NAMESPACE).assertValid(told.error)


def test_an_unknown_software_is_told_which_message_was_refused(tell):
    ask = by_traits()
    envelope = ask.envelope().replace("SIMULATEUR01", "UNKNOWN")
    told = tell(ask, envelope=envelope)
    message = etree.fromstring(envelope).findtext(".//{*}MessageID")
    assert (told.code, told.error.get("messageID")) == ("desir_550", message)


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (by_traits(family=None), "insi_19"),
        (by_traits(sex="X"), "insi_24"),
        (by_traits(birth_date=None), "A search by traits has a given name and a birth date."),
        (by_traits(given=()), "A search by traits has a given name and a birth date."),
        (by_vitale(family="DE VINCI"), "A search with a carte Vitale has MatriculeIndividu or MatriculeOD."),
        (by_vitale(RUTH.active.number + "00"), "The key of MatriculeIndividu is wrong."),
    ],
)
def test_a_missing_or_wrong_part_is_refused(tell, ask, expected):
    told = tell(ask)
    assert (told.answer.status, told.code or told.reason) == (500, expected)


@pytest.mark.parametrize(("unknown", "expected"), [("01", ["01", "01"]), ("insi_102", ["insi_102", "insi_101"])])
def test_somebody_unknown_is_answered_as_in_production_or_as_in_qualification(tell, unknown, expected):
    asks = (by_traits(*NOBODY), by_vitale("1010175056001"))
    assert [tell(ask, unknown=unknown).code for ask in asks] == expected


def test_ruth_is_found_with_her_card_and_not_by_her_traits(tell):
    assert tell(of(RUTH)).code == "insi_102"
    told = tell(by_vitale(RUTH.active.number + RUTH.active.key, RUTH.active.number, "DE VINCI", "19760714", "1"))
    assert (told.code, told.text("NumIdentifiant")) == ("00", RUTH.active.number)


def test_the_card_of_ecetinsi_is_answered_under_the_authority_of_the_nia(tell):
    assert tell(by_vitale("1090763220834")).texts("OID") == [InsOid.NIA]
    assert InsOid.NIA not in tell(by_traits(*ECETINSI)).texts("OID")


@pytest.mark.parametrize("person", [person for person in PEOPLE if person.family != "ECETINSI"], ids=lambda p: p.given)
def test_everybody_known_has_a_card(tell, person):
    assert tell(by_vitale(person.active.number)).text("NumIdentifiant") == person.active.number


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (by_vitale(None, QUATRE.active.number, None, "2015-05-05", "1"), "PREMIERE"),
        (by_vitale(None, QUATRE.active.number, None, "2015-05-05", "2"), "SECONDE"),
        (by_vitale(None, QUATRE.active.number, None, "1984-04-04", "1"), "QUATRE"),
        (by_vitale(None, QUATRE.active.number, None, "2015-05-05"), ""),
        (by_vitale(None, QUATRE.active.number, None, None, "1"), ""),
        (by_vitale(QUATRE.active.number, None, "AUTRE"), ""),
        (by_vitale(QUATRE.active.number, RUTH.active.number), ""),
        (by_vitale(QUATRE.active.number, None, None, "1984-04-05"), ""),
    ],
)
def test_twins_on_one_card_are_told_apart_by_their_rank_and_what_is_said_must_agree(tell, ask, expected):
    told = tell(ask)
    assert (told.code, told.text("ListePrenom")) == ("00" if expected else "01", expected)


def test_a_verification_judges_every_element_that_was_sent(tell):
    told = tell(
        verify(
            "275126322074974",
            InsOid.NIR,
            NomNaissance="ADRUN",
            Prenom="ZOE",
            ListePrenom="ZOE",
            Sexe="F",
            DateNaissance="1975-12-31",
            LieuNaissance="63220",
        )
    )
    schema(VERDICT_NAMESPACE).assertValid(told.root[0][0])
    assert (told.code, set(told.texts("Concordance"))) == ("00", {"OK"})
    assert told.texts("Nom") == [
        *("NumIdentifiant", "Cle", "OID", "NomNaissance", "Prenom", "ListePrenom", "Sexe", "DateNaissance"),
        "LieuNaissance",
    ]


@pytest.mark.parametrize(
    ("ask", "wrong"),
    [
        (verify("275126322074974", InsOid.NIR, NomNaissance="ADRDEUX", Sexe="F"), ["NomNaissance"]),
        (verify("275126322074974", InsOid.NIA, NomNaissance="ADRUN", Prenom="ANNE"), ["OID", "Prenom"]),
        (verify("275126322074900", InsOid.NIR, NomNaissance="ADRUN"), ["Cle"]),
        (verify("209076322083439", InsOid.NIR, NomNaissance="ECETINSI"), ["NumIdentifiant", "Cle"]),
    ],
)
def test_one_element_that_is_not_theirs_makes_a_verification_ko(tell, ask, wrong):
    told = tell(ask)
    whole, *each = told.texts("Concordance")
    assert whole == "KO"
    assert [name for name, word in zip(told.texts("Nom"), each, strict=True) if word == "KO"] == wrong


def test_a_verification_of_an_ins_nobody_has_finds_nobody(tell):
    told = tell(verify("101017505600193", InsOid.NIR, NomNaissance="ADRUN"))
    schema(VERDICT_NAMESPACE).assertValid(told.root[0][0])
    assert told.code == "01"


@pytest.mark.parametrize(
    ("case", "history"),
    [("2.04-c1", ["2090763220834"]), ("2.04-c2", ["2090763220834", "2090663220123"])],
)
def test_an_injected_case_stands_in_for_the_usual_answer(tell, case, history):
    assert tell(by_traits(*ECETINSI), inject=case).texts("NumIdentifiant")[1:] == history
    assert tell(by_traits(), inject=case).text("NumIdentifiant") == "2751263220749"


def test_the_2022_edition_of_2_08_has_a_wrong_key(tell):
    hermann = by_traits("HERMANN", ("GATIEN",), "M", "1981-03-24")
    assert [tell(hermann, inject=case).texts("Cle")[0] for case in ("2.08-c2", "2.08-c2-2022")] == ["76", "60"]


@settings(deadline=None)
@given(st.binary(), st.text())
def test_no_bytes_make_the_service_raise(body, content_type):
    assert Teleservice().answer(body, content_type, None).status == 500


async def test_a_thousand_are_served_while_all_of_them_wait(teleservice):
    served = application(teleservice)

    async def by_an_organisation(scope: Scope, receive: Receive, send: Send) -> None:
        await served({**scope, "state": {"peer": ORGANISATION}}, receive, send)

    people = [person(index) for index in range(1000)]
    asks = [of(each) for each in people]
    began = time.monotonic()
    transport = httpx.ASGITransport(by_an_organisation)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        found = await asyncio.gather(
            *(
                client.post("/lps?delay=0.3", content=ask.envelope(), headers={"Content-Type": ask.content_type})
                for ask in asks
            )
        )
    assert all(each.active.number in answer.text for each, answer in zip(people, found, strict=True))
    assert time.monotonic() - began < 1000 * 0.3 / 10
