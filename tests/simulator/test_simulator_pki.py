"""The throw-away PKI: made once, made anew when it is no longer whole."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from fhir_ins.insi.certificate import load_certificate
from fhir_ins.simulator.pki import (
    AUTHORITY_NAME,
    PRODUCTION_AUTHORITY_NAME,
    STRUCTURE,
    Pki,
    ensure_pki,
    issue_card,
    issue_client,
    trusted_authorities,
)

FILES = ("authority", "server_certificate", "server_key", "client", "authorities", "authority_key", "card")


def contents(pki: Pki) -> list[bytes]:
    return [getattr(pki, name).read_bytes() for name in FILES]


def test_the_files_are_readable_by_their_owner_only(tmp_path: Path):
    pki = ensure_pki(tmp_path / "deep" / "pki")
    assert {getattr(pki, name).stat().st_mode & 0o777 for name in FILES} == {0o600}
    assert len(list((tmp_path / "deep" / "pki").iterdir())) == len(FILES)


def test_a_whole_pki_is_kept(tmp_path: Path):
    first = contents(ensure_pki(tmp_path))
    assert contents(ensure_pki(tmp_path)) == first


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["gone", "broken", "foreign"])
def test_a_pki_that_is_not_whole_is_made_anew(tmp_path: Path, name, damage):
    pki = ensure_pki(tmp_path / "mine")
    file: Path = getattr(pki, name)
    if damage == "gone":
        file.unlink()
    elif damage == "broken":
        file.write_bytes(b"broken")
    else:
        file.write_bytes(getattr(ensure_pki(tmp_path / "other"), name).read_bytes())
    before = pki.authority.read_bytes() if pki.authority.exists() else b""
    assert contents(ensure_pki(tmp_path / "mine"))[0] != before
    assert load_certificate(pki.client, pki.passphrase).common_name == "INSI-AUTO"


def test_the_server_is_localhost_by_name_and_by_address(tmp_path: Path):
    server = x509.load_pem_x509_certificate(ensure_pki(tmp_path).server_certificate.read_bytes())
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "simulator"]  # the name in compose.yaml
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    assert addresses == ["127.0.0.1", "::1"]


@pytest.mark.parametrize(
    ("issued", "issuer"),
    [
        ({"common_name": "INSI-MANU", "structure": "10B0999902"}, AUTHORITY_NAME),
        ({"production": True}, PRODUCTION_AUTHORITY_NAME),
        ({"legacy": True, "passphrase": "other"}, AUTHORITY_NAME),
    ],
)
def test_more_clients_are_issued(pki: Pki, tmp_path: Path, issued, issuer):
    file = issue_client(pki, tmp_path / "client.p12", **issued)
    client = load_certificate(file, issued.get("passphrase", pki.passphrase))
    assert client.common_name == issued.get("common_name", "INSI-AUTO")
    assert client.organisational_unit == issued.get("structure", STRUCTURE)
    assert client.issuer_common_name == issuer
    client.certificate.verify_directly_issued_by(client.chain[0])
    assert client.chain[0] in trusted_authorities(pki)


def test_an_old_tool_encrypts_with_triple_des(pki: Pki, tmp_path: Path):
    triple_des = bytes.fromhex("060a2a864886f70d010c0103")  # pbeWithSHAAnd3-KeyTripleDES-CBC
    assert triple_des in issue_client(pki, tmp_path / "old.p12", legacy=True).read_bytes()
    assert triple_des not in pki.client.read_bytes()


def test_an_expired_client_was_good_until_yesterday(pki: Pki, tmp_path: Path):
    file = issue_client(pki, tmp_path / "client.p12", expired=True)
    expired = load_certificate(file, pki.passphrase)
    assert expired.common_name == "INSI-AUTO"
    assert timedelta(days=1) <= datetime.now(UTC) - expired.not_after < timedelta(days=2)


def test_a_card_is_a_professionals(pki: Pki, tmp_path: Path):
    file = issue_card(pki, tmp_path / "card.p12", professional="00B9999902")
    card = pkcs12.load_pkcs12(file.read_bytes(), pki.passphrase.encode()).cert.certificate
    usage = card.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.content_commitment
    assert not usage.digital_signature
    assert card.public_key().key_size == 2048
    assert len(card.subject.rdns[-1]) == 3
    assert card.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value == "00B9999902"
    card.verify_directly_issued_by(trusted_authorities(pki)[-1])
