"""Reading what INSi answers, one file for each liberty the wire takes."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_ins.ins.oid import InsOid
from fhir_ins.ins.traits import Traits
from fhir_ins.insi.contract.documents import LARGEST
from fhir_ins.insi.port import Fault, FaultKind, Found, NoIdentity, SeveralIdentities
from fhir_ins.insi.reader import read

ANSWERS = Path(__file__).parent / "answers"
FOUND = sorted(file.name for file in ANSWERS.glob("found_*.xml"))

ZOE = Traits("ADRUN", ("ZOE",), "F", "1975-12-31", "63220")


def answer(name: str, status: int = 200):
    return read((ANSWERS / name).read_bytes(), status)


def numbers(found: Found) -> list[str]:
    return [str(number.matricule) for number in (found.active, *found.history)]


@pytest.mark.parametrize(
    ("file", "matricule", "traits"),
    [
        ("found_env_body.xml", "275126322074974", ZOE),
        (
            "found_s_body.xml",
            "160012B02077713",
            Traits("ADRTROIS", ("TOUSSAINT",), "M", "1960-01-01", "2B020"),
        ),
        (
            "found_soap_body.xml",
            "101066322075460",
            Traits("D'ARTAGNAN DE L'HERAULT", ("PIERRE-ALAIN", "GUNTHER"), "M", "2001-06-17", "63220"),
        ),
        ("found_ns2.xml", "297022A02077878", Traits("ADRTROIS", ("DOMINIQUE",), "F", "1997-02-26", "2A020")),
        ("found_comments.xml", "275126322074974", ZOE),
        ("found_no_key.xml", "275126322074974", ZOE),
        (
            "found_no_birth_place.xml",
            "275126322074974",
            Traits("ADRUN", ("ZOE",), "F", "1975-12-31", None),
        ),
        ("found_lunar_date.xml", "275126322074974", Traits("ADRUN", ("ZOE",), "F", "1975-00-00", "63220")),
        (
            "found_nia_prenom_only.xml",
            "109076322088835",
            Traits("PROVISOIRE", ("MATRICULE",), "M", "2009-07-01", "63220"),
        ),
    ],
)
def test_an_identity_is_read_whatever_the_prefixes_and_the_missing_parts(file, matricule, traits):
    found = answer(file)
    assert isinstance(found, Found)
    assert numbers(found) == [matricule]
    assert found.traits == traits
    assert found.warnings == ()


ENVELOPE = (ANSWERS / "found_env_body.xml").read_bytes()


@pytest.mark.parametrize(
    "liberty",
    [
        lambda body: b"\xef\xbb\xbf" + body,
        lambda body: b"\n \t\r\n" + body,
        lambda body: b"\xef\xbb\xbf\n" + body + b"\n\n",
        lambda body: body.decode().replace('encoding="UTF-8"', "").encode("utf-16"),
        lambda body: body.replace(b"soap:", b"SOAP-ENV:").replace(b":soap=", b":SOAP-ENV="),
        lambda body: body.replace(b"<RESULTAT xmlns=", b"<RESULTAT xmlns:x='urn:other' xmlns="),
        lambda body: body.replace(b"<TIQ>", b"<TIQ><!-- traits -->"),
        lambda body: body.replace(b"<NomNaissance>ADRUN", b"<NomNaissance><![CDATA[ADRUN]]>"),
    ],
    ids=["BOM", "white space", "both", "UTF-16", "SOAP-ENV", "declarations", "comment", "CDATA"],
)
def test_an_identity_is_read_however_the_document_is_written(liberty):
    assert liberty(ENVELOPE) != ENVELOPE
    assert read(liberty(ENVELOPE), 200) == read(ENVELOPE, 200)
    assert read(ENVELOPE, 200).traits == ZOE


def test_every_prefix_may_be_another():
    body = re.sub(rb"<(/?)(CR|CodeCR|LibelleCR|INDIVIDU|RESULTAT)>", rb"<\1any:\2>", ENVELOPE)
    body = body.replace(b"<RESULTAT ", b'<any:RESULTAT xmlns:any="http://www.cnamts.fr/INSiResultat" ')
    assert b"<any:INDIVIDU>" in body
    assert read(body, 200) == read(ENVELOPE, 200)


def test_a_matricule_is_found_only_in_its_own_namespace():
    body = ENVELOPE.replace(b"INSiResultat", b"INSiAutre")
    assert read(body, 200).text == "INSi answered HTTP 200 with an envelope that holds neither RESULTAT nor a fault."


def test_an_identity_that_comes_with_an_error_status_is_kept_with_a_warning():
    found = answer("found_env_body.xml", 500)
    assert found.traits == ZOE
    assert found.warnings == ("The identity came with HTTP 500.",)


def test_the_authority_is_the_one_the_answer_names():
    assert answer("found_nia_prenom_only.xml").active.oid == InsOid.NIA


@pytest.mark.parametrize(
    ("file", "history"),
    [
        ("found_history_reversed_dates.xml", [("209076322083439", "2019-03-01", "2019-02-28")]),
        (
            "found_history_dates_first.xml",
            [("209076322083439", "2019-03-01", "2019-02-28"), ("209066322012355", None, None)],
        ),
        ("found_history_repeats_active.xml", [("180032B02040123", None, None)]),
        ("found_history_no_matricule.xml", []),
    ],
)
def test_the_history_is_kept_as_received(file, history):
    found = answer(file)
    assert [(str(former.matricule), former.start, former.end) for former in found.history] == history


@pytest.mark.parametrize(
    ("file", "warning"),
    [
        ("found_wrong_keys.xml", "The key of matricule …45660 is wrong: 76 was expected."),
        ("found_wrong_keys.xml", "The key of matricule …45610 is wrong: 26 was expected."),
        ("found_history_dates_first.xml", "DateDeb is not where the contract places it, or lacks a part."),
        ("found_history_no_matricule.xml", "An INSHISTO without a matricule was left out."),
        ("found_foreign_oid.xml", "The OID of matricule …74974 is not an authority of the INS."),
        ("found_bad_number.xml", "NumIdentifiant has not the form the contract gives it."),
        ("found_bad_number.xml", "Matricule …74974 has not the form of a NIR or NIA."),
    ],
)
def test_what_breaks_the_contract_is_a_warning_and_never_loses_the_matricule(file, warning):
    found = answer(file)
    assert isinstance(found, Found)
    assert warning in found.warnings


@pytest.mark.parametrize("file", FOUND)
def test_warnings_carry_neither_a_matricule_nor_a_name(file):
    found = answer(file)
    told = " ".join(found.warnings)
    assert not any(number.matricule.number in told for number in (found.active, *found.history))
    assert not any(name in told for name in (found.traits.family, *found.traits.given))


def test_compte_rendu_01_and_02_are_answers():
    assert answer("nobody.xml") == NoIdentity()
    assert answer("several.xml") == SeveralIdentities()


@pytest.mark.parametrize(
    ("file", "kind", "siram", "code", "severity", "text"),
    [
        (
            "fault_receiver_fatal.xml",
            FaultKind.TRANSIENT,
            "siram_40",
            "insi_102",
            "fatal",
            "La recherche a échoué.",
        ),
        (
            "fault_receiver_fatale.xml",
            FaultKind.TRANSIENT,
            "siram_40",
            "insi_111",
            "fatale",
            "Indisponibilité des téléservices",
        ),
        (
            "fault_unknown_software.xml",
            FaultKind.CONFIGURATION,
            "siram_100",
            "desir_550",
            "erreur",
            "Numéro d'autorisation du logiciel inconnu.",
        ),
        (
            "fault_access_upper_case.xml",
            FaultKind.CONFIGURATION,
            "siram_100",
            "DESIR_560",
            "erreur",
            "Niveau d'accès insuffisant",
        ),
        (
            "fault_name_missing.xml",
            FaultKind.REQUEST,
            "siram_10",
            "insi_19",
            "erreur",
            "Le champ nom de naissance est obligatoire",
        ),
        ("fault_no_detail.xml", FaultKind.TRANSIENT, None, None, None, "Le service est fermé."),
        ("fault_other_detail.xml", FaultKind.TRANSIENT, "siram_40", None, None, "Le service est fermé."),
    ],
)
@pytest.mark.parametrize("status", [500, 200])
def test_a_fault_is_data_with_its_codes_and_its_french_text(file, kind, siram, code, severity, text, status):
    said = replace(answer(file, status), message_id=None)
    assert said == Fault(kind, text, siram, code, severity, retryable=kind is FaultKind.TRANSIENT)


@pytest.mark.parametrize(
    ("file", "instead"),
    [
        ("empty.xml", "an empty body"),
        ("html_503.html", "an HTML page"),
        ("xhtml_503.html", "an XML document that is not a SOAP 1.2 envelope"),
        ("soap_1_1.xml", "an XML document that is not a SOAP 1.2 envelope"),
        ("truncated.xml", "XML that is malformed or breaks off"),
        ("not_xml.txt", "something that is not XML"),
        ("entity.xml", "a document with a DTD, which is refused"),
        ("unusable_empty_body.xml", "an envelope that holds neither RESULTAT nor a fault"),
        ("unusable_code.xml", "a RESULTAT whose CodeCR is unknown or missing"),
        ("unusable_no_code.xml", "a RESULTAT whose CodeCR is unknown or missing"),
        ("unusable_no_person.xml", "an unusable answer: INDIVIDU is missing"),
        ("unusable_no_number.xml", "an unusable answer: NumIdentifiant is missing"),
        ("unusable_no_oid.xml", "an unusable answer: the OID of INSACTIF is missing"),
        ("unusable_no_name.xml", "an unusable answer: NomNaissance is missing"),
        ("unusable_two_actives.xml", "an unusable answer: INSACTIF is there more than once"),
        ("unusable_two_people.xml", "an unusable answer: INDIVIDU is there more than once"),
    ],
)
def test_anything_else_is_a_transient_fault_that_says_what_came(file, instead):
    assert answer(file, 503) == Fault(FaultKind.TRANSIENT, f"INSi answered HTTP 503 with {instead}.", retryable=True)


def test_an_oversized_answer_is_not_parsed():
    outcome = read(b"<a>" + b" " * LARGEST, 200)
    assert outcome == Fault(
        FaultKind.TRANSIENT, f"INSi answered HTTP 200 with more than {LARGEST} bytes.", retryable=True
    )


@settings(deadline=None)
@given(st.binary())
def test_no_bytes_make_the_reader_raise(body):
    assert isinstance(read(body, 200), Fault)


@given(st.sampled_from(sorted(ANSWERS.iterdir())), st.integers(0, 2000), st.binary(max_size=6), st.integers(0, 9))
def test_no_damage_to_an_answer_makes_the_reader_raise(file, place, inserted, removed):
    body = file.read_bytes()
    assert read(body[:place] + inserted + body[place + removed :], 200) is not None


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        (b"insi_102", "insi_102"),
        (b" insi_102 ", "insi_102"),
        (b"MARTIN JEANNE 275126322074974", None),
        (b"insi_102" + b"x" * 300, None),
        (b"", None),
    ],
)
def test_a_code_that_has_no_form_of_one_is_none(code: bytes, kept: str | None) -> None:
    body = (ANSWERS / "fault_receiver_fatal.xml").read_bytes()
    assert b'code="insi_102"' in body
    said = read(body.replace(b'code="insi_102"', b'code="' + code + b'"'), 500)
    assert isinstance(said, Fault)
    assert said.code == kept
