"""What MongoDB holds and says of an encrypted store: no name, no number, no birth date, in no form.

Everything is decoded that a thief of the disk, of a backup or of mongod's log would have: every document of every
collection, the profiler's and the oplog's among them, every index key, each line of mongod's log with every operation
logged, and the files of the data as they are. The same is looked for in a clear store, where it is found.
"""

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import Simulator
from deferrals import AWAY, deferred
from keyrings import master_key
from people import ADRUN, ADRUN_TRAITS, NIR, document_checked, out, patient, traits
from pymongo import MongoClient
from servers import SANDBOX_RIGHTS, serving

from fhir_ins.fhir.folding import fold
from fhir_ins.security.caller import Right
from fhir_ins.settings import Settings
from fhir_ins.store.mongod import Mongod

Json = dict[str, Any]

IPP = "urn:oid:1.2.250.1.999.7"
# All that is written below, and what is only asked for, at the end.
NAMES = ["ADRUN", "ECETINSI", "Pierre-Alain", "Xylquentrin", "Quaziménie", "Yvonnick de Kerguz", "Plouguzmeur"]
NAMES += ["Vuldrezac", "Rue du Général Wyzk", "kerguzmeu@wykzorn.bzhxq", "Zwykornov", "Mlle Wolfkrystyn", "Nessi"]
NUMBERS = [ADRUN, "IPP-77441928350", "+33639981122334", "194088310667", "1700563220749", "88417723905"]
DATES = ["1975-12-31", "1931-07-19", "2009-07-14", "1932-08-23"]
ASKED_ONLY = ["Zyrtakoupolis", "299088412307745", "1919-03-07"]


def written(**elements: Any) -> Json:
    return patient(
        identifier=[{"system": IPP, "value": "IPP-77441928350", "type": {"text": "Mlle Wolfkrystyn"}}],
        name=[{"use": "official", "family": "Xylquentrin", "given": ["Quaziménie"], "text": "Yvonnick de Kerguz"}],
        birthDate="1931-07-19",
        telecom=[
            {"system": "phone", "value": "+33639981122334"},
            {"system": "email", "value": "kerguzmeu@wykzorn.bzhxq"},
        ],
        address=[{"line": ["Rue du Général Wyzk"], "city": "Vuldrezac", "text": "Plouguzmeur"}],
        **elements,
    )


async def exercised(fhir: httpx.AsyncClient, away: httpx.AsyncClient) -> None:
    """Each way in and each way to ask: no answer is a fault."""
    made = await done(fhir.post("/Patient", json=written()))
    await done(fhir.post("/Patient", json=written(), headers={"If-None-Exist": f"identifier={IPP}|IPP-77441928350"}))
    await done(fhir.put("/Patient?identifier=88417723905", json=written(gender="male")))
    fetched = await done(fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS))
    stored = out(fetched, "patient")[0]["resource"]
    checked = document_checked(stored)
    await done(fhir.put(f"/Patient/{stored['id']}", json=checked, headers={"If-Match": 'W/"1"'}))
    await done(fhir.post(f"/Patient/{stored['id']}/$ins-verify"))
    await done(fhir.post("/Patient/$ins-fetch", json=traits("ECETINSI", ["PIERRE-ALAIN"], "male", "2009-07-14")))
    await deferred(away, traits("NESSI", ["NATHALIE"], "female", "1977-07-14", defer=True))
    subject = {"reference": f"Patient/{made['id']}"}
    logical = {"identifier": {"system": IPP, "value": "194088310667"}, "display": "Zwykornov"}
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Mlle Wolfkrystyn", "coding": [{"system": "urn:x", "code": "w", "display": "Zwykornov"}]},
        "subject": subject,
        "performer": [logical],
        "valueString": "Xylquentrin Quaziménie, 1700563220749",
    }
    related = {
        "resourceType": "RelatedPerson",
        "patient": subject,
        "name": [{"family": "Zwykornov"}],
        "birthDate": "1932-08-23",
    }
    entries = [
        {"resource": one, "request": {"method": "POST", "url": one["resourceType"]}}
        for one in (observation, related, {"resourceType": "Practitioner", "name": [{"family": "Zwykornov"}]})
    ]
    await done(fhir.post("/", json={"resourceType": "Bundle", "type": "transaction", "entry": entries}))
    patch = [{"op": "replace", "path": "/address/0/city", "value": "Vuldrezac-Plouguzmeur"}]
    await done(
        fhir.patch(f"/Patient/{made['id']}", json=patch, headers={"Content-Type": "application/json-patch+json"})
    )
    tag = {"name": "meta", "valueMeta": {"tag": [{"code": "seen"}]}}
    await done(fhir.post(f"/Patient/{made['id']}/$meta-add", json={"resourceType": "Parameters", "parameter": [tag]}))
    for query in (
        *("family=xylq", "family:exact=Xylquentrin", "family:contains=quentr", "name=Yvonnick+de+Kerguz"),
        *("given=quazimenie", "address=rue+du+general+wyzk", "address-city=vuldrezac", "phone=%2B33639981122334"),
        *("email=kerguzmeu@wykzorn.bzhxq", f"identifier={IPP}|IPP-77441928350", f"identifier={NIR}|{ADRUN}"),
        *("birthdate=1931-07-19", "birthdate=1931", "identifier:text=mlle+wolf", "family=Zyrtakoupolis"),
        *("family:contains=Zyrtakoupolis", "identifier=299088412307745", "birthdate=1919-03-07", "family:missing=true"),
        *("_has:Observation:patient:value-string=xylquentrin", "_sort=-_lastUpdated&family=xylq&_total=accurate"),
        "family=xylq&_revinclude=Observation:subject",
    ):
        await done(fhir.get(f"/Patient?{query}"))
    await done(fhir.post("/Patient/_search", data={"name": "Quaziménie", "birthdate": "1931-07-19"}))
    for path in (
        "/Observation?subject:Patient.family=xylquentrin",
        "/Observation?performer:identifier=194088310667",
        "/Observation?value-string:contains=Quaziménie",
        "/Observation?code:text=Mlle",
        "/RelatedPerson?birthdate=1932-08-23",
        f"/Patient/{made['id']}/$everything",
        f"/Patient/{made['id']}/_history",
        "/_history",
    ):
        await done(fhir.get(path))
    assert (await fhir.get("/Patient?family=xylq&birthdate=1931-07-19")).json()["total"] == 2
    await done(fhir.delete(f"/Patient?identifier={IPP}|none"))
    gone = await done(fhir.post("/Patient", json=written(gender="other")))
    await done(fhir.delete(f"/Patient/{gone['id']}"))


async def done(sent: Any) -> Json:
    answer: httpx.Response = await sent
    assert answer.status_code < 300, (answer.request.url.path, answer.text)
    return answer.json() if answer.content else {}  # type: ignore[no-any-return]


# Looking


def spellings(text: str) -> set[str]:
    """The least that tells it: four letters of each word, as it is written and folded, nine digits of a number; all of
    it in base64, wherever that begins, and in hexadecimal. Without case.
    """
    least = 9 if text[:2].isdigit() else 4
    words = {text, fold(text), *(word for word in re.split(r"[^\w]+", text) if len(word) > 3)}
    coded = {base64.b64encode(b"_" * shift + text.encode()).decode()[4:-4] for shift in range(3)}
    coded = {code for code in coded if len(code) > 6} | {text.encode().hex()}
    return {one.casefold() for one in ({word[:least] for word in words} | coded)}


IN_TEXTS = re.compile(
    "|".join(
        sorted({re.escape(one) for text in (*NAMES, *NUMBERS, *ASKED_ONLY) for one in spellings(text)})
        + [re.escape(one) for date in (*DATES, ASKED_ONLY[2]) for one in (date, date.replace("-", ""))]
    )
)
# What is random holds four letters by chance, and not as many as these.
IN_BYTES = [one.encode() for text in (*NAMES, *NUMBERS, *ASKED_ONLY, *DATES) for one in (text, fold(text))]
MOMENTS = {datetime.fromisoformat(date).replace(tzinfo=UTC) for date in (*DATES, ASKED_ONLY[2])}
INSTANTS = {int(moment.timestamp() * 1000) for moment in MOMENTS}


def leaves(value: Any) -> Iterator[Any]:
    """All texts, bytes and numbers in a document, its field names too."""
    if isinstance(value, dict):
        if set(value) in ({"base64", "subType"}, {"$binary"}):  # as mongod's log writes bytes
            inner = value.get("$binary", value)
            yield base64.b64decode(inner["base64"] if isinstance(inner, dict) else inner)
            return
        for name, inner in value.items():
            yield name
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


def told(value: Any) -> set[str]:
    """What of the above a document tells."""
    found: set[str] = set()
    for leaf in leaves(value):
        if isinstance(leaf, bytes):
            found |= {one.decode() for one in IN_BYTES if one in leaf}
        elif isinstance(leaf, str):
            found |= set(IN_TEXTS.findall(leaf.casefold()))
        elif isinstance(leaf, datetime):
            found |= {str(leaf)} if leaf.replace(tzinfo=UTC) in MOMENTS else set()
        elif isinstance(leaf, int) and not isinstance(leaf, bool) and leaf in INSTANTS:
            found.add(str(leaf))
    return found


def told_by_collections(client: MongoClient[Json], database: str) -> dict[str, set[str]]:
    """Every document, and every key of every index."""
    found: dict[str, set[str]] = {}
    for name in client[database].list_collection_names():
        collection = client[database][name]
        found[name] = set().union(*map(told, collection.find()))
        for index in collection.list_indexes() if name != "system.profile" else ():
            if "2dsphere" not in index["key"].values():
                keys = collection.find(hint=index["name"], return_key=True)
                found[f"{name}.{index['name']}"] = set().union(*map(told, keys))
    return found


def told_by_log(path: Path) -> set[str]:
    return set().union(*(told(json.loads(line)) for line in path.read_text("utf-8").splitlines()))


def told_by_files(directory: Path) -> set[str]:
    """The files of the data, journal included."""
    held = (path.read_bytes() for path in directory.rglob("*") if path.is_file())
    return {one.decode() for content in held for one in IN_BYTES if one in content}


@pytest.mark.parametrize("encrypted", [True, False], ids=["encrypted", "clear"])
async def test_nothing_that_identifies_is_in_clear(simulator: Simulator, tmp_path: Path, encrypted: bool) -> None:
    with Mongod.start(tmp_path) as mongod:
        settings = Settings(
            mongodb_uri=mongod.uri,
            mongodb_database="store",
            master_key=master_key() if encrypted else "",
            rights=SANDBOX_RIGHTS | {Right.REFERENCE},
            insi_endpoint=simulator.url,
            insi_pkcs12=simulator.pki / "client.p12",
            insi_pkcs12_passphrase="simulator",
            insi_trust=simulator.pki / "authority.pem",
            insi_idam="SIMULATEUR01",
            insi_evidence_key=master_key(),
        )
        with MongoClient[Json](mongod.uri) as client:
            client["store"].command("profile", 2, slowms=0)
            client.admin.command("setParameter", 1, logComponentVerbosity={"command": {"verbosity": 1}})
            away = Settings(**{**settings.model_dump(), **AWAY})
            async with (
                serving(settings) as url,
                serving(away) as url_away,
                httpx.AsyncClient(base_url=url, timeout=30) as fhir,
                httpx.AsyncClient(base_url=url_away, timeout=30) as fhir_away,
            ):
                await exercised(fhir, fhir_away)
            client.admin.command("fsync")
            found = told_by_collections(client, "store")
            found["oplog"] = set().union(*map(told, client.local["oplog.rs"].find()))
            found["log"] = told_by_log(tmp_path / "mongod.log")
    found["files"] = told_by_files(tmp_path / "db")
    telling = {name: said for name, said in found.items() if said}
    if encrypted:
        assert telling == {}
        return
    everywhere = {"resources", "versions", "keys", "resources.string", "resources.part"}
    everywhere |= {"resources.range", "system.profile", "oplog", "log", "files"}
    assert telling.keys() >= everywhere
    assert telling["resources"] >= {"xylq", "quaz", "vuld", "275126322"}
    assert telling["system.profile"] >= {"zyrt", "299088412"}
    assert telling["log"] >= {"zyrt", "adru", "xylq"}
