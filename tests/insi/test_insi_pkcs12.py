"""Opening a PKCS#12: the files that tools make, and those that people give by mistake."""

import shutil
import subprocess
from base64 import encodebytes
from pathlib import Path

import pytest
from authority import TEST_AUTHORITY, Authority, Issued
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)
from hypothesis import given
from hypothesis import strategies as st

from fhir_ins.insi.certificate import CertificateFault, load_certificate
from fhir_ins.insi.certificate_chain import chain_of

ROOT = Authority("TEST AC RACINE IGC-SANTE ELEMENTAIRE")
ISSUER = Authority(TEST_AUTHORITY, above=ROOT)
CLIENT = ISSUER.issue()
LEGACY = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(2000).hmac_hash(SHA1())
TRIPLE_DES = LEGACY.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)


def written(directory: Path, content: bytes) -> Path:
    file = directory / "client.p12"
    file.write_bytes(content)
    return file


def refusal(directory: Path, content: bytes, passphrase: str = "secret") -> str:
    with pytest.raises(CertificateFault) as caught:
        load_certificate(written(directory, content), passphrase)
    return str(caught.value).removeprefix(str(directory / "client.p12")).strip()


@pytest.mark.parametrize("passphrase", ["secret", "clé–Œuvre", "", " ends with a space "])
@pytest.mark.parametrize("legacy", [False, True], ids=["AES", "3DES"])
def test_a_file_opens_with_its_passphrase_and_no_other(tmp_path: Path, passphrase, legacy):
    sealing = TRIPLE_DES.build(passphrase.encode()) if legacy and passphrase else None
    content = CLIENT.pkcs12(passphrase, encryption=sealing)
    assert load_certificate(written(tmp_path, content), passphrase).certificate == CLIENT.certificate
    if passphrase:
        assert "is wrong" in refusal(tmp_path, content, passphrase + "x")
        assert "is not given" in refusal(tmp_path, content, "")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="cryptography does not write RC2")
@pytest.mark.parametrize("algorithm", ["PBE-SHA1-RC2-40", "PBE-SHA1-RC2-128"])
def test_a_file_of_windows_and_old_openssl_opens(tmp_path: Path, algorithm):
    plain = tmp_path / "client.pem"
    plain.write_bytes(CLIENT.pem + CLIENT.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    file = tmp_path / "client.p12"
    command = ["openssl", "pkcs12", "-export", "-legacy", "-in", plain, "-certpbe", algorithm, "-keypbe", algorithm]
    subprocess.run([*command, "-passout", "pass:clé", "-out", file], check=True, capture_output=True)
    assert load_certificate(file, "clé").certificate == CLIENT.certificate
    with pytest.raises(CertificateFault, match="is wrong"):
        load_certificate(file, "cle")


@pytest.mark.parametrize(
    ("sealed", "typed"),
    [("cle\N{COMBINING ACUTE ACCENT}", "clé"), ("clé", "cle\N{COMBINING ACUTE ACCENT}"), ("clÃ©", "clé")],
    ids=["decomposed, as macOS types", "composed", "by a tool that took UTF-8 for Latin-1"],
)
def test_an_accent_is_the_same_however_it_was_written(tmp_path: Path, sealed, typed):
    assert load_certificate(written(tmp_path, CLIENT.pkcs12(sealed)), typed).certificate == CLIENT.certificate


def test_a_passphrase_that_is_no_text_is_told(tmp_path: Path):
    assert "is not text in UTF-8" in refusal(tmp_path, CLIENT.pkcs12(), "cl\udce9")


PEM = CLIENT.pem
DER = CLIENT.certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty"),
        (PEM, "is a PEM file; make a PKCS#12 of the certificate and its key with: openssl pkcs12 -export -in"),
        (b"Bag Attributes\r\n" + PEM, "is a PEM file"),
        (DER, "is a certificate alone (DER), without its private key"),
        (pkcs7.serialize_certificates([CLIENT.certificate], Encoding.DER), "is a PKCS#7 (.p7b)"),
        (encodebytes(CLIENT.pkcs12()), "is base64 text; decode it with: base64 -d"),
        (b"\xfe\xed\xfe\xed\x00\x00\x00\x02", "is a Java keystore"),
        (CLIENT.pkcs12()[:100], "is cut short, 100 of"),
        (b"0", "is cut short"),
        (b"<html>Not found</html>", "is not a PKCS#12"),
        (b"0\x03\x02\x01\x05", "is not a PKCS#12"),
        (b"0\x80\x00\x00", "is not a PKCS#12"),
    ],
)
def test_what_is_no_pkcs12_is_named_with_the_remedy(tmp_path: Path, content, text):
    assert text in refusal(tmp_path, content)


def test_a_certificate_without_its_key_is_told(tmp_path: Path):
    sealing = BestAvailableEncryption(b"secret")
    content = pkcs12.serialize_key_and_certificates(None, None, None, [CLIENT.certificate], sealing)
    assert "holds no private key with its certificate" in refusal(tmp_path, content)


def test_a_key_without_its_certificate_is_told(tmp_path: Path):
    other = Issued(ISSUER.issue().key, CLIENT.certificate)
    sealing = BestAvailableEncryption(b"secret")
    content = pkcs12.serialize_key_and_certificates(None, other.key, None, [CLIENT.certificate], sealing)
    assert "holds a private key without its certificate" in refusal(tmp_path, content)


def test_of_several_certificates_the_one_of_the_key_is_taken(tmp_path: Path):
    sealing = BestAvailableEncryption(b"secret")
    others = [ISSUER.issue("INSI-MANU").certificate, ROOT.certificate, CLIENT.certificate, ISSUER.certificate]
    content = pkcs12.serialize_key_and_certificates(None, CLIENT.key, None, others, sealing)
    loaded = load_certificate(written(tmp_path, content), "secret")
    assert loaded.certificate == CLIENT.certificate
    assert loaded.chain == (ISSUER.certificate, ROOT.certificate)


def test_of_two_certificates_of_one_key_the_one_that_lasts_longer_is_taken(tmp_path: Path):
    renewed = ISSUER.issue(key=CLIENT.key, days=1000)
    content = CLIENT.pkcs12("secret", renewed.certificate)
    assert load_certificate(written(tmp_path, content), "secret").certificate == renewed.certificate


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_a_sentence(tmp_path_factory, content):
    assert refusal(tmp_path_factory.getbasetemp(), content).endswith((".", "client.p12", "PKCS12"))


MODERN = CLIENT.pkcs12()


@given(st.integers(0, len(MODERN) - 1), st.integers(1, 255))
def test_a_damaged_file_is_refused_or_still_whole(tmp_path_factory, place, change):
    damaged = bytearray(MODERN)
    damaged[place] ^= change
    try:
        loaded = load_certificate(written(tmp_path_factory.getbasetemp(), bytes(damaged)), "secret")
    except CertificateFault:
        return
    assert loaded.certificate == CLIENT.certificate


def test_a_chain_leads_to_the_root_or_names_what_is_missing():
    links = (ISSUER.certificate, ROOT.certificate)
    whole = chain_of(CLIENT.certificate, links[::-1])
    assert (whole.links, whole.missing) == (links, None)
    cut = chain_of(CLIENT.certificate, links[:1])
    assert (cut.links, cut.missing, cut.misnamed) == (links[:1], ROOT.certificate.subject, False)
    assert chain_of(CLIENT.certificate, links[1:]).missing == ISSUER.certificate.subject
    assert chain_of(ROOT.certificate, ()).missing is None


def test_a_name_alone_makes_no_link():
    stranger = Authority(TEST_AUTHORITY)
    chain = chain_of(CLIENT.certificate, [stranger.certificate])
    assert (chain.links, chain.misnamed) == ((), True)
    assert chain.missing == ISSUER.certificate.subject


def test_authorities_that_issued_each_other_make_no_endless_chain():
    one, two = Authority("ONE"), Authority("TWO")
    crossed = (one.certify(two), two.certify(one))
    chain = chain_of(two.issue().certificate, crossed)
    assert len(chain.links) == 2
    assert chain.missing is not None
