"""Client certificates: opening a PKCS#12, and telling what is wrong with it."""

import os
import re
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fhir_ins.insi.certificate import CertificateFault, ClientCertificate, load_certificate, ssl_context
from fhir_ins.insi.certificate_check import examine
from fhir_ins.simulator.pki import STRUCTURE

TODAY = date(2026, 6, 1)
KEY = rsa.generate_private_key(65537, 2048)


def certificate(
    *,
    name="INSI-AUTO",
    unit: str | None = "10B0999902",
    issuer="AC IGC-SANTE ELEMENTAIRE ORGANISATIONS",
    days=365,
    usage=ExtendedKeyUsageOID.CLIENT_AUTH,
) -> x509.Certificate:
    start = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC) - timedelta(days=400)
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if unit:
        subject.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name(subject))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=400 + days))
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .sign(KEY, SHA256())
    )


def wrong(**differences) -> list[str]:
    client = ClientCertificate(KEY, certificate(**differences), ())
    return [finding.text for finding in examine(client, TODAY) if not finding.ok]


def test_the_simulators_certificate_names_its_structure(certificate_of_simulator):
    assert certificate_of_simulator.organisational_unit == STRUCTURE
    assert certificate_of_simulator.organisation == "ETABLISSEMENT FICTIF FHIR-INS"
    assert certificate_of_simulator.issuer_common_name.startswith("TEST AC IGC-SANTE")
    assert [link.subject for link in certificate_of_simulator.chain] == [certificate_of_simulator.certificate.issuer]


@pytest.fixture
def certificate_of_simulator(pki) -> ClientCertificate:
    return load_certificate(pki.client, pki.passphrase)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(CertificateFault, match=r"There is no file .*absent\.p12"):
        load_certificate(tmp_path / "absent.p12", "secret")


def test_a_folder_is_not_read(tmp_path: Path):
    with pytest.raises(CertificateFault, match="cannot be read"):
        load_certificate(tmp_path, "secret")


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2100, 1, 1, tzinfo=UTC), r"expired on \d{4}-\d\d-\d\d$"),
        (datetime(2000, 1, 1, tzinfo=UTC), r"is valid from \d{4}-\d\d-\d\d \d\d:\d\d UTC only$"),
        (datetime.now(UTC), "^$"),
    ],
)
def test_a_certificate_says_when_it_is_out_of_date(certificate_of_simulator, moment, text):
    assert re.search(text, certificate_of_simulator.out_of_date(moment) or "")


def test_the_key_reaches_tls_without_a_file(pki, certificate_of_simulator, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = set(os.listdir("/proc/self/fd"))
    context = ssl_context(certificate_of_simulator, pki.authority)
    assert context.check_hostname
    assert context.minimum_version.name == "TLSv1_2"
    assert list(tmp_path.iterdir()) == []
    assert set(os.listdir("/proc/self/fd")) <= before


def test_a_trust_file_that_is_missing_or_holds_nothing_is_named(pki, certificate_of_simulator, tmp_path: Path):
    with pytest.raises(CertificateFault, match=r"There is no file .*absent\.pem"):
        ssl_context(certificate_of_simulator, tmp_path / "absent.pem")
    shutil.copy(pki.client, tmp_path / "binary.pem")
    with pytest.raises(CertificateFault, match="holds no PEM certificate"):
        ssl_context(certificate_of_simulator, tmp_path / "binary.pem")


def test_the_key_stays_out_of_the_representation(certificate_of_simulator):
    assert "key" not in repr(certificate_of_simulator).lower()


def test_a_good_certificate_has_only_good_findings():
    assert wrong() == []


@pytest.mark.parametrize(
    ("difference", "text"),
    [
        ({"name": "INSI_AUTO"}, "INSI-AUTO or INSI-MANU"),
        ({"name": "insi-manu"}, "DESIR_560"),
        ({"unit": None}, "Emetteur has to be configured"),
        ({"issuer": "Let's Encrypt"}, "not an authority of the IGC-Santé"),
        ({"days": -3}, "expired on 2026-05-29, 3 days ago"),
        ({"usage": ExtendedKeyUsageOID.SERVER_AUTH}, "lacks client authentication"),
    ],
)
def test_each_fault_of_a_certificate_is_found_alone_and_told_plainly(difference, text):
    (finding,) = wrong(**difference)
    assert text in finding


@pytest.mark.parametrize(
    ("issuer", "is_test", "text"),
    [
        ("TEST AC IGC-SANTE ELEMENTAIRE ORGANISATIONS", True, "a test certificate"),
        ("AC IGC-SANTE ELEMENTAIRE ORGANISATIONS", False, "a certificate for the production endpoint"),
    ],
)
def test_the_issuer_tells_test_from_production(issuer, is_test, text):
    client = ClientCertificate(KEY, certificate(issuer=issuer), ())
    assert client.is_test is is_test
    assert any(text in finding.text for finding in examine(client, TODAY))


def test_a_certificate_that_ends_soon_is_good_but_says_so():
    findings = examine(ClientCertificate(KEY, certificate(days=20), ()), TODAY)
    assert any(finding.ok and "20 days left, renew it now" in finding.text for finding in findings)
