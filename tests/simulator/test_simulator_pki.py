"""The throw-away PKI: made once, made anew when it is no longer whole."""

from pathlib import Path

import pytest
from cryptography import x509

from fhir_ins.insi.certificate import load_certificate
from fhir_ins.simulator.pki import Pki, ensure_pki

FILES = ("authority", "server_certificate", "server_key", "client")


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
