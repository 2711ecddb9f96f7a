"""Building and signing an AssertionPS, judged by an independent library and by one that a test card signed."""

from base64 import b64decode
from datetime import UTC, datetime

import pytest
import signxml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from insi_assertions import DS, HOLDER, NOW, CardSigner, canonical, card, card_file, holds
from lxml import etree

from fhir_ins.insi.assertion import read_assertion
from fhir_ins.insi.assertion_ps import AssertionPs, SoftwareSigner, sign
from fhir_ins.insi.certificate import CertificateFault

SAID = AssertionPs("CN=FICTIF", HOLDER, "123456789", "SA05")


async def test_the_form_is_that_of_a_card():
    assertion = await sign(SAID, CardSigner(), NOW, id_="_1")
    root = etree.fromstring(assertion)
    assert [etree.QName(part).localname for part in root] == ["Issuer", "Signature", "Subject", "AttributeStatement"]
    root.remove(root.find(f"{DS}Signature"))
    assert etree.tostring(root) == (
        b'<Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion" ID="_1" IssueInstant="2026-06-01T12:00:00.000Z" '
        b'Version="2.0"><Issuer Format="urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName">CN=FICTIF</Issuer>'
        b'<Subject><NameID NameQualifier="CPS">00B9999901</NameID></Subject><AttributeStatement>'
        b'<Attribute Name="identifiantFacturation"><AttributeValue>123456789</AttributeValue></Attribute>'
        b'<Attribute Name="secteurActivite"><AttributeValue>SA05</AttributeValue></Attribute>'
        b"</AttributeStatement></Assertion>"
    )


async def test_each_assertion_has_an_id_of_its_own():
    first, second = [read_assertion(await sign(SAID, CardSigner(), NOW)) for _ in range(2)]
    assert first.id != second.id


async def test_digest_and_signature_are_right(tmp_path):
    signer = SoftwareSigner(card_file(tmp_path), "s")
    assert holds(etree.fromstring(await sign(SAID, signer, NOW)))


async def test_an_independent_library_verifies_the_signature():
    assertion = await sign(SAID, CardSigner(), NOW)
    expected = signxml.SignatureConfiguration(location="./")
    certificate = card()[1].public_bytes(Encoding.PEM).decode()
    result = signxml.XMLVerifier().verify(assertion, x509_cert=certificate, id_attribute="ID", expect_config=expected)
    assert result.signed_xml.findtext("{*}Subject/{*}NameID") == HOLDER
    with pytest.raises(signxml.InvalidDigest):
        signxml.XMLVerifier().verify(
            assertion.replace(b"SA05", b"SA07"), x509_cert=certificate, id_attribute="ID", expect_config=expected
        )


class RecordedSigner:
    """The card that signed the published assertion, as far as its one signature goes."""

    def __init__(self, signature: etree._Element) -> None:
        self._signature = signature

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(b64decode(self._signature.findtext(f".//{DS}X509Certificate")))

    async def sign(self, data: bytes) -> bytes:
        assert data == canonical(self._signature.find(f"{DS}SignedInfo"))
        return b64decode(self._signature.findtext(f"{DS}SignatureValue"))


async def test_with_a_test_cards_facts_we_build_its_assertion_byte_for_byte(published):
    theirs = (published / "fixtures" / "AssertionPS_cps_test_card.xml").read_bytes()
    root = etree.fromstring(theirs)
    signer = RecordedSigner(root.find(f"{DS}Signature"))
    said = AssertionPs.of_card(signer.certificate, "123456789", "SA05")
    instant = datetime(2022, 4, 12, 15, 7, 10, 65000, UTC)
    assert (said.issuer, said.name_id) == (root.findtext("{*}Issuer"), root.findtext("{*}Subject/{*}NameID"))
    assert await sign(said, signer, instant, id_=root.get("ID")) == theirs


def test_a_cards_certificate_names_its_holder_in_its_own_order():
    said = AssertionPs.of_card(card()[1], "123456789", "SA07")
    assert said == AssertionPs("SN=FICTIF+2.5.4.42=CAMILLE+CN=00B9999901,T=Infirmier,C=FR", HOLDER, "123456789", "SA07")


async def test_text_that_is_markup_stays_text_and_what_xml_cannot_carry_is_refused():
    assertion = await sign(AssertionPs("CN=<&>", HOLDER, "1", "SA05"), CardSigner(), NOW)
    assert read_assertion(assertion).issuer == "CN=<&>"
    with pytest.raises(ValueError, match="XML"):
        await sign(AssertionPs("CN=\0", HOLDER, "1", "SA05"), CardSigner(), NOW)


def test_a_key_that_is_not_rsa_is_refused(pki):
    with pytest.raises(CertificateFault, match="not an RSA key"):
        SoftwareSigner(pki.client, pki.passphrase)
