"""Opening a PKCS#12, and saying what a file is that is none.

Source: RFC 7292; files are modern (PBES2 with AES) or legacy (3DES, RC2-40), made by tools of every age.
"""

import binascii
import unicodedata
from base64 import b64decode
from collections.abc import Iterable, Iterator

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12

from fhir_ins.security.certificate_fault import CertificateFault

_EXPORT = "openssl pkcs12 -export -in certificate.pem -inkey key.pem -out client.p12"
_JAVA_KEYSTORES = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")
_SEQUENCE = 0x30


def key_and_certificates(
    name: str, content: bytes, passphrase: str
) -> tuple[PrivateKeyTypes, x509.Certificate, tuple[x509.Certificate, ...]]:
    """The private key, the certificate it belongs to (of several the one that lasts longest), and the others.

    `name` is what the file is called in the `CertificateFault` raised when it has no such pair.
    """
    store = _opened(name, content, passphrase)
    certificates = [entry.certificate for entry in (store.cert, *store.additional_certs) if entry]
    if store.key is None:
        raise CertificateFault(
            f"{name} holds no private key with its certificate: export both together from where the key is, or make "
            f"the file with: {_EXPORT}"
        )
    own = [certificate for certificate in certificates if _belongs(certificate, store.key)]
    if not own:
        raise CertificateFault(
            f"{name} holds a private key without its certificate (of {len(certificates)} in it none is the key's): "
            f"make the file again with the certificate that was issued for this key: {_EXPORT}"
        )
    chosen = max(own, key=lambda certificate: certificate.not_valid_after_utc)
    return store.key, chosen, tuple(other for other in certificates if other != chosen)


def _opened(name: str, content: bytes, passphrase: str) -> pkcs12.PKCS12KeyAndCertificates:
    wrong = False
    for spelling in _spellings(name, passphrase):
        try:
            return pkcs12.load_pkcs12(content, spelling or None)
        except UnsupportedAlgorithm as error:
            raise CertificateFault(f"{name} uses what OpenSSL does not support here: {error}.") from None
        except ValueError as error:
            wrong = str(error).startswith("Invalid password")
    if not wrong:
        raise CertificateFault(f"{name} {_told(name, content)}")
    if not passphrase:
        raise CertificateFault(f"The passphrase of {name} is not given.")
    raise CertificateFault(f"The passphrase of {name} is wrong (or the file is damaged).")


def _spellings(name: str, passphrase: str) -> Iterable[bytes]:
    """The passphrase as given, composed, decomposed (macOS), and as tools wrote it that took UTF-8 for Latin-1."""
    composed = unicodedata.normalize("NFC", passphrase)
    try:
        forms = (passphrase, composed, unicodedata.normalize("NFD", passphrase), composed.encode().decode("latin-1"))
        return dict.fromkeys(form.encode() for form in forms)
    except UnicodeEncodeError:
        raise CertificateFault(f"The passphrase for {name} is not text in UTF-8: give it in that encoding.") from None


def _belongs(certificate: x509.Certificate, key: PrivateKeyTypes) -> bool:
    try:
        return certificate.public_key() == key.public_key()
    except (UnsupportedAlgorithm, ValueError):  # a key of a kind that ours cannot be
        return False


def _told(name: str, content: bytes) -> str:
    """What a file is that is no PKCS#12, and the remedy, as the end of a sentence."""
    if not content:
        return "is empty: copy it again."
    if b"-----BEGIN" in content:
        return f"is a PEM file; make a PKCS#12 of the certificate and its key with: {_EXPORT}"
    if content.startswith(_JAVA_KEYSTORES):
        return (
            f"is a Java keystore; make a PKCS#12 with: keytool -importkeystore -srckeystore {name} "
            "-destkeystore client.p12 -deststoretype PKCS12"
        )
    if _is_base64(content):
        return f"is base64 text; decode it with: base64 -d {name} > client.p12"
    if content[0] == _SEQUENCE:
        return next(_told_of_der(name, content), "is not a PKCS#12 (.p12, .pfx) file.")
    return "is not a PKCS#12 (.p12, .pfx) file."


def _told_of_der(name: str, content: bytes) -> Iterator[str]:
    if (length := _declared_length(content)) > len(content):
        yield f"is cut short, {len(content)} of {length} bytes: copy it again."
    try:
        x509.load_der_x509_certificate(content)
        yield (
            "is a certificate alone (DER), without its private key, which stayed where the certificate was requested; "
            f"there, make a PKCS#12: openssl x509 -inform DER -in {name} -out certificate.pem, then {_EXPORT}"
        )
    except ValueError:
        pass
    try:
        pkcs7.load_der_pkcs7_certificates(content)
        yield f"is a PKCS#7 (.p7b): certificates without a private key; make a PKCS#12 with: {_EXPORT}"
    except (ValueError, UnsupportedAlgorithm):
        pass


def _is_base64(content: bytes) -> bool:
    try:
        return b64decode(b"".join(content.split()), validate=True)[:1] == bytes([_SEQUENCE])
    except binascii.Error:
        return False


def _declared_length(content: bytes) -> int:
    """The length in bytes that the header of a DER value announces, header included; 0 for an indefinite one."""
    if len(content) < 2:
        return 2
    first = content[1]
    if first < 0x80:
        return 2 + first
    octets = first & 0x7F
    return 2 + octets + int.from_bytes(content[2 : 2 + octets]) if octets else 0
