"""A throw-away PKI, for this machine only: its authorities, the simulator's certificate, a client and a card.

Source: IGC-Santé, imitated: an authority for organisations as its test branch names them, one as its production does,
one for cards; the names say that this is a simulator. The three share a key, which is kept so that tests can have more
certificates issued: it opens nothing but the simulator.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from fhir_ins.simulator.certificates import Authority, Key, name

AUTHORITY_NAME = "TEST AC IGC-SANTE ELEMENTAIRE ORGANISATIONS - FHIR-INS SIMULATOR"
PRODUCTION_AUTHORITY_NAME = "AC IGC-SANTE ELEMENTAIRE ORGANISATIONS - FHIR-INS SIMULATOR"
CARD_AUTHORITY_NAME = "TEST AC IGC-SANTE FORT PERSONNES - FHIR-INS SIMULATOR"
ORGANISATION = "ETABLISSEMENT FICTIF FHIR-INS"
STRUCTURE = "10B0999901"
PROFESSIONAL = "00B9999901"
"""The national identifier of the professional whose card `cps.p12` is."""

_PASSPHRASE = "simulator"  # noqa: S105  # it guards keys that open nothing but the simulator
_MARGIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pki:
    """Where the files are. `authority` is what the server of ours trusts; it logs in with `client`.

    `authorities` are the issuers of all clients and cards, which the simulator trusts; `authority_key` signs in the
    name of any of them. `card` is the PKCS#12 of a professional's signing certificate.
    """

    authority: Path
    server_certificate: Path
    server_key: Path
    client: Path
    authorities: Path
    authority_key: Path
    card: Path
    passphrase: str = _PASSPHRASE


def ensure_pki(directory: Path) -> Pki:
    """The PKI in `directory`: the one there if it is whole and good for a day more, else a new one."""
    pki = Pki(
        authority=directory / "authority.pem",
        server_certificate=directory / "server.pem",
        server_key=directory / "server.key",
        client=directory / "client.p12",
        authorities=directory / "authorities.pem",
        authority_key=directory / "authority.key",
        card=directory / "cps.p12",
    )
    if not _usable(pki):
        directory.mkdir(parents=True, exist_ok=True)
        _make(pki)
    return pki


def trusted_authorities(pki: Pki) -> list[x509.Certificate]:
    """The issuers of the clients and cards that the simulator accepts."""
    return x509.load_pem_x509_certificates(pki.authorities.read_bytes())


def issue_client(
    pki: Pki,
    file: Path,
    *,
    common_name: str = "INSI-AUTO",
    structure: str = STRUCTURE,
    production: bool = False,
    expired: bool = False,
    legacy: bool = False,
    passphrase: str = _PASSPHRASE,
) -> Path:
    """Write a PKCS#12 of an organisation to `file`, and return that.

    `production`: issued as by IGC-Santé's production branch, without TEST in the issuer's name. `expired`: since
    yesterday. `legacy`: encrypted with triple DES and SHA-1, as old tools do.
    """
    authority = _authority(pki, PRODUCTION_AUTHORITY_NAME if production else AUTHORITY_NAME)
    until = datetime.now(UTC) - timedelta(days=1) if expired else None
    certificate, key = authority.client(_client_subject(common_name, structure), until)
    _write(file, _sealed(common_name, certificate, key, _own(pki, authority), passphrase, legacy=legacy))
    return file


def issue_card(pki: Pki, file: Path, *, professional: str = PROFESSIONAL, passphrase: str = _PASSPHRASE) -> Path:
    """Write a PKCS#12 with the signing certificate of a card like a CPS to `file`, and return that.

    `professional`: the national identifier, which is the CN.
    """
    authority = _authority(pki, CARD_AUTHORITY_NAME)
    certificate, key = authority.card(_card_subject(professional))
    _write(file, _sealed(professional, certificate, key, _own(pki, authority), passphrase))
    return file


def _usable(pki: Pki) -> bool:
    """Whether all files are there, belong together and last."""
    try:
        authority, *others = trusted_authorities(pki)
        server = x509.load_pem_x509_certificate(pki.server_certificate.read_bytes())
        clients = [_certificate_in(file, pki.passphrase) for file in (pki.client, pki.card)]
        keys = [load_pem_private_key(file.read_bytes(), None) for file in (pki.server_key, pki.authority_key)]
        if [key.public_key() for key in keys] != [server.public_key(), authority.public_key()]:
            return False
        if x509.load_pem_x509_certificate(pki.authority.read_bytes()) != authority or len(others) != 2:
            return False
        for certificate, issuer in zip((server, *clients), (authority, authority, others[-1]), strict=True):
            certificate.verify_directly_issued_by(issuer)
    except (OSError, ValueError, TypeError, InvalidSignature):
        return False
    end = min(link.not_valid_after_utc for link in (authority, *others, server, *clients))
    return end > datetime.now(UTC) + _MARGIN


def _certificate_in(file: Path, passphrase: str) -> x509.Certificate:
    held = pkcs12.load_pkcs12(file.read_bytes(), passphrase.encode()).cert
    if held is None:
        raise ValueError(f"{file} holds no certificate.")
    return held.certificate


def _make(pki: Pki) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    names = (AUTHORITY_NAME, PRODUCTION_AUTHORITY_NAME, CARD_AUTHORITY_NAME)
    authorities = [Authority(_authority_name(each), key) for each in names]
    certificates = [authority.certificate().public_bytes(Encoding.PEM) for authority in authorities]
    subject = name({NameOID.ORGANIZATION_NAME: "FHIR-INS"}, {NameOID.COMMON_NAME: "localhost"})
    server, server_key = authorities[0].server(subject)
    for file, content in (
        (pki.authority, certificates[0]),
        (pki.authorities, b"".join(certificates)),
        (pki.authority_key, _pem(key)),
        (pki.server_certificate, server.public_bytes(Encoding.PEM)),
        (pki.server_key, _pem(server_key)),
    ):
        _write(file, content)
    issue_client(pki, pki.client)
    issue_card(pki, pki.card)


def _authority(pki: Pki, common_name: str) -> Authority:
    key = cast(ec.EllipticCurvePrivateKey, load_pem_private_key(pki.authority_key.read_bytes(), None))
    return Authority(_authority_name(common_name), key)


def _own(pki: Pki, authority: Authority) -> list[x509.Certificate]:
    """The certificate of an authority, as it was made."""
    return [each for each in trusted_authorities(pki) if each.subject == authority.name]


def _authority_name(common_name: str) -> x509.Name:
    return name({NameOID.ORGANIZATION_NAME: "FHIR-INS"}, {NameOID.COMMON_NAME: common_name})


def _client_subject(common_name: str, structure: str) -> x509.Name:
    return name(
        {NameOID.ORGANIZATION_NAME: ORGANISATION},
        {NameOID.ORGANIZATIONAL_UNIT_NAME: structure},
        {NameOID.COMMON_NAME: common_name},
    )


def _card_subject(professional: str) -> x509.Name:
    """As on a CPS: the profession, then the person's names and identifier together."""
    person = {
        NameOID.GIVEN_NAME: "CAMILLE",
        NameOID.COMMON_NAME: professional,
        NameOID.SURNAME: "INFIRMIER FICTIF",
    }
    return name({NameOID.TITLE: "Infirmier"}, person)


def _sealed(
    label: str,
    certificate: x509.Certificate,
    key: Key,
    chain: list[x509.Certificate],
    passphrase: str,
    *,
    legacy: bool = False,
) -> bytes:
    encryption: KeySerializationEncryption = BestAvailableEncryption(passphrase.encode())
    if legacy:
        encryption = (
            PrivateFormat.PKCS12.encryption_builder()
            .kdf_rounds(2048)
            .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
            .hmac_hash(SHA1())  # noqa: S303  # what old tools write
            .build(passphrase.encode())
        )
    return pkcs12.serialize_key_and_certificates(label.encode(), key, certificate, chain, encryption)


def _pem(key: Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(file: Path, content: bytes) -> None:
    """Replace `file` at once, readable by its owner only."""
    new = file.with_suffix(f".{os.getpid()}.new")
    new.touch(mode=0o600)
    new.write_bytes(content)
    new.replace(file)
