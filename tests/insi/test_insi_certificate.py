"""Client certificates: reading the file, and the TLS they give."""

import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from authority import Authority

from fhir_ins.insi.certificate import CertificateFault, ClientCertificate, load_certificate, ssl_context
from fhir_ins.simulator.pki import STRUCTURE


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


@pytest.mark.parametrize(
    ("issuer", "is_test"),
    [("TEST AC IGC-SANTE ELEMENTAIRE ORGANISATIONS", True), ("AC IGC-SANTE ELEMENTAIRE ORGANISATIONS", False)],
)
def test_the_issuer_tells_test_from_production(issuer, is_test):
    assert Authority(issuer).issue().client.is_test is is_test
