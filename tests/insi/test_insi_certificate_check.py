"""What an operator is told of a certificate, and of one call made with it."""

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from authority import NOW, Authority, Issued
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from fhir_ins.insi.certificate import ClientCertificate, load_certificate
from fhir_ins.insi.certificate_call import examine_call
from fhir_ins.insi.certificate_check import Finding, Level, examine, examine_chain, examine_endpoint
from fhir_ins.insi.port import Requester
from fhir_ins.simulator.pki import ensure_pki

ANSWERS = Path(__file__).parent / "answers"
TEST, PRODUCTION = Authority(), Authority("AC IGC-SANTE ELEMENTAIRE ORGANISATIONS")
ROOT = Authority("AC RACINE IGC-SANTE ELEMENTAIRE")
BELOW = Authority("AC IGC-SANTE ELEMENTAIRE ORGANISATIONS", above=ROOT)


def usages(*, signs: bool = True, purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH):
    usage = x509.KeyUsage(signs, False, not signs, False, False, False, False, False, False)
    return {"extensions": (usage, x509.ExtendedKeyUsage([purpose]))}


def odd(issued: Issued) -> list[Finding]:
    return [finding for finding in examine(issued.client, NOW) if finding.level is not Level.OK]


@pytest.mark.parametrize("authority", [TEST, PRODUCTION])
@pytest.mark.parametrize("differences", [{}, usages(), {"common_name": "INSI-MANU"}])
def test_a_good_certificate_has_only_good_findings(authority: Authority, differences):
    assert odd(authority.issue(**differences)) == []


RSA_SHORT, RSA = rsa.generate_private_key(65537, 1024), rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    ("differences", "about", "text"),
    [
        ({"common_name": "insi-auto"}, "name (CN)", "It is “insi-auto”, nearly INSI-AUTO"),
        ({"common_name": "INSI AUTO"}, "name (CN)", "nearly INSI-AUTO"),
        ({"common_name": "INSI_MANU"}, "name (CN)", "nearly INSI-MANU"),
        ({"common_name": "INSI–MANU"}, "name (CN)", "nearly INSI-MANU"),
        ({"common_name": "INSI-AUTO "}, "name (CN)", "nearly INSI-AUTO"),
        ({"common_name": "www.chu.example"}, "name (CN)", "answers DESIR_560 to any other"),
        ({"unit": None}, "structure (OU)", "FHIR_INS_INSI_EMETTEUR"),
        ({"days": 0.5}, "validity", "0 days ago"),
        ({"start": NOW - timedelta(days=13), "days": 10}, "validity", "3 days ago"),
        ({"start": NOW + timedelta(days=2)}, "validity", "is valid from"),
        ({"key": RSA_SHORT}, "key", "RSA, 1024 bits: too short, 2048 at least"),
        ({"key": ec.generate_private_key(ec.SECP192R1())}, "key", "elliptic curve secp192r1: too short"),
        ({"key": dsa.generate_private_key(2048)}, "key", "neither RSA nor elliptic curve"),
        (usages(signs=False), "key usage", "lacks digital signature"),
        (usages(purpose=ExtendedKeyUsageOID.SERVER_AUTH), "extended usage", "lacks client authentication"),
    ],
)
def test_each_fault_of_a_certificate_is_found_alone_and_told_plainly(differences, about, text):
    (finding,) = odd(TEST.issue(**differences))
    assert (finding.level, finding.about) == (Level.BAD, about)
    assert text in finding.text


@pytest.mark.skipif(shutil.which("openssl") is None, reason="cryptography does not sign with SHA-1")
def test_a_broken_signature_is_told(tmp_path: Path):
    file = tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-sha1", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=INSI-AUTO"]
    subprocess.run([*command, "-keyout", tmp_path / "key.pem", "-out", file], check=True, capture_output=True)
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    assert any("signed with SHA1, which is broken" in finding.text for finding in odd(Issued(RSA, certificate)))


def test_a_certificate_of_another_authority_is_told():
    (finding,) = odd(Authority("Let's Encrypt").issue())
    assert finding.level is Level.BAD
    assert "not an authority of the IGC-Santé" in finding.text
    (finding,) = odd(Authority("TEST AC IGC-SANTE FORT ORGANISATIONS").issue())
    assert finding.level is Level.NOTE
    assert "come from TEST AC IGC-SANTE ELEMENTAIRE ORGANISATIONS" in finding.text


def test_a_certificate_that_ends_soon_is_noted():
    (finding,) = odd(TEST.issue(days=31))
    assert (finding.level, finding.about) == (Level.NOTE, "validity")
    assert "30 days left: renew it now" in finding.text


def test_the_chain_leads_to_the_root_from_file_and_trust_together():
    issued = BELOW.issue()
    client = ClientCertificate(issued.key, issued.certificate, (BELOW.certificate,))
    found = examine_chain(client, (ROOT.certificate,))
    assert found.level is Level.OK
    assert "AC IGC-SANTE ELEMENTAIRE ORGANISATIONS, then AC RACINE IGC-SANTE ELEMENTAIRE" in found.text
    cut = examine_chain(client, ())
    assert cut.level is Level.NOTE
    assert "AC RACINE IGC-SANTE ELEMENTAIRE, which issued AC IGC-SANTE ELEMENTAIRE ORGANISATIONS" in cut.text
    assert "http://igc-sante.esante.gouv.fr/PC/" in cut.text


def test_a_link_that_is_missing_at_the_start_or_another_key_of_its_name_is_told():
    client = BELOW.issue().client
    assert "which issued the certificate, is neither" in examine_chain(client, (ROOT.certificate,)).text
    wrong = examine_chain(client, (PRODUCTION.certificate,))
    assert (wrong.level, "it has another key" in wrong.text) == (Level.BAD, True)
    assert "Ask who issued it" in examine_chain(Authority("Other").issue().client, ()).text


def told(authority: Authority, endpoint: str | None, *, trust: bool = True) -> list[tuple[str, str]]:
    return [
        (finding.level.value, finding.text)
        for finding in examine_endpoint(authority.issue().client, endpoint, trust=trust)
    ]


@pytest.mark.parametrize(
    ("authority", "endpoint", "level", "text"),
    [
        (TEST, "https://qualiflps-services-ps-tlsm.ameli.fr:443/lps", "ok", "over mTLS in the test environment"),
        (PRODUCTION, "https://services-ps-tlsm.ameli.fr/lps", "ok", "over mTLS in production"),
        (TEST, "https://services-ps-tlsm.ameli.fr/lps", "BAD", "it goes with qualiflps-services-ps-tlsm.ameli.fr"),
        (PRODUCTION, "https://qualiflps-services-ps-tlsm.ameli.fr/lps", "BAD", "goes with services-ps-tlsm.ameli.fr"),
        (TEST, "https://qualiflps.services-ps.ameli.fr/lps", "BAD", "is for professionals' cards (CPx)"),
        (PRODUCTION, "https://services-ps.ameli.fr/lps", "BAD", "certificate it is services-ps-tlsm.ameli.fr"),
        (TEST, "https://localhost:8443/lps", "note", "no host of INSi, neither of test nor of production"),
        (TEST, "http://localhost:8443/lps", "BAD", "not an https:// address"),
        (TEST, None, "note", "this certificate goes with https://qualiflps-services-ps-tlsm.ameli.fr/lps"),
        (PRODUCTION, None, "note", "this certificate goes with https://services-ps-tlsm.ameli.fr/lps"),
    ],
)
def test_the_certificate_goes_with_the_endpoint_or_not(authority, endpoint, level, text):
    ((found, words),) = told(authority, endpoint)
    assert (found, text in words) == (level, True), words


def test_a_host_of_insi_needs_a_trust_file_and_its_path():
    levels = told(TEST, "https://qualiflps-services-ps-tlsm.ameli.fr/", trust=False)
    assert [level for level, _ in levels] == ["ok", "note", "BAD"]
    assert "INSi is at /lps" in levels[1][1]
    assert "AC RACINE IGC-SANTE ELEMENTAIRE" in levels[2][1]
    assert len(told(TEST, "https://localhost/insi", trust=False)) == 1


WHO = Requester("tests", "check-certificate")


async def test_a_call_that_finds_says_that_all_is_well(connect):
    finding = await examine_call(connect(), WHO)
    assert finding.level is Level.OK
    assert "finds ADRUN ZOE" in finding.text
    assert "Message uuid:" in finding.text


@pytest.mark.parametrize(
    ("status", "answer", "level", "text"),
    [
        (200, "nobody.xml", "ok", "compte rendu 01, as is normal in production"),
        (200, "several.xml", "ok", "compte rendu 02"),
        (500, "fault_access_upper_case.xml", "BAD", "CN of the certificate is not exactly INSI-AUTO or INSI-MANU"),
        (500, "fault_unknown_software.xml", "BAD", "check FHIR_INS_INSI_IDAM"),
        (500, "fault_receiver_fatal.xml", "note", "but its search fails at this time"),
        (500, "fault_name_missing.xml", "BAD", "INSi refuses"),
        (503, "html_503.html", "BAD", "HTTP 503 with an HTML page"),
    ],
)
async def test_every_answer_to_the_call_is_told_with_what_to_do(wire, connect, status, answer, level, text):
    endpoint = wire.answers(status, (ANSWERS / answer).read_bytes())
    finding = await examine_call(connect(endpoint=endpoint), WHO)
    assert (finding.level.value, finding.about) == (level, "call")
    assert text in finding.text
    assert "Message uuid:" in finding.text


async def test_a_refused_certificate_and_a_host_that_is_away_are_told(wire, connect, tmp_path: Path):
    pki = ensure_pki(tmp_path)
    endpoint = wire.answers(200, b"")
    foreign = load_certificate(pki.client, pki.passphrase)
    refused = await examine_call(connect(endpoint=endpoint, certificate=foreign), WHO)
    assert refused.level is Level.BAD
    assert "refused our client certificate" in refused.text
    wire.stop()
    away = await examine_call(connect(endpoint=endpoint), WHO)
    assert away.level is Level.BAD
    assert "cannot be reached" in away.text
    assert "the firewall" in away.text
