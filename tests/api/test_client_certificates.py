"""Clients known by a certificate, and tokens bound to one: RFC 8705, by direct TLS and by a trusted proxy's header."""

import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from authority import Authority, Issued
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from issuers import Issuer, access_file, issuing
from servers import StartServer, serving

from fhir_ins.security.client_certificate import thumbprint
from fhir_ins.settings import Settings

ARCHIVE = '[[clients]]\nname = "archive"\ncertificate = "archive.pem"\nscopes = "system/Patient.rs"'
AUTHORITY = Authority("Clients authority")
SERVER = AUTHORITY.issue("localhost", extensions=(x509.SubjectAlternativeName([x509.DNSName("localhost")]),))
KNOWN, OTHER = AUTHORITY.issue("archive"), AUTHORITY.issue("other")


def with_key(issued: Issued) -> bytes:
    return issued.pem + issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with issuing() as running:
        yield running


@pytest.fixture
def access(tmp_path: Path, issuer: Issuer) -> Path:
    (tmp_path / "archive.pem").write_bytes(KNOWN.pem)
    return access_file(tmp_path, issuer, ARCHIVE)


def bound(issuer: Issuer, issued: Issued) -> dict[str, str]:
    """A token bound to a certificate."""
    confirmation = {"x5t#S256": thumbprint(issued.certificate)}
    token = issuer.token({"client_id": "dpi", "scope": "system/*.cruds", "cnf": confirmation})
    return {"Authorization": f"Bearer {token}"}


async def statuses(fhir: httpx.AsyncClient, *headers: dict[str, str]) -> list[int]:
    return [(await fhir.get("/Patient", headers=one)).status_code for one in headers]


async def test_by_the_handshake(settings: Settings, access: Path, issuer: Issuer, tmp_path: Path) -> None:
    (tmp_path / "server.pem").write_bytes(with_key(SERVER))
    (tmp_path / "authority.pem").write_bytes(AUTHORITY.pem)
    changes = {
        "access": access,
        "rights": frozenset(),
        "tls_certificate": tmp_path / "server.pem",
        "tls_client_authorities": tmp_path / "authority.pem",
    }
    async with serving(Settings(**{**settings.model_dump(), **changes})) as url:
        found = {}
        for name, shown in (("known", KNOWN), ("other", OTHER), ("none", None)):
            context = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
            if shown:
                (tmp_path / "client.pem").write_bytes(with_key(shown))
                context.load_cert_chain(tmp_path / "client.pem")
            base = url.replace("127.0.0.1", "localhost")
            async with httpx.AsyncClient(base_url=base, verify=context, trust_env=False) as fhir:
                found[name] = await statuses(fhir, {}, bound(issuer, KNOWN), bound(issuer, OTHER))
                if name == "known":
                    written = await fhir.post("/Patient", json={"resourceType": "Patient"})
                    assert written.status_code == 403, "the scopes of a client are those of the file"
    assert found == {"known": [200, 200, 401], "other": [401, 401, 200], "none": [401, 401, 401]}


async def test_by_the_header_of_a_trusted_proxy(start_server: StartServer, access: Path, issuer: Issuer) -> None:
    fhir = await start_server(
        access=access, rights=frozenset(), trusted_proxies="127.0.0.1", client_certificate_header="Client-Cert"
    )

    def through(issued: Issued) -> dict[str, str]:
        return {"Client-Cert": f":{b64encode(issued.certificate.public_bytes(Encoding.DER)).decode()}:"}

    known = {**through(KNOWN), **bound(issuer, KNOWN)}
    stolen = {**through(OTHER), **bound(issuer, KNOWN)}
    assert await statuses(fhir, through(KNOWN), through(OTHER), known, stolen, {}) == [200, 401, 200, 401, 401]


async def test_the_header_of_nobody_in_particular_is_refused(
    start_server: StartServer, access: Path, issuer: Issuer
) -> None:
    fhir = await start_server(
        access=access, rights=frozenset(), trusted_proxies="192.0.2.1", client_certificate_header="Client-Cert"
    )
    value = f":{b64encode(KNOWN.certificate.public_bytes(Encoding.DER)).decode()}:"
    assert await statuses(fhir, {"Client-Cert": value}) == [400]


@pytest.mark.parametrize("confirmation", [{"jkt": "abc"}, {"x5t#S256": "a", "jkt": "b"}, "x", {"x5t#S256": 1}, {}])
async def test_a_token_bound_to_what_cannot_be_checked_is_refused(
    start_server: StartServer, access: Path, issuer: Issuer, confirmation: object
) -> None:
    fhir = await start_server(access=access, rights=frozenset())
    token = issuer.token({"client_id": "dpi", "scope": "system/*.cruds", "cnf": confirmation})
    assert await statuses(fhir, {"Authorization": f"Bearer {token}"}) == [401]


async def test_too_many_wrong_tokens_of_an_address_are_not_looked_at(
    start_server: StartServer, access: Path, issuer: Issuer
) -> None:
    fhir = await start_server(access=access, rights=frozenset(), failed_authentications_per_minute=3)
    wrong = {"Authorization": "Bearer abc"}
    assert await statuses(fhir, *[wrong] * 5) == [401, 401, 401, 429, 429]
    right = {"Authorization": f"Bearer {issuer.token({'client_id': 'dpi', 'scope': 'system/*.cruds'})}"}
    assert await statuses(fhir, right, {}) == [429, 401]
