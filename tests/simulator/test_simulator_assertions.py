"""Signed assertions: a right one is taken, and every way to be wrong is told."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import NoEncryption, load_pem_private_key, pkcs12
from insi_requests import Ask, by_traits, by_vitale
from lxml import etree

from fhir_ins.insi.contract.documents import parse
from fhir_ins.simulator.assertions import judge, signer_of
from fhir_ins.simulator.authentication import Peer
from fhir_ins.simulator.card_reader import Card
from fhir_ins.simulator.pki import PROFESSIONAL, STRUCTURE, Pki, ensure_pki, issue_card, trusted_authorities
from fhir_ins.simulator.refusal import Refused

RUTH = "2760763220835"


def now() -> datetime:
    return datetime.now(UTC)


def by_professional(assertion: bytes, *more: bytes) -> Ask:
    return by_traits().by(PROFESSIONAL, assertion, *more)


def test_the_assertion_of_a_test_card_is_signed_right(published: Path):
    for file, element in (("AssertionPS_cps_test_card.xml", "."), ("request_cpx_with_AssertionPS.xml", ".//")):
        root = parse((published / "fixtures" / file).read_bytes())
        assertion = root if element == "." else root.find(".//{*}Assertion")
        assert "00B6087510" in signer_of(assertion).subject.rfc4514_string()


@pytest.mark.parametrize("old", ["OLIVIER", "SA05", "2022-04-12", "123456789"])
def test_the_assertion_of_a_test_card_that_was_changed_is_not(published: Path, old):
    text = (published / "fixtures" / "AssertionPS_cps_test_card.xml").read_text()
    with pytest.raises(Refused, match="digest"):
        signer_of(etree.fromstring(text.replace(old, old[::-1])))


def test_no_authority_of_the_simulator_issued_the_test_card(published: Path, pki: Pki):
    assertion = parse((published / "fixtures" / "AssertionPS_cps_test_card.xml").read_bytes())
    with pytest.raises(Refused, match="no authority"):
        judge(assertion, trusted_authorities(pki), datetime(2022, 4, 12, 15, 10, tzinfo=UTC))


@pytest.mark.parametrize("peer", [None, Peer("ANYBODY", ("OTHER",)), Peer("INSI-AUTO", (STRUCTURE,))])
def test_with_an_assertion_the_certificate_does_not_matter(tell, card: Card, peer):
    assert tell(by_professional(card.professional(now())), peer).code == "00"


def test_the_emetteur_is_then_the_name_of_the_professional(tell, card: Card):
    told = tell(by_traits().by(STRUCTURE, card.professional(now())))
    assert "The Emetteur of both contexts" in told.reason


def test_an_empty_security_header_is_none(tell):
    assert tell(by_traits().by(STRUCTURE)).code == "00"
    assert "neither" in tell(by_traits().by(STRUCTURE), None).reason


@pytest.mark.parametrize(
    ("minutes", "complaint"), [(0, ""), (59, ""), (61, "older than 60 minutes"), (-4, ""), (-6, "in the future")]
)
def test_an_assertion_ps_lasts_an_hour(tell, card: Card, minutes, complaint):
    told = tell(by_professional(card.professional(now() - timedelta(minutes=minutes))), None)
    assert (told.code == "00") == (not complaint)
    assert complaint in told.reason


@pytest.mark.parametrize(("minutes", "complaint"), [(19, ""), (21, "older than 20 minutes"), (-6, "in the future")])
def test_a_vitale_assertion_lasts_twenty_minutes(tell, card: Card, minutes, complaint):
    vitale = card.vitale(RUTH, now() - timedelta(minutes=minutes))
    for ask in (
        by_vitale(RUTH).by(STRUCTURE, vitale),
        by_vitale(RUTH).by(PROFESSIONAL, card.professional(now()), vitale),
    ):
        told = tell(ask)
        assert (told.code == "00") == (not complaint)
        assert complaint in told.reason


def test_a_vitale_assertion_alone_is_no_authentication(tell, card: Card):
    assert "neither" in tell(by_vitale(RUTH).by(STRUCTURE, card.vitale(RUTH, now())), None).reason


@pytest.mark.parametrize(("name", "taken"), [(RUTH, True), (RUTH + "00", True), ("1861263220837", False), ("A1", True)])
def test_a_card_that_was_changed_after_its_reading_is_noticed(tell, card: Card, name, taken):
    told = tell(by_vitale(RUTH).by(STRUCTURE, card.vitale(name, now())))
    assert (told.code == "00") == taken
    assert taken or "cards were changed" in told.reason


def test_one_assertion_of_each_kind_is_enough(tell, card: Card):
    told = tell(by_professional(card.professional(now()), card.professional(now())))
    assert "one AssertionPS" in told.reason


@pytest.mark.parametrize(
    ("pattern", "replacement", "complaint"),
    [
        (rb'Version="2.0"', b'Version="1.1"', "SAML 2.0"),
        (rb"<Signature .*</Signature>", b"", "one signature, right after its Issuer"),
        (rb"(<Signature .*</Signature>)(<Subject>.*</Subject>)", rb"\2\1", "one signature, right after its Issuer"),
        (rb"(<Signature .*</Signature>)", rb"\1\1", "one signature, right after its Issuer"),
        (rb"(<SignedInfo.*</SignedInfo>)", rb"\1\1", "starts with its one SignedInfo"),
        (rb"<SignedInfo.*</SignedInfo>", b"", "starts with its one SignedInfo"),
        (rb'(<CanonicalizationMethod Algorithm="[^"]*)', rb"\1WithComments", "another CanonicalizationMethod"),
        (rb"rsa-sha256", b"rsa-sha1", "another SignatureMethod"),
        (rb"enveloped-signature", b"base64", "another Transform"),
        (rb"<Transform [^>]*/>", b"", "another Transform"),
        (
            rb'(<Transform Algorithm="[^"]*c14n#")/>',
            rb'\1><InclusiveNamespaces xmlns="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="a"/></Transform>',
            "another Transform",
        ),
        (rb"xmlenc#sha256", b"xmlenc#sha512", "another DigestMethod"),
        (rb'URI="#_', b'URI="#_0', "one Reference"),
        (rb'URI="#[^"]*"', b'URI=""', "one Reference"),
        (rb"<DigestValue>.", b"<DigestValue>*", "one DigestValue, in base64"),
        (rb"<DigestValue>[^<]{4}", b"<DigestValue>AAAA", "digest of an assertion is wrong"),
        (rb"SA05", b"SA07", "digest of an assertion is wrong"),
        (rb"<Subject>", b"<Subject> ", "digest of an assertion is wrong"),
        (rb"<SignatureValue>[^<]{4}", b"<SignatureValue>AAAA", "The signature of an assertion is wrong"),
        (rb"<SignatureValue>.*</SignatureValue>", b"", "one SignatureValue"),
        (rb"<X509Certificate>[^<]{4}", b"<X509Certificate>AAAA", "is no certificate"),
        (rb"<KeyInfo>.*</KeyInfo>", b"", "one X509Certificate"),
    ],
)
def test_an_assertion_that_is_not_as_it_was_signed_is_refused(tell, card: Card, pattern, replacement, complaint):
    whole = card.professional(now())
    broken = re.sub(pattern, replacement, whole, flags=re.DOTALL)
    assert broken != whole
    assert complaint in tell(by_professional(broken)).reason


def test_a_signature_is_of_the_certificate_beside_it(tell, pki: Pki, card: Card, tmp_path: Path):
    other = Card(issue_card(pki, tmp_path / "other.p12"), pki.passphrase).professional(now())
    stolen = re.search(rb"<KeyInfo>.*</KeyInfo>", other)
    forged = re.sub(rb"<KeyInfo>.*</KeyInfo>", stolen[0], card.professional(now()))
    assert "The signature of an assertion is wrong" in tell(by_professional(forged)).reason


def test_an_assertion_is_signed_by_a_card_of_the_simulators_authority(tell, tmp_path: Path):
    foreign = ensure_pki(tmp_path)
    assertion = Card(foreign.card, foreign.passphrase).professional(now())
    assert "no authority" in tell(by_professional(assertion)).reason


def test_the_professional_is_the_one_the_certificate_names(tell, pki: Pki, tmp_path: Path, monkeypatch):
    other = Card(issue_card(pki, tmp_path / "other.p12", professional="00B9999902"), pki.passphrase)
    assert tell(by_traits().by("00B9999902", other.professional(now()))).code == "00"
    monkeypatch.setattr(Card, "identifier", PROFESSIONAL)
    assert "the CN of the certificate" in tell(by_professional(other.professional(now()))).reason


def test_an_assertion_keeps_its_signature_under_any_prefixes_around_it(tell, card: Card):
    ask = by_professional(card.professional(now()))
    envelope = ask.envelope().replace("<s:Header>", '<s:Header xmlns:a="urn:a" xmlns:ds="urn:b" xmlns="urn:c">')
    assert tell(ask, envelope=envelope).code == "00"


@pytest.mark.parametrize("content", [b"<a/>", b'<Assertion xmlns="urn:other"/>'])
def test_security_holds_assertions_only(tell, content):
    assert "holds SAML assertions only" in tell(by_professional(content)).reason


def test_a_certificate_is_held_to_its_time_and_to_its_use(pki: Pki, card: Card, tmp_path: Path):
    later = now() + timedelta(days=800)
    with pytest.raises(Refused, match="not valid now"):
        judge(parse(card.professional(later)), trusted_authorities(pki), later)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    signer = load_pem_private_key(pki.authority_key.read_bytes(), None)
    issuer = trusted_authorities(pki)[-1].subject
    builder = x509.CertificateBuilder(issuer, issuer, key.public_key(), 1, now() - timedelta(1), now() + timedelta(1))
    file = tmp_path / "other.p12"
    certificate = builder.sign(signer, SHA256())
    file.write_bytes(pkcs12.serialize_key_and_certificates(None, key, certificate, None, NoEncryption()))
    with pytest.raises(Refused, match="contentCommitment"):
        judge(parse(Card(file, "").professional(now())), trusted_authorities(pki), now())
