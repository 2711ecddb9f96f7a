"""The published answers of the live service and of the CNDA, and the published contract: a second oracle."""

from pathlib import Path

import pytest
from lxml import etree

from fhir_ins.insi.contract import RESULT_NAMESPACE, TRAITS_NAMESPACE, schema
from fhir_ins.insi.port import Call, Found
from fhir_ins.insi.reader import read

EXPECTED = {
    "REP_CR01.xml": ("01", []),
    "TEST_2.04_cas2.xml": ("00", ["109076322083489", "209076322083439", "209066322012355"]),
    "TEST_2.05.xml": ("00", ["109076322088835"]),
    "TEST_2.08_cas1.xml": ("00", ["180032B02040123", "180032B02040123"]),
    "TEST_2.08_cas2.xml": ("00", ["181036322045660", "181036322045660", "281036322045610"]),
    "fault_siram100_desir550_live.xml": ("desir_550", []),
    "fault_siram40_insi102_live.xml": ("insi_102", []),
    "response_CR00_adrtrois_dominique_live.xml": ("00", ["297022A02077878"]),
    "response_CR00_adrtrois_toussaint_live.xml": ("00", ["160012B02077713"]),
    "response_CR00_ecetinsi_cnda_injected.xml": (
        "00",
        ["109076322083489", "209076322083439", "209066322012355"],
    ),
    "response_CR00_ecetinsi_live.xml": ("00", ["109076322083489", "209076322083439"]),
    "response_CR00_tchitchi_catarina_live.xml": ("00", ["236066322083656"]),
    "response_CR02_live.xml": ("02", []),
}
NOT_ANSWERS = {
    "AssertionPS_cps_test_card.xml",
    "request_cpx_with_AssertionPS.xml",
    "request_mtls_no_security.xml",
}
SAME_VERDICT = ["REP_CR01.xml", "TEST_2.04_cas2.xml", "TEST_2.05.xml", "response_CR00_ecetinsi_live.xml"]


@pytest.mark.parametrize("file", EXPECTED)
def test_a_published_answer_is_read_as_its_publishers_read_it(published: Path, file):
    outcome = read((published / "fixtures" / file).read_bytes(), 200)
    found = [outcome.active, *outcome.history] if isinstance(outcome, Found) else []
    assert (Call("", "", outcome).code, [str(number.matricule) for number in found]) == EXPECTED[file]


@pytest.mark.parametrize("file", sorted(NOT_ANSWERS))
def test_a_published_document_that_is_no_answer_is_unreachable(published: Path, file):
    outcome = read((published / "fixtures" / file).read_bytes(), 200)
    assert Call("", "", outcome).code == "unreachable"


def test_every_published_file_is_looked_at(published: Path):
    assert {file.name for file in (published / "fixtures").glob("*.xml")} == NOT_ANSWERS | EXPECTED.keys()


@pytest.mark.parametrize("file", SAME_VERDICT)
def test_our_schema_judges_an_answer_as_the_published_one_does(published: Path, file):
    result = next(etree.parse(published / "fixtures" / file).iter(f"{{{RESULT_NAMESPACE}}}RESULTAT"))
    official = published / "contract/xsd/ServiceIdentiteCertifiee/INSi_RESULTAT_INS.xsd"
    verdict = etree.XMLSchema(etree.parse(official)).validate(result)
    assert schema(RESULT_NAMESPACE).validate(result) is verdict


def test_our_schema_takes_the_published_request(published: Path):
    request = etree.parse(published / "fixtures" / "request_mtls_no_security.xml")
    schema(TRAITS_NAMESPACE).assertValid(next(request.iter(f"{{{TRAITS_NAMESPACE}}}RECSANSVITALE")))
