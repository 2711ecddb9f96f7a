"""Who is let in, at every address: RFC 6750, SMART App Launch 2 scopes, one structure's callers for another's data."""

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from issuers import AUDIENCE, Issuer, access_file, issuing
from joserfc.jwk import ECKey, OctKey, RSAKey
from languages import said_in_french_too
from servers import StartServer, serving

from fhir_ins.api.addresses import Address
from fhir_ins.api.interactions import INTERACTIONS
from fhir_ins.api.openapi import path_of
from fhir_ins.api.routes import ROUTES
from fhir_ins.security.caller import LETTERS
from fhir_ins.settings import Settings
from fhir_ins.store.mongod import Mongod

EVERYTHING = "system/*.cruds ins.fetch ins.verify ins.qualify ins.reference ins.trusted-source"
REALM = 'Bearer realm="fhir-ins"'
PATIENT = {"resourceType": "Patient", "name": [{"family": "ADRUN"}]}


@dataclass
class Place:
    """A server of two structures with an issuer, a Patient in the first of them."""

    issuer: Issuer
    client: httpx.AsyncClient
    tenants: tuple[str, str]
    patient: str

    def base(self, tenant: int = 0) -> str:
        return f"/t/{self.tenants[tenant]}"

    def token(self, scope: str = EVERYTHING, tenant: int = 0, **claims: Any) -> str:
        return self.issuer.token({"client_id": "dpi", "scope": scope, "structure": self.tenants[tenant], **claims})

    async def ask(self, method: str, path: str, token: str | None = None, **more: Any) -> httpx.Response:
        headers = {**more.pop("headers", {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        return await self.client.request(method, self.base() + path, headers=headers, **more)


def finess(tenant: str) -> str:
    """A number for a structure, of its own with all likelihood."""
    return tenant[:9].upper()


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with issuing() as running:
        yield running


@pytest.fixture(scope="module")
async def shared(
    mongod: Mongod, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Issuer, str, Iterator[tuple[str, str]]]]:
    """One server of many structures, two of which each test has for itself."""
    names = [uuid4().hex for _ in range(1000)]
    head = "".join(f'[tenants.{name}]\nfiness = "{finess(name)}"\n' for name in names)
    async with issuing() as issuer:
        file = access_file(tmp_path_factory.mktemp("access"), issuer, of_issuer='tenant_claim = "structure"', head=head)
        own = Settings(
            mongodb_uri=mongod.uri,
            mongodb_database="tests",
            access=file,
            rights=frozenset(),
            rate_per_minute=0,
            failed_authentications_per_minute=0,
        )
        async with serving(own) as url:
            yield issuer, url, zip(names[::2], names[1::2], strict=True)


@pytest.fixture
async def place(shared: tuple[Issuer, str, Iterator[tuple[str, str]]]) -> AsyncIterator[Place]:
    issuer, url, tenants = shared
    hooks = {"response": [said_in_french_too]}
    async with httpx.AsyncClient(base_url=url, timeout=30, verify=False, event_hooks=hooks) as client:
        found = Place(issuer, client, next(tenants), "")
        made = await found.ask("POST", "/Patient", found.token(), json=PATIENT)
        assert made.status_code == 201, made.text
        found.patient = made.json()["id"]
        yield found


def bad_tokens(place: Place) -> dict[str, tuple[str | None, str | None]]:
    """Every way to be wrong, by its name: the token, and what WWW-Authenticate says of it."""
    other, expired = ECKey.generate_key("P-256", {"kid": "first"}), int(time.time()) - 61
    whole = {"client_id": "dpi", "scope": EVERYTHING, "structure": place.tenants[0]}
    unsigned = f"{place.token().split('.')[0]}.{place.token().split('.')[1]}."
    none = "eyJhbGciOiJub25lIn0." + place.token().split(".")[1] + "."
    secret = OctKey.import_key("a secret that is long enough to sign with")
    stolen = place.issuer.token(whole, key=secret, header={"alg": "HS256", "kid": "first"})  # type: ignore[arg-type]
    return {
        "no token": (None, None),
        "expired": (place.token(exp=expired, iat=expired - 60), "The token has expired."),
        "no expiry": (place.token(exp=None), "The token does not say when it expires."),
        "not yet": (place.token(nbf=int(time.time()) + 120), "The token is not valid yet."),
        "wrong audience": (place.token(aud="https://other.example.fr"), "The token is meant for another server."),
        "no audience": (place.token(aud=None), "The token is meant for another server."),
        "wrong issuer": (
            place.token(iss="https://evil.example.fr"),
            "The token is of an issuer that is not trusted here.",
        ),
        "wrong key": (place.issuer.token(whole, key=other), "The token is not signed by a key of its issuer."),
        "symmetric": (stolen, "The token is signed by an algorithm that is not allowed here."),
        "none": (none, "The token is signed by an algorithm that is not allowed here."),
        "no signature": (unsigned, "The token is not signed by a key of its issuer."),
        "no JWT": ("abc", "The token cannot be read."),
        "a logout token": (
            place.issuer.token(whole, header={"typ": "logout+jwt"}),
            "The token is not an access token.",
        ),
        "critical header": (
            place.issuer.token(whole, header={"b64": True, "crit": ["b64"]}),
            "The token is not an access token.",
        ),
        "no client": (place.token(client_id=None), "The token does not say which client it was given to."),
    }


WAYS = tuple(bad_tokens(Place(Issuer("http://127.0.0.1:1"), httpx.AsyncClient(), ("a", "b"), "x")))
OFFERS = [pytest.param(route, method, id=f"{method} {path_of(route)}") for route in ROUTES for method in route.offers]
GUARDED = [offer for offer in OFFERS if not offer.values[0].public]  # type: ignore[union-attr]
OPEN = [offer for offer in OFFERS if offer.values[0].public]  # type: ignore[union-attr]


def path(route: Address, place: Place) -> str:
    """An address below the structure's base, of its Patient."""
    here = path_of(route).replace("{compartment}/{id}/{type}", f"Patient/{place.patient}/Observation")
    return here.replace("{type}", "Patient").replace("{id}", place.patient).replace("{vid}", "1").rstrip("/")


def body(route: Address, method: str) -> dict[str, Any]:
    """What is sent to it, so that it is read as far as the caller is judged."""
    if route.offers[method].endpoint.__name__ == "bundle":
        entry = {"request": {"method": "GET", "url": "Patient"}}
        return {"json": {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}}
    if route.path.endswith("_search"):
        return {"data": {"_count": "1"}}
    return {"json": PATIENT} if method in ("POST", "PUT", "PATCH") else {}


@pytest.mark.parametrize(("route", "method"), GUARDED)
async def test_a_caller_that_is_not_known_gets_in_nowhere(place: Place, route: Address, method: str) -> None:
    for way, (token, said) in bad_tokens(place).items():
        answer = await place.ask(method, path(route, place), token, **body(route, method))
        assert answer.status_code == 401, (way, answer.text)
        challenge = answer.headers["www-authenticate"]
        assert challenge == (f'{REALM}, error="invalid_token", error_description="{said}"' if said else REALM), way
        issue = answer.json()["issue"][0]
        assert issue["code"] == {"no token": "login", "expired": "expired"}.get(way, "unknown"), way
        assert issue["details"]["text"] == (said or issue["details"]["text"])
        assert token is None or token not in answer.text


@pytest.mark.parametrize(("route", "method"), GUARDED)
async def test_a_caller_without_the_scope_is_told_which_one(place: Place, route: Address, method: str) -> None:
    answer = await place.ask(method, path(route, place), place.token("system/Organization.r"), **body(route, method))
    assert answer.status_code == 403, answer.text
    assert answer.json()["issue"][0]["code"] == "forbidden"
    assert answer.headers["www-authenticate"].startswith(f'{REALM}, error="insufficient_scope", scope="')


@pytest.mark.parametrize(("route", "method"), GUARDED)
async def test_a_caller_of_another_structure_gets_in_nowhere(place: Place, route: Address, method: str) -> None:
    for tenant in (place.tenants[1], "none"):
        answer = await place.ask(method, path(route, place), place.token(structure=tenant), **body(route, method))
        assert answer.status_code == 403, answer.text
        text = answer.json()["issue"][0]["details"]["text"]
        assert text == "The caller is not of the structure that the address names."


@pytest.mark.parametrize(("route", "method"), GUARDED)
async def test_a_caller_with_the_scopes_gets_in(place: Place, route: Address, method: str) -> None:
    answer = await place.ask(method, path(route, place), place.token(), **body(route, method))
    assert answer.status_code not in (401, 403), answer.text
    assert answer.status_code in INTERACTIONS[route.offers[method].endpoint.__name__].ends_in(method)


@pytest.mark.parametrize(("route", "method"), OPEN)
async def test_what_tells_nothing_of_anybody_is_open(place: Place, route: Address, method: str) -> None:
    of_api = route.path.startswith("/fhir")
    answer = await place.client.request(method, (place.base() + route.path.removeprefix("/fhir")) if of_api else "")
    if of_api:
        assert answer.status_code == 200, answer.text


LETTER_OF = [
    pytest.param(route, method, LETTERS[code], id=f"{method} {path_of(route)}")
    for route in ROUTES
    for method, offer in route.offers.items()
    if (code := offer.interaction)
]


@pytest.mark.parametrize(("route", "method", "letter"), LETTER_OF)
async def test_each_interaction_needs_its_letter(place: Place, route: Address, method: str, letter: str) -> None:
    """Without it 403, whatever else is held; with it alone, or with what tells what there is, never 403."""
    type_ = "Observation" if "{compartment" in route.path else "Patient"
    others = "".join(one for one in "cruds" if one != letter)
    refused = await place.ask(
        method, path(route, place), place.token(f"system/{type_}.{others}"), **body(route, method)
    )
    assert refused.status_code == 403
    assert f'scope="system/{type_}.{letter}"' in refused.headers["www-authenticate"]
    held = "".join(one for one in "cruds" if one in f"{letter}rs")
    scopes = f"system/{type_}.{held} system/Patient.r"
    answer = await place.ask(method, path(route, place), place.token(scopes), **body(route, method))
    assert answer.status_code != 403, answer.text


@pytest.mark.parametrize(
    ("scope", "more", "held"),
    [
        ("system/Patient.r", {}, True),
        ("system/*.r", {}, True),
        ("system/Patient.cruds", {}, True),
        ("system/Patient.read", {}, True),
        ("system/*.*", {}, True),
        ("user/Patient.rs", {"sub": "899700218896"}, True),
        ("user/Patient.rs", {}, False),
        ("user/Patient.rs", {"sub": "dpi"}, False),
        ("patient/Patient.rs", {"sub": "899700218896"}, False),
        ("system/Patient.write", {}, False),
        ("system/Patient.cud", {}, False),
        ("system/Patient.sr", {}, False),
        ("system/Patient.r?gender=female", {}, False),
        ("system/patient.r", {}, False),
        ("system/Observation.r", {}, False),
        ("ins.reference", {}, False),
        ("read", {}, False),
        ("", {}, False),
    ],
)
async def test_scopes_grant_what_they_say_and_no_more(
    place: Place, scope: str, more: dict[str, str], held: bool
) -> None:
    answer = await place.ask("GET", f"/Patient/{place.patient}", place.token(scope, **more))
    assert answer.status_code == (200 if held else 403)


@pytest.mark.parametrize("scope", [["system/Patient.r"], "  system/Patient.r  openid "])
async def test_scopes_come_as_text_or_list(place: Place, scope: object) -> None:
    assert (await place.ask("GET", f"/Patient/{place.patient}", place.token(scope=scope))).status_code == 200  # type: ignore[arg-type]


async def test_what_comes_along_is_of_types_the_caller_may_search(place: Place) -> None:
    patient = f"Patient/{place.patient}"
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "poids"},
        "subject": {"reference": patient},
    }
    made = await place.ask("POST", "/Observation", place.token(), json=observation)
    assert made.status_code == 201
    only = place.token("system/Patient.rs")
    whole = place.token("system/Patient.rs system/Observation.rs")

    async def types(path: str, token: str) -> list[str]:
        answer = await place.ask("GET", path, token)
        assert answer.status_code == 200, answer.text
        return sorted(entry["resource"]["resourceType"] for entry in answer.json().get("entry", ()))

    for path_ in ("/Patient?_revinclude=*", f"/{patient}/$everything", "?_sort=_lastUpdated", "/_history"):
        assert await types(path_, only) == ["Patient"], path_
        assert await types(path_, whole) == ["Observation", "Patient"], path_
    observer = place.token("system/Observation.rs")
    assert await types("/Observation?_include=*", observer) == ["Observation"]
    assert await types("/Observation?_include=Observation:subject", observer) == ["Observation"]
    for path_ in (
        "/Patient?_revinclude=Observation:subject",
        "/Patient?_has:Observation:subject:status=final",
        f"/{patient}/$everything?_type=Observation",
        "?_type=Patient,Observation",
    ):
        assert (await place.ask("GET", path_, only)).status_code == 403, path_
    for path_ in (
        "/Observation?subject:Patient.family=adrun",
        "/Observation?patient.family=adrun",
        "/Observation?_include=Observation:subject:Patient",
    ):
        assert (await place.ask("GET", path_, observer)).status_code == 403, path_


async def test_what_stands_against_a_delete_is_named_to_who_may_read_it(place: Place) -> None:
    patient = f"Patient/{place.patient}"
    about = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": patient}}
    made = (await place.ask("POST", "/Observation", place.token(), json=about)).json()["id"]
    for scope, named in (("system/Patient.d", False), ("system/Patient.d system/Observation.r", True)):
        answer = await place.ask("DELETE", f"/{patient}", place.token(scope))
        assert (answer.status_code, f"Observation/{made}" in answer.text) == (409, named)


async def test_conditions_tell_what_matches_and_need_search(place: Place) -> None:
    for scope, headers in (("system/Patient.c", {"If-None-Exist": "family=adrun"}),):
        answer = await place.ask("POST", "/Patient", place.token(scope), json=PATIENT, headers=headers)
        assert answer.status_code == 403
    for method, scope in (("PUT", "u"), ("DELETE", "d"), ("PATCH", "u")):
        answer = await place.ask(method, "/Patient?family=adrun", place.token(f"system/Patient.{scope}"), json=PATIENT)
        assert answer.status_code == 403
    answer = await place.ask("PUT", "/Patient?family=nobody", place.token("system/Patient.us"), json=PATIENT)
    assert answer.status_code == 403, "an update that creates needs c"


async def test_a_writer_who_may_not_read_is_shown_nothing(place: Place) -> None:
    writer = place.token("system/Patient.cu")
    made = await place.ask("POST", "/Patient", writer, json=PATIENT)
    assert (made.status_code, made.content) == (201, b"")
    id_ = made.headers["location"].split("/")[-3]
    updated = await place.ask("PUT", f"/Patient/{id_}", writer, json={**PATIENT, "id": id_})
    assert (updated.status_code, updated.content) == (200, b"")


async def test_the_entries_of_a_bundle_are_judged_one_by_one(place: Place) -> None:
    entries = [{"request": {"method": "GET", "url": type_}} for type_ in ("Patient", "Observation")]
    batch = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    answer = await place.ask("POST", "", place.token("system/Patient.rs"), json=batch)
    assert answer.status_code == 200
    assert [entry["response"]["status"] for entry in answer.json()["entry"]] == ["200", "403"]


@pytest.mark.parametrize("given", ["Basic ZHBpOmRwaQ==", "Bearer", "token abc"])
async def test_credentials_of_another_kind_are_refused(place: Place, given: str) -> None:
    answer = await place.client.get(f"{place.base()}/Patient", headers={"Authorization": given})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, REALM)


async def test_two_tokens_are_refused(place: Place) -> None:
    headers = [("Authorization", f"Bearer {place.token()}"), ("Authorization", f"Bearer {place.token()}")]
    assert (await place.client.get(f"{place.base()}/Patient", headers=headers)).status_code == 401


async def test_a_token_in_the_url_is_no_token(place: Place) -> None:
    answer = await place.client.get(f"{place.base()}/Patient?access_token={place.token()}")
    assert answer.status_code == 401


async def test_keys_rotate_while_the_server_runs(start_server: StartServer, issuer: Issuer, tmp_path: Path) -> None:
    client = await start_server(access=access_file(tmp_path, issuer), rights=frozenset())

    async def status() -> int:
        token = issuer.token({"client_id": "dpi", "scope": "system/Patient.rs"})
        return (await client.get("/Patient", headers={"Authorization": f"Bearer {token}"})).status_code

    assert await status() == 200
    issuer.rotate(RSAKey.generate_key(2048, {"kid": "second"}))
    assert [await status() for _ in range(3)] == [401] * 3
    assert issuer.asked_for_keys == 1, "keys that are not known are looked for every ten seconds at most"


async def test_a_token_that_was_good_is_remembered_while_its_issuer_is_away(
    start_server: StartServer, issuer: Issuer, tmp_path: Path
) -> None:
    client = await start_server(access=access_file(tmp_path, issuer), rights=frozenset())
    headers = {"Authorization": f"Bearer {issuer.token({'client_id': 'dpi', 'scope': 'system/Patient.rs'})}"}
    assert (await client.get("/Patient", headers=headers)).status_code == 200
    issuer.away = True
    assert (await client.get("/Patient", headers=headers)).status_code == 200


async def test_without_its_issuer_a_token_cannot_be_judged(
    start_server: StartServer, issuer: Issuer, tmp_path: Path
) -> None:
    client = await start_server(access=access_file(tmp_path, issuer), rights=frozenset())
    issuer.away = True
    for _ in range(2):
        answer = await client.get("/Patient", headers={"Authorization": f"Bearer {issuer.token({'client_id': 'x'})}"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert "The issuer at 127.0.0.1 answers with status 500." in answer.text
    assert issuer.asked_for_keys == 1


async def test_the_address_of_a_structure_is_in_what_it_answers(place: Place) -> None:
    found = await place.ask("GET", "/Patient", place.token())
    base = f"{str(place.client.base_url).rstrip('/')}{place.base()}"
    assert found.json()["link"][0]["url"] == f"{base}/Patient"
    assert found.json()["entry"][0]["fullUrl"] == f"{base}/Patient/{place.patient}"
    assert (await place.client.get("/Patient", headers={"Authorization": f"Bearer {place.token()}"})).status_code == 404
    made = await place.ask("POST", "/Patient", place.token(), json=PATIENT)
    assert made.headers["location"].startswith(f"{base}/Patient/")


async def test_a_finess_number_names_a_structure_too(place: Place) -> None:
    own, other = (finess(tenant) for tenant in place.tenants)
    assert (await place.ask("GET", "/Patient", place.token(structure=own))).status_code == 200
    assert (await place.ask("GET", "/Patient", place.token(structure=[other, place.tenants[0]]))).status_code == 200
    for wrong in (other, None, 5, {"a": 1}, [["x"]]):
        assert (await place.ask("GET", "/Patient", place.token(structure=wrong))).status_code == 403


async def test_discovery_names_the_issuer(place: Place) -> None:
    answer = await place.client.get(f"{place.base()}/.well-known/smart-configuration")
    assert answer.status_code == 200
    found = answer.json()
    assert found["issuer"] == place.issuer.issuer
    assert found["token_endpoint"] == f"{place.issuer.issuer}/token"
    assert {"permission-v1", "permission-v2"} <= set(found["capabilities"])
    assert {"system/*.cruds", "user/Patient.cruds", "ins.fetch"} <= set(found["scopes_supported"])
    statement = (await place.client.get(f"{place.base()}/metadata")).json()
    assert statement["implementation"]["url"] == f"{str(place.client.base_url).rstrip('/')}{place.base()}"
    stated = statement["rest"][0]["security"]
    assert stated["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"


async def test_opaque_tokens_are_asked_about(start_server: StartServer, issuer: Issuer, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    of_issuer = (
        'claims = "pro-sante-connect"\nclients = ["dpi"]\nscopes = "user/Patient.rs"\nacr = "eidas1"\n'
        'sectors = ["SA01", "SA07"]\n'
        f'[issuers.introspection]\nendpoint = "{issuer.issuer}/introspect"\nclient_id = "us"\n'
        'client_secret_file = "secret"'
    )
    client = await start_server(access=access_file(tmp_path, issuer, of_issuer=of_issuer), rights=frozenset())
    good = {
        "active": True,
        "exp": int(time.time()) + 60,
        "azp": "dpi",
        "acr": "eidas1",
        "SubjectNameID": "899700218896",
        "Secteur_Activite": "SA07^1.2.250.1.71.4.2.4",
        "scope": "openid scope_all",
    }
    issuer.opaque = {
        "good": good,
        "spent": {**good, "exp": int(time.time()) - 100},
        "other": {**good, "azp": "another"},
        "weak": {**good, "acr": "eidas0"},
        "sector": {**good, "Secteur_Activite": "SA99^1"},
        "nobody": {**good, "SubjectNameID": None},
        "audience": {**good, "aud": "https://other.example.fr"},
        "issuer": {**good, "iss": "https://other.example.fr"},
    }

    async def status(token: str) -> int:
        return (await client.get("/Patient", headers={"Authorization": f"Bearer {token}"})).status_code

    assert await status("good") == 200
    assert [await status(one) for one in issuer.opaque if one != "good"] == [401] * 7
    assert await status("unknown") == 401
    asked = len(issuer.asked_about)
    assert await status("good") == 200
    assert len(issuer.asked_about) == asked, "what was said of a token is remembered"
    assert issuer.asked_about[0] == (httpx.BasicAuth("us", "s3cret")._auth_header, "good")


async def test_a_user_of_pro_sante_connect_is_the_actor(
    start_server: StartServer, issuer: Issuer, tmp_path: Path
) -> None:
    of_issuer = 'claims = "pro-sante-connect"\nscopes = "user/*.cruds ins.qualify"'
    client = await start_server(access=access_file(tmp_path, issuer, of_issuer=of_issuer), rights=frozenset())
    token = issuer.token({"client_id": "dpi", "SubjectNameID": "899700218896"})
    client.headers["Authorization"] = f"Bearer {token}"
    made = await client.post("/Patient", json=PATIENT)
    assert made.status_code == 201


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "[::1]:8080"}, 200),
        ({"Host": "fhir.example.fr"}, 401),
        ({"X-Forwarded-For": "192.0.2.1"}, 401),
        ({"Forwarded": "for=192.0.2.1"}, 401),
        ({"Via": "1.1 proxy"}, 401),
        ({"Authorization": "Bearer abc"}, 401),
    ],
)
async def test_a_caller_without_token_is_one_of_this_machine(
    fhir: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    assert (await fhir.get("/Patient", headers=headers)).status_code == status


async def test_tokens_and_callers_of_this_machine_go_together(
    start_server: StartServer, issuer: Issuer, tmp_path: Path
) -> None:
    """As in the sandbox: who shows a token is judged by it alone."""
    client = await start_server(access=access_file(tmp_path, issuer))
    assert (await client.get("/Patient")).status_code == 200
    token = issuer.token({"client_id": "dpi", "scope": "system/Observation.rs"})
    assert (await client.get("/Patient", headers={"Authorization": f"Bearer {token}"})).status_code == 403
    assert issuer.audience == AUDIENCE


async def test_every_cursor_id_and_reference_of_one_structure_is_worth_nothing_in_another(place: Place) -> None:
    for _ in range(3):
        await place.ask("POST", "/Patient", place.token(), json=PATIENT)
    pages = await place.ask("GET", "/Patient?_count=1", place.token())
    cursor = next(link["url"] for link in pages.json()["link"] if link["relation"] == "next").partition("?")[2]
    history = await place.ask("GET", "/Patient/_history?_count=1", place.token())
    past = next(link["url"] for link in history.json()["link"] if link["relation"] == "next").partition("?")[2]
    other = {"Authorization": f"Bearer {place.token(tenant=1)}"}

    async def there(path_: str, method: str = "GET", **more: Any) -> httpx.Response:
        return await place.client.request(method, place.base(1) + path_, headers=other, **more)

    id_ = place.patient
    assert (await there(f"/Patient?{cursor}")).status_code == 400
    assert (await there(f"/Patient/_history?{past}")).status_code == 400
    for path_ in (
        f"/Patient/{id_}",
        f"/Patient/{id_}/_history",
        f"/Patient/{id_}/_history/1",
        f"/Patient/{id_}/$everything",
    ):
        assert (await there(path_)).status_code == 404, path_
    for path_ in (
        "/Patient",
        f"/Patient?_id={id_}",
        "/Patient?family=adrun",
        "/_history",
        "/Patient/_history",
        "?_id=" + id_,
    ):
        assert "entry" not in (await there(path_)).json(), path_
    assert (await there(f"/Patient/{id_}", "PUT", json={**PATIENT, "id": id_})).status_code == 405
    assert (await there(f"/Patient/{id_}", "DELETE")).status_code == 204
    assert (await there(f"/Patient/{id_}/$ins-fetch", "POST", json={"resourceType": "Parameters"})).status_code == 404
    about = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/{id_}"},
    }
    made = await there("/Observation", "POST", json=about)
    assert made.status_code in (201, 422)
    included = (await there("/Observation?_include=*")).json()
    assert id_ not in [entry["resource"]["id"] for entry in included.get("entry", ())]
    assert "entry" not in (await place.ask("GET", f"/Patient/{id_}/Observation", place.token())).json()
    assert (await place.ask("GET", f"/Patient/{id_}", place.token())).status_code == 200
