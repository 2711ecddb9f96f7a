"""No sequence of requests makes the matricule of an identity that is not qualified visible to an ordinary caller.

The rule of the house (DESIGN §4.2), tried by hypothesis on real parts: steps are what clients of every right do, and
after each one an ordinary caller looks everywhere it can. Whoever adds an interaction, a search form or an operation
adds it to the steps, or to where one looks.
"""

import asyncio
import io
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager
from copy import deepcopy
from typing import Any

import httpx
import pymongo
import pytest
import structlog
from conftest import Simulator
from deferrals import AWAY, DEFER, QUICK
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from people import ADRUN, ADRUN_TRAITS, NIR, claiming, ins_identifier, patient, reliability, traits
from servers import SANDBOX_RIGHTS, serving

from fhir_ins.security.caller import Right
from fhir_ins.settings import Settings
from fhir_ins.store.mongod import Mongod

Json = dict[str, Any]

OTHER = "260058815400233"
ECETINSI = ("109076322083489", "209076322083439", "209066322012355")
MATRICULES = (ADRUN, OTHER, *ECETINSI)
ECETINSI_TRAITS = traits("ECETINSI", ["PIERRE-ALAIN", "MURIEL", "FLORIANT"], "male", "2009-07-14")
TEST_NIR = "urn:oid:1.2.250.1.213.1.4.10"
NSS_TYPE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "NH"}]}
BIRTH_PLACE: Json = {
    "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
    "valueAddress": {
        "extension": [
            {
                "url": "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code",
                "valueCoding": {
                    "system": "https://mos.esante.gouv.fr/NOS/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM",
                    "code": "63220",
                },
            }
        ]
    },
}
CHECKED = reliability("VALI", "2026-11-20", "CN")

# Every place of a Patient in which a client may try to bring a matricule in.
CARRIERS: dict[str, Callable[[str], Json]] = {
    "identifier": lambda number: {"identifier": [ins_identifier(number)]},
    "test identifier typed NH": lambda number: {"identifier": [{**ins_identifier(number, TEST_NIR), "type": NSS_TYPE}]},
    "old identifier": lambda number: {"identifier": [{**ins_identifier(number), "use": "old"}]},
    "identifier of another authority": lambda number: {"identifier": [{"system": "urn:oid:1.2.3", "value": number}]},
    "identifier's assigner": lambda number: {
        "identifier": [{"system": "urn:a", "value": "1", "assigner": {"identifier": ins_identifier(number)}}]
    },
    "citizen address": lambda number: {"telecom": [{"system": "email", "value": f"{number}@patient.mssante.fr"}]},
    "narrative": lambda number: {
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{number}</div>'}
    },
    "contained": lambda number: {
        "contained": [{"resourceType": "RelatedPerson", "id": "a", "patient": {"identifier": ins_identifier(number)}}],
        "link": [{"type": "seealso", "other": {"reference": "#a"}}],
    },
    "reference's identifier": lambda number: {"managingOrganization": {"identifier": ins_identifier(number)}},
    "name": lambda number: {"name": [{"use": "usual", "text": number}]},
    "extension": lambda number: {"extension": [{"url": "urn:x", "valueString": number}]},
    "tag": lambda number: {"meta": {"tag": [{"code": number}]}},
}


# And of another resource.
OTHER_CARRIERS: dict[str, Callable[[str], Json]] = {
    "nowhere": lambda _: {},
    "subject's identifier": lambda number: {"subject": {"identifier": ins_identifier(number)}},
    "identifier": lambda number: {"identifier": [ins_identifier(number)]},
    "note": lambda number: {"note": [{"text": f"NIR {number}"}]},
    "contained": lambda number: {
        "contained": [{"resourceType": "Patient", "id": "p", "identifier": [ins_identifier(number)]}],
        "subject": {"reference": "#p"},
    },
    "narrative": CARRIERS["narrative"],
    "tag": CARRIERS["tag"],
}


# Further forms of search, a few of which are tried after each step, in turn: what shows, and what finds by a number.
SHOWN = (
    "/Patient?family:contains=dru,cet",
    "/Patient?family:missing=false&_sort=-birthdate,family",
    "/Patient?gender:not=other&_elements=identifier",
    "/Patient?_has:Observation:patient:status=final",
    "/Patient?birthdate=ge1900&_revinclude=*",
    "/Patient?_sort=identifier&_revinclude=Observation:subject&_revinclude:iterate=Task:patient",
    "/Observation?status=final&_include=*&_include:iterate=*",
    "?_type=Patient,Observation,Task",
    "?_type=Patient,Observation&_sort=-_lastUpdated&_summary=true",
    "?_lastUpdated=ge2000&_include=*",
)
FINDING = (
    "/Patient?identifier:of-type=http%3A%2F%2Fterminology.hl7.org%2FCodeSystem%2Fv2-0203|NH|{}",
    "/Patient?identifier:of-type=https%3A%2F%2Fhl7.fr%2Fig%2Ffhir%2Fcore%2FCodeSystem%2Ffr-core-cs-v2-0203|INS-NIR|{}",
    "/Patient?identifier:text={}",
    "/Patient?gender:missing=false&identifier={}",
    "/Patient?name={}",
    "/Patient?name:contains={}",
    "/Patient?address:contains={}",
    "/Patient?telecom={}@patient.mssante.fr",
    "/Patient?_tag={}",
    "/Patient?_has:Observation:patient:subject.identifier={}",
    "/Observation?subject:identifier=urn:oid:1.2.250.1.213.1.4.8|{}&status=final&identifier={}",
    "/Observation?subject:Patient.identifier={}",
    "/Observation?_has:Task:focus:patient.identifier={}",
    "?_type=Patient&identifier={}",
)


def _of_one(fhir: httpx.Client, id_: str, version: int) -> Iterator[httpx.Response]:
    """Where an ordinary caller looks at one Patient."""
    yield fhir.get(f"/Patient/{id_}")
    for number in range(1, version + 1):
        yield fhir.get(f"/Patient/{id_}/_history/{number}")
    yield fhir.get(f"/Patient/{id_}/$ins-identity")
    yield fhir.get(f"/Patient/{id_}/$validate")
    yield fhir.get(f"/Patient/{id_}/_history")
    yield fhir.get(f"/Patient/{id_}/_history?_at=2999")
    yield fhir.get(f"/Patient/{id_}/$everything")
    yield fhir.get(f"/Patient/{id_}/$meta")
    yield fhir.get(f"/Patient/{id_}?_summary=true")
    yield fhir.get(f"/Patient/{id_}?_elements=identifier,telecom")
    yield fhir.get(f"/Patient/{id_}", headers={"Accept": "application/fhir+xml"})
    for type_ in ("Task", "Observation"):
        yield fhir.get(f"/{type_}?patient={id_}")
        yield fhir.get(f"/Patient/{id_}/{type_}")


def _of_another(fhir: httpx.Client, type_: str, id_: str, version: int) -> Iterator[httpx.Response]:
    """Where it looks at one resource of another type."""
    yield fhir.get(f"/{type_}/{id_}")
    yield fhir.get(f"/{type_}/{id_}/_history")
    for number in range(1, version + 1):
        yield fhir.get(f"/{type_}/{id_}/_history/{number}")


def _of_all(fhir: httpx.Client) -> Iterator[httpx.Response]:
    """Where it looks at all of them."""
    for query in ("", "family=adrun,ecetinsi", "given=z,p", "birthdate=ge1900", "gender=female,male,unknown"):
        yield fhir.get(f"/Patient?{query}")
    yield fhir.post("/Patient/_search", data={"birthdate": "ge1900"})
    for query in ("_include=Observation:subject", "subject:Patient.birthdate=ge1900&_include=Observation:patient"):
        yield fhir.get(f"/Observation?{query}")
    yield fhir.get("/Task?_include=Task:patient&_summary=text")
    for path in ("/Task", "/Observation", "/_history", "/Patient/_history", "/$meta", "/Patient/$meta"):
        yield fhir.get(path)
    for kind in ("batch", "transaction"):
        urls = ("Patient?birthdate=ge1900", "Patient?gender=male,female&_summary=data")
        entries = [{"request": {"method": "GET", "url": url}} for url in urls]
        yield fhir.post("/", json={"resourceType": "Bundle", "type": kind, "entry": entries})


@pytest.fixture(scope="module")
def callers(mongod: Mongod, simulator: Simulator) -> Iterator[dict[str, httpx.Client]]:
    """Clients of servers with different rights on the same data, served by a thread of their own."""
    common: Json = {
        "mongodb_uri": mongod.uri,
        "mongodb_database": "no-leak",
        "tenant": "no-leak",
        "insi_endpoint": simulator.url,
        "insi_pkcs12": simulator.pki / "client.p12",
        "insi_pkcs12_passphrase": "simulator",
        "insi_trust": simulator.pki / "authority.pem",
        "insi_idam": "SIMULATEUR01",
    }
    common["insi_deferred_per_minute"] = 0  # what is deferred is carried out by a step
    servers: dict[str, Json] = {
        "ordinary": {"rights": SANDBOX_RIGHTS},
        "away": {"rights": SANDBOX_RIGHTS, **AWAY},
        "reference": {"rights": SANDBOX_RIGHTS | {Right.REFERENCE}},
        "trusted": {"rights": SANDBOX_RIGHTS | {Right.TRUSTED_SOURCE}},
    }
    Clients.worker = Settings(**{**common, "insi_deferred_per_minute": QUICK})
    with _serving({name: Settings(**{**common, **changes}) for name, changes in servers.items()}) as urls:
        clients = {name: httpx.Client(base_url=url, timeout=30) for name, url in urls.items()}
        yield clients
        for client in clients.values():
            client.close()


@contextmanager
def _serving(configured: dict[str, Settings]) -> Iterator[dict[str, str]]:
    urls: Future[dict[str, str]] = Future()
    ended = asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            urls.set_result({name: await stack.enter_async_context(serving(one)) for name, one in configured.items()})
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    try:
        yield urls.result(timeout=30)
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


class Stored:
    """What the database holds, seen from beside the server."""

    def __init__(self, client: pymongo.MongoClient[Json]) -> None:
        self._database = client["no-leak"]

    def empty(self) -> None:
        for collection in ("resources", "versions", "keys", "locks", "deferred"):
            self._database[collection].delete_many({})

    def waiting(self) -> int:
        """How many calls to INSi are deferred."""
        return self._database["deferred"].count_documents({})

    def documents(self, **having: Any) -> list[Json]:
        return list(self._database["resources"].find(having))

    def ids(self, **having: Any) -> list[str]:
        """In the order of their first version, which a sequence repeated repeats."""
        versions = {found["id"]: found["updated"] for found in self._database["versions"].find({"version": 1})}
        found = self.documents(**having)
        return [one["id"] for one in sorted(found, key=lambda one: versions.get(one["id"], one["updated"]))]


class Clients(RuleBasedStateMachine):
    """Clients of every right at work on a few Patients."""

    callers: dict[str, httpx.Client]
    worker: Settings
    stored: Stored
    log: io.StringIO

    @initialize(
        asked=st.lists(st.sampled_from([ADRUN_TRAITS, ECETINSI_TRAITS]), max_size=2, unique_by=str),
        turn=st.integers(0, 2 * len(SHOWN) * len(FINDING)),
    )
    def start(self, asked: list[Json], turn: int) -> None:
        """With these people qualified, since that is where numbers can be lost."""
        self._turn = turn
        self.stored.empty()
        self.answers: list[httpx.Response] = []
        for traits_ in asked:
            self.fetch(traits_)
        for id_ in self._live():
            self._put("ordinary", id_, lambda body: claiming(body, CHECKED))

    # Steps of ordinary clients; what the server answers is looked at, but for the one answer that may show a number.

    @rule(carrier=st.sampled_from(sorted(CARRIERS)), number=st.sampled_from(MATRICULES), statement=st.booleans())
    def create(self, carrier: str, number: str, statement: bool) -> None:
        body = patient(**CARRIERS[carrier](number))
        if statement:
            body = claiming({**body, "extension": [*body.get("extension", []), BIRTH_PLACE]}, CHECKED)
        self._ask("ordinary", "POST", "/Patient", body)

    @rule(asked=st.sampled_from([ADRUN_TRAITS, ECETINSI_TRAITS]))
    def fetch(self, asked: Json) -> None:
        self.callers["ordinary"].post("/Patient/$ins-fetch", json=asked)

    @precondition(lambda self: self._live())
    @rule(data=st.data())
    def fetch_for_one(self, data: st.DataObject) -> None:
        self.callers["ordinary"].post(f"/Patient/{self._one(data)}/$ins-fetch")

    @rule(asked=st.sampled_from([ADRUN_TRAITS, ECETINSI_TRAITS]))
    def defer(self, asked: Json) -> None:
        self._ask(
            "away", "POST", "/Patient/$ins-fetch", {**asked, "parameter": [*asked["parameter"], *DEFER["parameter"]]}
        )

    @precondition(lambda self: self._live())
    @rule(data=st.data())
    def defer_for_one(self, data: st.DataObject) -> None:
        self._ask("away", "POST", f"/Patient/{self._one(data)}/$ins-fetch", DEFER)

    @precondition(lambda self: self.stored.waiting())
    @rule()
    def insi_is_back(self) -> None:
        with _serving({"worker": self.worker}):
            while self.stored.waiting():
                time.sleep(0.01)

    @precondition(lambda self: self._live())
    @rule(data=st.data())
    def verify(self, data: st.DataObject) -> None:
        self._ask("ordinary", "POST", f"/Patient/{self._one(data)}/$ins-verify", None)

    @precondition(lambda self: self._live())
    @rule(data=st.data(), code=st.sampled_from(["PROV", "VALI", "HOMA", "DOUT", "FICT", "ANOM", "CACH"]))
    def state(self, data: st.DataObject, code: str) -> None:
        statements = [CHECKED] if code == "VALI" else [CHECKED, reliability(code)]
        self._change(data, lambda body: claiming(body, *([reliability("PROV")] if code == "PROV" else statements)))

    @precondition(lambda self: self._live())
    @rule(data=st.data(), edit=st.sampled_from([{"gender": "male"}, {"birthDate": "1975-12-30"}, {"active": True}]))
    def edit(self, data: st.DataObject, edit: Json) -> None:
        self._change(data, lambda body: {**body, **edit})

    @precondition(lambda self: self._live())
    @rule(data=st.data(), carrier=st.sampled_from(sorted(CARRIERS)), number=st.sampled_from(MATRICULES))
    def smuggle(self, data: st.DataObject, carrier: str, number: str) -> None:
        self._change(data, lambda body: {**body, **CARRIERS[carrier](number)})

    @precondition(lambda self: self._live())
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        self._ask("ordinary", "DELETE", f"/Patient/{self._one(data)}", None)

    @rule(data=st.data(), number=st.sampled_from(MATRICULES))
    def bring_back(self, data: st.DataObject, number: str) -> None:
        if deleted := self.stored.ids(type="Patient", live=False):
            id_ = data.draw(st.sampled_from(deleted))
            body = claiming(patient(id=id_, identifier=[ins_identifier(number)]), CHECKED)
            self._ask("ordinary", "PUT", f"/Patient/{id_}", body)

    @precondition(lambda self: self._live())
    @rule(data=st.data(), carrier=st.sampled_from(sorted(CARRIERS)), number=st.sampled_from(MATRICULES))
    def patch(self, data: st.DataObject, carrier: str, number: str) -> None:
        change = [
            {"op": "add", "path": f"/{name}", "value": value} for name, value in CARRIERS[carrier](number).items()
        ]
        headers = {"Content-Type": "application/json-patch+json"}
        self._ask("ordinary", "PATCH", f"/Patient/{self._one(data)}", change, headers)

    @precondition(lambda self: self._live())
    @rule(data=st.data(), number=st.sampled_from(MATRICULES))
    def ask_by_a_patch(self, data: st.DataObject, number: str) -> None:
        asks = [{"op": "test", "path": "/identifier/0/value", "value": number}]
        headers = {"Content-Type": "application/json-patch+json"}
        answer = self.callers["ordinary"].patch(f"/Patient/{self._one(data)}", json=asks, headers=headers)
        assert answer.status_code == 422 or number in self._conveyed()

    @precondition(lambda self: self._live())
    @rule(data=st.data(), carrier=st.sampled_from(sorted(OTHER_CARRIERS)), number=st.sampled_from(MATRICULES))
    def write_another(self, data: st.DataObject, carrier: str, number: str) -> None:
        weight = {"resourceType": "Observation", "status": "final", "code": {"text": "weight"}}
        about = {"subject": {"reference": f"Patient/{self._one(data)}"}}
        self._ask("ordinary", "POST", "/Observation", {**weight, **about, **OTHER_CARRIERS[carrier](number)})

    @rule(carrier=st.sampled_from(sorted(CARRIERS)), number=st.sampled_from(MATRICULES), kind=st.booleans())
    def bundle(self, carrier: str, number: str, kind: bool) -> None:
        by = f"identifier={NIR}|{number}"
        entries = [
            {"resource": patient(**CARRIERS[carrier](number)), "request": {"method": "POST", "url": "Patient"}},
            {"resource": patient(), "request": {"method": "PUT", "url": f"Patient?{by}"}},
            {"request": {"method": "GET", "url": "Patient?birthdate=ge1900"}},
        ]
        sent = {"resourceType": "Bundle", "type": "batch" if kind else "transaction", "entry": entries}
        self._ask("ordinary", "POST", "/", sent)

    @rule(number=st.sampled_from(MATRICULES))
    def create_unless_there(self, number: str) -> None:
        if number in self._conveyed():
            return
        headers = {"If-None-Exist": f"identifier={NIR}|{number}"}
        answer = self.callers["ordinary"].post("/Patient", json=patient(), headers=headers)
        assert answer.status_code == 201, "a concealed matricule decides nothing that shows"

    # Steps of those who may see or say more.

    @precondition(lambda self: self._live())
    @rule(data=st.data(), active=st.booleans())
    def reference_writes(self, data: st.DataObject, active: bool) -> None:
        self._change(data, lambda body: {**body, "active": active}, "reference")

    @rule(number=st.sampled_from(MATRICULES))
    def trusted_source_feeds(self, number: str) -> None:
        body = patient(identifier=[ins_identifier(number)], extension=[BIRTH_PLACE, CHECKED])
        self.callers["trusted"].post("/Patient", json=body)

    @invariant()
    def nobody_sees_what_is_not_conveyed(self) -> None:
        fhir = self.callers["ordinary"]
        conveyed = self._conveyed()
        hidden = set(MATRICULES) - conveyed
        for document in self.stored.documents():
            type_, id_, version = document["type"], document["id"], document["version"]
            looks = _of_one(fhir, id_, version) if type_ == "Patient" else _of_another(fhir, type_, id_, version)
            for answer in looks:
                self._require_without(answer.text, hidden if type_ == "Patient" else MATRICULES)
        for answer in _of_all(fhir):
            self._require_without(answer.text, hidden)
        for answer in self.answers:
            self._require_without(answer.text, hidden - self._conveyed_before)
        self.answers.clear()
        self._conveyed_before = conveyed

    @invariant()
    def nobody_finds_by_what_is_not_conveyed(self) -> None:
        fhir = self.callers["ordinary"]
        hidden = sorted({"nobody's", *MATRICULES} - self._conveyed())
        tokens = ",".join(token for number in hidden for token in (number, f"{NIR}|{number}", f"{TEST_NIR}|{number}"))
        assert fhir.get("/Patient", params={"identifier": tokens}).json()["total"] == 0
        assert fhir.post("/Patient/_search", data={"identifier": tokens}).json()["total"] == 0
        for path, reference in (("Observation", "subject:Patient"), ("Observation", "patient"), ("Task", "patient")):
            chain = {f"{reference}.identifier": tokens}
            assert fhir.get(f"/{path}", params=chain).json()["total"] == 0

    @invariant()
    def no_form_of_search_shows_or_finds_what_is_not_conveyed(self) -> None:
        fhir, hidden = self.callers["ordinary"], sorted(set(MATRICULES) - self._conveyed())
        self._turn += 1
        at, finding = divmod(self._turn, 2)
        if not finding:
            answer = fhir.get(SHOWN[at % len(SHOWN)])
            assert answer.status_code == 200, answer.text
            self._require_without(answer.text, hidden)
            return
        path = FINDING[at % len(FINDING)]
        for number in hidden[:2]:
            found = fhir.get(path.format(number, number))
            assert (found.status_code, found.json().get("total")) == (200, 0), (path, found.text)
        people = fhir.get("/Patient?_summary=count").json()["total"]
        without = [("identifier:not", number) for number in hidden]
        assert fhir.get("/Patient", params=[*without, ("_summary", "count")]).json()["total"] == people

    @invariant()
    def the_log_tells_of_nobody(self) -> None:
        written = self.log.getvalue()
        self._require_without(written, {*MATRICULES, "ADRUN", "ECETINSI", "1975-12-31"})
        self.log.seek(0)
        self.log.truncate()

    _conveyed_before: frozenset[str] = frozenset()
    _turn: int = 0

    def _conveyed(self) -> frozenset[str]:
        """The numbers of identities both obtained and checked, read from the facts in the records."""
        found = set()
        for document in self.stored.documents(live=True):
            identity = document["identity"]
            hidden = {"DOUT", "FICT"} & set(identity["attributes"]) or identity["obstacles"]
            if identity["obtained"] and identity["check"] and not hidden:
                numbers = [identity["obtained"]["active"], *identity["obtained"]["history"]]
                found |= {number["matricule"]["number"] + number["matricule"]["key"] for number in numbers}
        return frozenset(found)

    def _live(self) -> list[str]:
        return self.stored.ids(type="Patient", live=True)

    def _one(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(self._live()))

    def _change(self, data: st.DataObject, edit: Callable[[Json], Json], caller: str = "ordinary") -> None:
        self._put(caller, self._one(data), edit)

    def _put(self, caller: str, id_: str, edit: Callable[[Json], Json]) -> None:
        read = self.callers[caller].get(f"/Patient/{id_}").json()
        headers = {"If-Match": f'W/"{read["meta"]["versionId"]}"'}
        self._ask(caller, "PUT", f"/Patient/{read['id']}", edit(deepcopy(read)), headers)

    def _ask(self, caller: str, method: str, path: str, body: Any, headers: Json | None = None) -> None:
        answer = self.callers[caller].request(method, path, json=body, headers=headers)
        assert answer.status_code < 500, answer.text
        if caller in ("ordinary", "away"):
            self.answers.append(answer)

    def _require_without(self, text: str, numbers: Collection[str]) -> None:
        assert not [number for number in numbers if number in text], text


def test_no_sequence_of_requests_shows_a_matricule_that_is_not_conveyed(
    callers: dict[str, httpx.Client], mongod: Mongod
) -> None:
    log = io.StringIO()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=log))
    Clients.callers, Clients.log = callers, log
    with pymongo.MongoClient[Json](mongod.uri) as client:
        Clients.stored = Stored(client)
        try:
            run_state_machine_as_test(
                Clients,
                settings=settings(
                    max_examples=20,
                    stateful_step_count=12,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            structlog.reset_defaults()
