"""What the http page of R4 asks for and no other test shows. https://hl7.org/fhir/R4/http.html

`http_page.py` lists every requirement of the page with the tests that show it.
"""

from email.utils import format_datetime, parsedate_to_datetime
from itertools import permutations
from typing import Any

import httpx
import pytest
from people import patient
from servers import StartServer

Json = dict[str, Any]

URN = "urn:uuid:0c3201bd-1cbf-4d64-b04d-cd9187a4c6e0"
IPP: Json = {"system": "urn:oid:1.2.250.1.999.1", "value": "42"}
BY_IPP = "identifier=urn:oid:1.2.250.1.999.1|42"


async def made(fhir: httpx.AsyncClient, **elements: Any) -> Json:
    return (await fhir.post("/Patient", json=patient(**elements))).json()


def bundle(kind: str, *entries: Json) -> Json:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(method: str, url: str, resource: Json | None = None, full_url: str | None = None) -> Json:
    found: Json = {"request": {"method": method, "url": url}}
    return found | ({"resource": resource} if resource else {}) | ({"fullUrl": full_url} if full_url else {})


def links(answer: httpx.Response) -> dict[str, str]:
    return {link["relation"]: link["url"] for link in answer.json()["link"]}


class TestAddresses:
    async def test_a_slash_at_the_end_makes_no_difference(self, fhir: httpx.AsyncClient) -> None:
        created = await fhir.post("/Patient/", json=patient(identifier=[IPP]))
        id_ = created.json()["id"]
        assert created.status_code == 201
        for path in ("/Patient", f"/Patient/{id_}", "/Patient/_history", f"/Patient/{id_}/_history/1", "/metadata"):
            without, with_ = await fhir.get(path), await fhir.get(f"{path}/")
            assert (with_.status_code, with_.content) == (200, without.content), path
        for base in ("", "/"):
            answer = await fhir.post(base, json=bundle("batch", entry("GET", "Patient/")))
            assert answer.json()["entry"][0]["response"]["status"] == "200"
        assert (await fhir.delete(f"/Patient/?{BY_IPP}")).status_code == 204
        assert (await fhir.get(f"/Patient/{id_}/")).status_code == 410
        assert (await fhir.get("/Patient//")).status_code == 404

    async def test_case_matters(self, fhir: httpx.AsyncClient) -> None:
        id_ = (await made(fhir))["id"]
        for path in (f"/patient/{id_}", f"/Patient/{id_.upper()}", "/PATIENT", "/Metadata"):
            assert (await fhir.get(path)).status_code == 404, path

    async def test_they_are_read_as_utf_8(self, fhir: httpx.AsyncClient) -> None:
        await made(fhir, name=[{"family": "Gœthe-Müller"}])
        for family in ("G%C5%93the-M%C3%BCller", "go%E2%82%ACthe"):
            found = (await fhir.get(f"/Patient?family={family}")).json()["total"]
            assert found == (1 if "C3" in family else 0)
        assert (await fhir.get("/Patient?family=M%FCller")).status_code == 400

    async def test_every_get_is_a_head(self, fhir: httpx.AsyncClient) -> None:
        id_ = (await made(fhir))["id"]
        here = f"/Patient/{id_}"
        paths = [
            here,
            f"{here}/_history/1",
            f"{here}/_history",
            "/Patient/_history",
            "/_history",
            "/Patient?gender=female",
        ]
        for path in [*paths, "/metadata", f"{here}/Observation", f"{here}/$everything", "/Patient/nobody"]:
            get, head = await fhir.get(path), await fhir.head(path)
            assert (head.status_code, head.content) == (get.status_code, b""), path
            assert head.headers["content-type"] == get.headers["content-type"]
            assert head.headers.get("etag") == get.headers.get("etag")


class TestHeaders:
    async def test_a_request_is_known_by_its_ids(self, fhir: httpx.AsyncClient) -> None:
        plain = await fhir.get("/Patient")
        assert plain.headers["x-request-id"]
        assert "x-correlation-id" not in plain.headers
        own = await fhir.get("/Patient", headers={"X-Request-Id": "mine-7"})
        assert (own.headers["x-correlation-id"], own.headers["x-request-id"] != "mine-7") == ("mine-7", True)
        for wrong in ("a b", "x" * 129):
            assert "x-correlation-id" not in (await fhir.get("/Patient", headers={"X-Request-Id": wrong})).headers

    async def test_the_date_has_its_time_zone(self, fhir: httpx.AsyncClient) -> None:
        assert (await fhir.get("/metadata")).headers["date"].endswith(" GMT")

    async def test_last_modified_is_last_updated(self, fhir: httpx.AsyncClient) -> None:
        answer = await fhir.get(f"/Patient/{(await made(fhir))['id']}")
        updated, version = answer.json()["meta"]["lastUpdated"], answer.json()["meta"]["versionId"]
        moment = parsedate_to_datetime(answer.headers["last-modified"])
        assert updated.startswith(moment.isoformat().removesuffix("+00:00"))
        assert answer.headers["etag"] == f'W/"{version}"'

    async def test_origins_that_are_named_may_call(self, start_server: StartServer) -> None:
        fhir = await start_server(cors_origins="https://app.example.fr")
        asked = {"Origin": "https://app.example.fr", "Access-Control-Request-Method": "PUT"}
        assert (await fhir.options("/Patient/1", headers=asked)).headers["access-control-allow-methods"]
        answer = await fhir.get("/Patient", headers={"Origin": "https://app.example.fr"})
        assert "ETag" in answer.headers["access-control-expose-headers"]


XML = ["xml", "text/xml", "application/xml", "application/fhir+xml"]
JSON = ["json", "application/json", "application/fhir+json"]


class TestFormats:
    @pytest.mark.parametrize(
        ("asked", "answered"),
        [(one, "application/fhir+xml") for one in XML] + [(one, "application/fhir+json") for one in JSON],
    )
    async def test_format_names_are_understood(self, fhir: httpx.AsyncClient, asked: str, answered: str) -> None:
        answer = await fhir.get("/metadata", params={"_format": asked}, headers={"Accept": "image/png"})
        assert answer.headers["content-type"] == f"{answered}; charset=utf-8"

    @pytest.mark.parametrize("asked", ["ttl", "application/fhir+turtle", "text/turtle", "html", "text/html", "yaml"])
    async def test_formats_that_are_not_offered(self, fhir: httpx.AsyncClient, asked: str) -> None:
        assert (await fhir.get("/metadata", params={"_format": asked})).status_code == 406
        if "/" in asked:
            assert (await fhir.get("/metadata", headers={"Accept": asked})).status_code == 406
            sent = await fhir.post("/Patient", content=b"<>", headers={"Content-Type": asked})
            assert sent.status_code == 415

    @pytest.mark.parametrize("name", ["application/json+fhir", "application/xml+fhir", "text/json", "application/xml"])
    async def test_older_and_generic_names(self, fhir: httpx.AsyncClient, name: str) -> None:
        kind = "xml" if "xml" in name else "json"
        answer = await fhir.get("/metadata", headers={"Accept": name})
        assert answer.headers["content-type"].startswith(f"application/fhir+{kind}")

    @pytest.mark.parametrize(("version", "reads", "writes"), [("4.0", 200, 201), ("3.0", 406, 415), ("5.0", 406, 415)])
    async def test_the_version_of_fhir(self, fhir: httpx.AsyncClient, version: str, reads: int, writes: int) -> None:
        media = f"application/fhir+json; fhirVersion={version}"
        assert (await fhir.get("/metadata", headers={"Accept": media})).status_code == reads
        assert (await fhir.post("/Patient", json=patient(), headers={"Content-Type": media})).status_code == writes

    async def test_format_does_not_say_what_the_body_is(self, fhir: httpx.AsyncClient) -> None:
        answer = await fhir.post("/Patient?_format=xml", json=patient())
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (201, "application/fhir+xml")


class TestWrites:
    async def test_versions_are_the_servers(self, fhir: httpx.AsyncClient) -> None:
        created = await made(fhir, id="mine", meta={"versionId": "7", "lastUpdated": "2001-01-01T00:00:00Z"})
        assert (created["id"] != "mine", created["meta"]["versionId"]) == (True, "1")
        sent = created | {"meta": {"versionId": "99", "lastUpdated": "2001-01-01T00:00:00Z", "tag": [{"code": "t"}]}}
        updated = (await fhir.put(f"/Patient/{created['id']}", json=sent)).json()
        assert (updated["meta"]["versionId"], updated["meta"]["tag"]) == ("2", [{"code": "t"}])
        assert updated["meta"]["lastUpdated"] > created["meta"]["lastUpdated"]

    async def test_what_is_written_is_what_is_read(self, fhir: httpx.AsyncClient) -> None:
        sent = {"resourceType": "Basic", "language": "fr", "code": {"text": "é ÿ"}, "created": "2026-02"}
        created = (await fhir.post("/Basic", json=sent)).json()
        read = (await fhir.get(f"/Basic/{created['id']}")).json()
        assert {name: value for name, value in read.items() if name not in ("id", "meta")} == sent

    async def test_a_successful_update_has_its_version(self, fhir: httpx.AsyncClient) -> None:
        created = await made(fhir)
        answer = await fhir.put(f"/Patient/{created['id']}", json=created)
        assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
        assert parsedate_to_datetime(answer.headers["last-modified"])

    async def test_a_failure_has_an_outcome_whatever_is_preferred(self, fhir: httpx.AsyncClient) -> None:
        for preference in ("return=minimal", "return=representation"):
            refused = await fhir.post("/Patient", json=patient(gender="x"), headers={"Prefer": preference})
            assert (refused.status_code, refused.json()["resourceType"]) == (400, "OperationOutcome")

    async def test_a_delete_shows_the_version_it_made(self, fhir: httpx.AsyncClient) -> None:
        path = f"/Patient/{(await made(fhir))['id']}"
        deleted = await fhir.delete(path)
        assert (deleted.status_code, deleted.headers["etag"], deleted.content) == (204, 'W/"2"', b"")
        assert (await fhir.get("/Patient")).json()["total"] == 0


DIV = '<div xmlns="http://www.w3.org/1999/xhtml"><p>a girl</p></div>'
NARRATIVES = [("generated", 200, False), ("extensions", 200, False), ("additional", 422, True)]


class TestPatch:
    @pytest.mark.parametrize(("status", "answered", "stays"), NARRATIVES)
    async def test_a_narrative_does_not_outlive_its_data(
        self, fhir: httpx.AsyncClient, status: str, answered: int, *, stays: bool
    ) -> None:
        path = f"/Patient/{(await made(fhir, text={'status': status, 'div': DIV}))['id']}"
        patch = [{"op": "replace", "path": "/gender", "value": "male"}]
        headers = {"Content-Type": "application/json-patch+json"}
        assert (await fhir.patch(path, json=patch, headers=headers)).status_code == answered
        assert ("text" in (await fhir.get(path)).json()) is stays
        both = {"gender": "male", "text": {"status": "generated", "div": DIV.replace("girl", "boy")}}
        changed = await fhir.patch(path, json=both, headers={"Content-Type": "application/merge-patch+json"})
        assert (changed.status_code, "boy" in changed.text) == (200, True)

    async def test_nothing_changed_leaves_the_narrative(self, fhir: httpx.AsyncClient) -> None:
        path = f"/Patient/{(await made(fhir, text={'status': 'generated', 'div': DIV}))['id']}"
        await fhir.patch(path, json=[], headers={"Content-Type": "application/json-patch+json"})
        assert "text" in (await fhir.get(path)).json()


class TestCapabilities:
    @pytest.mark.parametrize(
        ("mode", "type_"),
        [
            (None, "CapabilityStatement"),
            ("full", "CapabilityStatement"),
            ("normative", "CapabilityStatement"),
            ("terminology", "TerminologyCapabilities"),
        ],
    )
    async def test_modes(self, fhir: httpx.AsyncClient, mode: str | None, type_: str) -> None:
        params = {"mode": mode} if mode else {}
        answer = await fhir.get("/metadata", params=params)
        assert answer.json()["resourceType"] == type_
        again = await fhir.get("/metadata", params=params, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")

    async def test_its_etag_is_of_what_it_says(self, fhir: httpx.AsyncClient, start_server: StartServer) -> None:
        other = await start_server(update_create=True)
        tags = {(await one.get("/metadata")).headers["etag"] for one in (fhir, fhir, other)}
        assert len(tags) == 2

    async def test_a_part_of_it(self, fhir: httpx.AsyncClient) -> None:
        answer = (await fhir.get("/metadata?_elements=fhirVersion")).json()
        assert (answer["fhirVersion"], "rest" in answer, answer["status"]) == ("4.0.1", False, "active")


class TestSearch:
    async def test_parameters_in_the_url_and_in_the_body(self, fhir: httpx.AsyncClient) -> None:
        await made(fhir, birthDate="2001-01-01")
        await made(fhir, birthDate="2002-01-01")
        both = await fhir.post("/Patient/_search?family=adrun", data={"birthdate": "2001"})
        assert both.json()["total"] == 1
        twice = await fhir.post("/Patient/_search?birthdate=ge2001", data={"birthdate": "lt2002"})
        assert twice.json()["total"] == 1

    async def test_pages_follow_by_get_and_by_post(self, fhir: httpx.AsyncClient) -> None:
        for _ in range(3):
            await made(fhir)
        first = await fhir.post("/Patient/_search", data={"family": "adrun", "_count": "2"})
        following = links(first)["next"]
        assert "adrun" not in following
        by_get = await fhir.get(following)
        by_post = await fhir.post("/Patient/_search", data={"_cursor": httpx.URL(following).params["_cursor"]})
        assert [found["fullUrl"] for found in by_get.json()["entry"]] == [
            found["fullUrl"] for found in by_post.json()["entry"]
        ]
        assert "next" not in links(by_get)

    async def test_of_all_types_in_a_compartment_is_refused_in_words(self, fhir: httpx.AsyncClient) -> None:
        refused = await fhir.get("/Patient/1/*")
        assert refused.status_code == 404
        assert refused.json()["resourceType"] == "OperationOutcome"


class TestBundles:
    async def test_links_of_every_kind_become_addresses_but_canonicals(self, fhir: httpx.AsyncClient) -> None:
        image = f'<div xmlns="http://www.w3.org/1999/xhtml"><img src="{URN}" alt="it"/></div>'
        sent = {
            "resourceType": "DocumentReference",
            "status": "current",
            "text": {"status": "generated", "div": image},
            "subject": {"reference": URN},
            "content": [{"attachment": {"url": URN}}],
            "extension": [
                {"url": "urn:example:uri", "valueUri": URN},
                {"url": "urn:example:canonical", "valueCanonical": URN},
            ],
        }
        entries = entry("POST", "Patient", patient(), URN), entry("POST", "DocumentReference", sent)
        answer = (await fhir.post("", json=bundle("transaction", *entries))).json()
        person, document = (found["resource"] for found in answer["entry"])
        address = f"Patient/{person['id']}"
        assert document["subject"]["reference"] == address
        assert document["content"][0]["attachment"]["url"] == address
        assert f'src="{address}"' in document["text"]["div"]
        assert [found.get("valueUri", found.get("valueCanonical")) for found in document["extension"]] == [address, URN]

    async def test_the_order_of_entries_decides_nothing(self, fhir: httpx.AsyncClient) -> None:
        weight = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": URN},
        }
        old = await made(fhir)
        entries = [
            entry("POST", "Patient", patient(), URN),
            entry("POST", "Observation", weight),
            entry("GET", "Observation?_count=0"),
        ]
        for number, order in enumerate(permutations(entries), 1):
            answer = (await fhir.post("", json=bundle("transaction", *order))).json()
            counted = next(
                found["resource"]["total"] for found in answer["entry"] if "location" not in found["response"]
            )
            assert counted == number
        assert (await fhir.get(f"/Patient/{old['id']}")).status_code == 200

    async def test_a_head_may_be_part_of_it(self, fhir: httpx.AsyncClient) -> None:
        path = f"Patient/{(await made(fhir))['id']}"
        for kind in ("batch", "transaction"):
            (head,) = (await fhir.post("", json=bundle(kind, entry("HEAD", path)))).json()["entry"]
            assert (head["response"]["status"], head["response"]["etag"]) == ("200", 'W/"1"')

    async def test_a_failed_transaction_is_an_outcome(self, fhir: httpx.AsyncClient) -> None:
        answer = await fhir.post("", json=bundle("transaction", entry("GET", "Patient/nobody")))
        assert (answer.status_code, answer.json()["resourceType"]) == (404, "OperationOutcome")

    @pytest.mark.parametrize("kind", ["history", "collection", "document", "searchset"])
    async def test_bundles_of_other_kinds_are_refused(self, fhir: httpx.AsyncClient, kind: str) -> None:
        refused = await fhir.post("", json=bundle(kind, entry("POST", "Patient", patient())))
        assert (refused.status_code, refused.json()["issue"][0]["expression"]) == (400, ["Bundle.type"])


class TestHistory:
    async def test_what_was_conditional_is_plain_in_it(self, fhir: httpx.AsyncClient) -> None:
        created = await fhir.put(f"/Patient?{BY_IPP}", json=patient(identifier=[IPP]))
        path = f"Patient/{created.json()['id']}"
        await fhir.put(f"/Patient?{BY_IPP}", json=patient(identifier=[IPP], active=True))
        await fhir.delete(f"/Patient?{BY_IPP}")
        entries = (await fhir.get(f"/{path}/_history")).json()["entry"]
        assert [found["request"] for found in entries] == [
            {"method": "DELETE", "url": path},
            {"method": "PUT", "url": path},
            {"method": "POST", "url": "Patient"},
        ]
        assert all("resource" in found for found in entries[1:])

    @pytest.mark.parametrize(
        "query", ["_count=1&_count=2", "_since=2026-01-01T00:00:00Z&_at=2026", "_list=1", "_since=2026"]
    )
    async def test_parameters_are_given_once_and_as_they_should(self, fhir: httpx.AsyncClient, query: str) -> None:
        assert (await fhir.get(f"/Patient/_history?{query}")).status_code == 400

    async def test_versions_are_read_as_they_were(self, fhir: httpx.AsyncClient) -> None:
        created = await made(fhir)
        await fhir.put(f"/Patient/{created['id']}", json=created | {"active": True})
        first = await fhir.get(f"/Patient/{created['id']}/_history/1")
        assert (first.json(), first.headers["etag"]) == (created, 'W/"1"')
        updated = parsedate_to_datetime(first.headers["last-modified"])
        assert format_datetime(updated, usegmt=True) == first.headers["last-modified"]
