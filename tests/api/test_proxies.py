"""What proxies say of the client, and who may say it."""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from urllib.parse import quote

import httpx
import pytest
from authority import Authority, Issued
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc.util import urlsafe_b64encode
from servers import StartServer, serving
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from fhir_ins.api.proxies import Proxies
from fhir_ins.security.client_certificate import peer_certificate, thumbprint
from fhir_ins.security.network import is_within, subscriber
from fhir_ins.settings import Settings

HEADER = "Client-Cert"
PROXIED = {"trusted_proxies": "127.0.0.0/8", "client_certificate_header": HEADER}


async def whoami(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        shown = peer_certificate(scope)
        request = Request(scope)
        address = request.client.host if request.client else None
        known = {"certificate": thumbprint(shown) if shown else None, "address": address, "scheme": request.url.scheme}
        await JSONResponse(known)(scope, receive, send)


@pytest.fixture(scope="module")
def client() -> Issued:
    return Authority("Authority of clients").issue("an EHR")


@pytest.fixture
async def behind_proxy() -> AsyncIterator[httpx.AsyncClient]:
    """What an application sees behind a proxy, which we are."""
    settings = Settings(**PROXIED)
    app = Proxies(whoami, settings.trusted_proxies, HEADER)
    async with serving(settings, app) as url, httpx.AsyncClient(base_url=url, verify=False) as proxy:
        yield proxy


def rfc9440(client: Issued) -> str:
    return f":{b64encode(client.certificate.public_bytes(Encoding.DER)).decode()}:"


def escaped(client: Issued) -> str:
    return quote(client.pem, safe="")


@pytest.mark.parametrize("written", [rfc9440, escaped], ids=["RFC 9440", "escaped PEM"])
async def test_the_certificate_is_the_one_the_proxy_names(
    behind_proxy: httpx.AsyncClient, client: Issued, written: Callable[[Issued], str]
) -> None:
    known = (await behind_proxy.get("/", headers={HEADER: written(client)})).json()
    assert known["certificate"] == thumbprint(client.certificate)
    assert (await behind_proxy.get("/")).json()["certificate"] is None
    assert (await behind_proxy.get("/", headers={HEADER: ""})).json()["certificate"] is None


def test_the_thumbprint_is_that_of_rfc_8705(client: Issued) -> None:
    """The encoding is joserfc's, by which tokens are read."""
    digest = sha256(client.certificate.public_bytes(Encoding.DER)).digest()
    assert thumbprint(client.certificate) == urlsafe_b64encode(digest).decode()
    assert len(thumbprint(client.certificate)) == 43


@pytest.mark.parametrize(
    "value",
    [":AAAA:", ":no base64:", "AAAA", quote("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"), ":", "%"],
)
async def test_what_is_no_certificate_is_400(start_server: StartServer, value: str) -> None:
    fhir = await start_server(**PROXIED)
    answer = await fhir.get("/metadata", headers={HEADER: value})
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "security")


async def test_two_certificates_are_400(start_server: StartServer, client: Issued) -> None:
    fhir = await start_server(**PROXIED)
    headers = [(HEADER, rfc9440(client)), (HEADER, rfc9440(client))]
    assert (await fhir.get("/metadata", headers=headers)).status_code == 400
    assert (await fhir.get("/metadata", headers=headers[:1])).status_code == 200


async def test_anybody_else_who_writes_the_header_is_refused(start_server: StartServer, client: Issued) -> None:
    for trusted in ("", "10.0.0.0/8,2001:db8::/32"):
        fhir = await start_server(trusted_proxies=trusted, client_certificate_header=HEADER)
        answer = await fhir.get("/metadata", headers={HEADER: rfc9440(client)})
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "security")
        assert "TLS handshake" in answer.json()["issue"][0]["details"]["text"]
        assert (await fhir.get("/metadata")).status_code == 200


async def test_address_and_scheme_are_those_the_proxy_names(behind_proxy: httpx.AsyncClient) -> None:
    said = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7, 127.0.0.5", "X-Forwarded-Proto": "https"}
    known = (await behind_proxy.get("/", headers=said)).json()
    # what the client wrote itself stands before, and is not believed
    assert (known["address"], known["scheme"]) == ("198.51.100.7", "https")


async def test_address_and_scheme_that_others_name_are_not_believed() -> None:
    settings = Settings(trusted_proxies="10.0.0.0/8")
    app = Proxies(whoami, settings.trusted_proxies, "")
    async with serving(settings, app) as url, httpx.AsyncClient(base_url=url, verify=False) as other:
        said = {"X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "https"}
        known = (await other.get("/", headers=said)).json()
    assert (known["address"], known["scheme"]) == ("127.0.0.1", "http")


async def test_links_have_the_scheme_the_client_used(start_server: StartServer) -> None:
    fhir = await start_server(**PROXIED)
    answer = await fhir.get("/metadata", headers={"X-Forwarded-Proto": "https", "Host": "fhir.example.fr"})
    assert answer.json()["implementation"]["url"] == "https://fhir.example.fr/fhir"
    assert "strict-transport-security" in answer.headers
    assert "strict-transport-security" not in (await fhir.get("/Patient")).headers


@pytest.mark.parametrize(
    ("host", "counted_as"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("x" * 1000, "x" * 64),
    ],
)
def test_a_subscriber_of_ipv6_is_one_however_many_addresses_it_has(host: str, counted_as: str) -> None:
    assert subscriber(host) == counted_as


def test_networks() -> None:
    networks = Settings(trusted_proxies="192.0.2.0/24, 2001:db8::7").trusted_proxies
    assert is_within("192.0.2.1", networks)
    assert is_within("::ffff:192.0.2.1", networks)
    assert is_within("2001:db8::7", networks)
    assert not any(is_within(host, networks) for host in ("192.0.3.1", "2001:db8::8", "unix", ""))
