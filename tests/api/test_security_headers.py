"""What every answer tells browsers, and which of their pages may read one."""

import httpx
import pytest
from people import patient
from raw_http import wire
from servers import StartServer

API = "default-src 'none'; frame-ancestors 'none'"
PAGE = "https://app.example.fr"
OTHER = "https://elsewhere.example"
ASKING = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}


@pytest.mark.parametrize(
    ("method", "path", "status", "policy"),
    [
        ("GET", "/fhir/metadata", 200, API),
        ("GET", "/fhir/Patient", 200, API),
        ("POST", "/fhir/Patient", 415, API),
        ("GET", "/fhir/Patient/unknown", 404, API),
        ("GET", "/nowhere", 404, API),
        ("PUT", "/fhir/metadata", 405, API),
        ("OPTIONS", "/fhir/Patient", 204, API),
        ("HEAD", "/fhir/metadata", 200, API),
        ("GET", "/fhir/metadata?_format=text/css", 406, API),
        ("GET", "/health/live", 200, API),
        ("GET", "/health/ready", 200, API),
        ("GET", "/metrics", 200, API),
        ("GET", "/openapi.json", 200, API),
        ("GET", "/", 307, API),
        (
            "GET",
            "/docs",
            200,
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-",
        ),
    ],
)
async def test_every_answer_has_them(fhir: httpx.AsyncClient, method: str, path: str, status: int, policy: str) -> None:
    answer = await fhir.request(method, str(fhir.base_url).removesuffix("/fhir/") + path)
    assert answer.status_code == status
    _has_them(answer.headers, policy)


async def test_so_has_a_fault_of_ours(fhir: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    # the one way to a 500: something that no client can send
    monkeypatch.setattr("fhir_ins.api.addresses.answer_format", None)
    answer = await fhir.get("/metadata")
    assert answer.status_code == 500
    _has_them(answer.headers, API)


async def test_so_has_a_refusal_of_the_connection(fhir: httpx.AsyncClient) -> None:
    async with wire(str(fhir.base_url)) as connection:
        await connection.send(b"no HTTP\r\n\r\n")
        answer = await connection.answer()
    assert answer.status == 400
    _has_them(httpx.Headers(answer.headers), API)


async def test_a_binary_keeps_its_own_policy(fhir: httpx.AsyncClient) -> None:
    kept = await fhir.post("/Binary", content=b"<script>1</script>", headers={"Content-Type": "text/html"})
    answer = await fhir.get(f"/Binary/{kept.json()['id']}", headers={"Accept": "text/html"})
    assert answer.content == b"<script>1</script>"
    _has_them(answer.headers, "sandbox; default-src 'none'")


def _has_them(headers: httpx.Headers, policy: str) -> None:
    (found,) = headers.get_list("content-security-policy")
    assert found.startswith(policy)
    assert headers.get_list("x-content-type-options") == ["nosniff"]
    assert headers.get_list("referrer-policy") == ["no-referrer"]
    assert headers.get_list("cross-origin-resource-policy") == ["same-origin"]
    assert "server" not in headers
    assert "x-powered-by" not in headers
    assert "strict-transport-security" not in headers  # this is no TLS


async def test_pages_may_not_call_unless_they_are_named(fhir: httpx.AsyncClient) -> None:
    preflight = await fhir.options("/Patient", headers={"Origin": PAGE, **ASKING})
    answer = await fhir.get("/Patient", headers={"Origin": PAGE})
    for headers in (preflight.headers, answer.headers):
        assert not [name for name in headers if name.startswith("access-control-")]


async def test_pages_that_are_named_may_call_and_no_other(start_server: StartServer) -> None:
    fhir = await start_server(cors_origins=PAGE)
    allowed = await fhir.get("/Patient", headers={"Origin": PAGE})
    assert allowed.headers["access-control-allow-origin"] == PAGE
    for origin in (OTHER, "null", f"{PAGE}.elsewhere.example", PAGE.replace("https", "http")):
        assert "access-control-allow-origin" not in (await fhir.get("/Patient", headers={"Origin": origin})).headers
        assert (await fhir.options("/Patient", headers={"Origin": origin, **ASKING})).status_code == 400


@pytest.mark.parametrize("origins", [PAGE, "*"])
async def test_no_page_may_use_the_cookies_or_certificates_of_its_browser(
    start_server: StartServer, origins: str
) -> None:
    fhir = await start_server(cors_origins=origins)
    created = await fhir.post("/Patient", json=patient(), headers={"Origin": PAGE, "Cookie": "a=b"})
    preflight = await fhir.options("/Patient", headers={"Origin": PAGE, **ASKING})
    for answer in (created, preflight):
        assert answer.is_success
        assert "access-control-allow-origin" in answer.headers
        assert "access-control-allow-credentials" not in answer.headers
