"""`fhir-ins audit`: a trail that is whole is said to be, and whatever was done to it is found."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from audit_trails import AUDITOR, Json, audit_events, trail_in, trail_settings, verification
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from people import patient
from processes import answering, process
from servers import StartServer

from fhir_ins.audit import configured_audit
from fhir_ins.security.audit.checkpoints import Checkpoints, signing_key, write_signing_key
from fhir_ins.security.audit.event import Event, events_in
from fhir_ins.settings import Settings
from fhir_ins.store.chain import Chain, Link
from fhir_ins.store.database import Database, Document
from fhir_ins.store.retention import retire
from fhir_ins.store.trail import Trail

DAY = 86_400_000


@pytest.fixture
def trail(tmp_path: Path) -> Json:
    return trail_settings(tmp_path)


@pytest.fixture
def own(settings: Settings) -> Settings:
    """A database of this test's own."""
    name = f"audit_{uuid4().hex}"
    return Settings(**{**settings.model_dump(), "mongodb_database": name})


def event(at: int = 0, **changes: Any) -> Event:
    """A read of a Patient."""
    id_ = str(uuid4())
    whole: Json = {
        "at": at or time.time_ns() // 1_000_000,
        "interaction": "read",
        "status": 200,
        "request_id": uuid4().hex,
        "client": "ehr",
        "user": None,
        "address": "127.0.0.1",
        "type": "Patient",
        "id": id_,
        "query": "",
        "resources": [f"Patient/{id_}/_history/1"],
        "patients": [id_],
        "calls": [],
    }
    return Event(**{**whole, **changes})


async def written(own: Settings, trail: Json, count: int = 6, tenant: str | None = None, at: int = 0) -> None:
    """A chain of so many batches, the last of them signed."""
    async with trail_in(own, trail) as (_, chain, auditing):
        tenant = tenant or own.tenant
        appending = Trail(chain, auditing.keys, "http://server/fhir")
        for _ in range(count):
            await appending.journalled(tenant, [event(at)])
        tail = appending.tails()[tenant]
        auditing.checkpoints.append(auditing.signing, tenant, tail.sequence, tail.hash, cut=False)


def command(own: Settings, trail: Json, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "FHIR_INS_MONGODB_URI": own.mongodb_uri.get_secret_value(),
        "FHIR_INS_MONGODB_DATABASE": own.mongodb_database,
        "FHIR_INS_TENANT": own.tenant,
        **{f"FHIR_INS_{name.upper()}": str(value) for name, value in trail.items()},
    }
    return subprocess.run(
        [sys.executable, "-m", "fhir_ins", "audit", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


Harm = Callable[[Database, str, Checkpoints], Awaitable[None]]


def batch(tenant: str, sequence: int) -> Document:
    return {"_id": f"{tenant}/{sequence:012d}"}


async def removal_in_the_middle(database: Database, tenant: str, _: Checkpoints) -> None:
    await database.database["audit"].delete_one(batch(tenant, 3))


async def removal_at_the_tail(database: Database, tenant: str, _: Checkpoints) -> None:
    await database.database["audit"].delete_one(batch(tenant, 6))


async def removal_of_the_head(database: Database, tenant: str, _: Checkpoints) -> None:
    await database.database["audit"].delete_one(batch(tenant, 1))


async def removal_of_all(database: Database, tenant: str, _: Checkpoints) -> None:
    await database.database["audit"].delete_many({"tenant": tenant})


async def alteration(database: Database, tenant: str, _: Checkpoints) -> None:
    found = await database.database["audit"].find_one(batch(tenant, 3))
    assert found
    sealed = bytearray(found["sealed"])
    sealed[40] ^= 1
    await database.database["audit"].update_one(batch(tenant, 3), {"$set": {"sealed": bytes(sealed)}})


async def alteration_of_what_finds_it(database: Database, tenant: str, _: Checkpoints) -> None:
    await database.database["audit"].update_one(batch(tenant, 3), {"$set": {"tokens": []}})


async def alteration_of_a_time(database: Database, tenant: str, _: Checkpoints) -> None:
    await database.database["audit"].update_one(batch(tenant, 3), {"$inc": {"first": -1}})


async def a_field_less(database: Database, tenant: str, _: Checkpoints) -> None:
    await database.database["audit"].update_one(batch(tenant, 3), {"$unset": {"sealed": ""}})


async def _put(database: Database, document: Document, tenant: str, sequence: int, /, **changes: Any) -> None:
    await database.database["audit"].replace_one(
        batch(tenant, sequence), {**document, **changes, **batch(tenant, sequence)}
    )


async def reordering(database: Database, tenant: str, _: Checkpoints) -> None:
    third = await database.database["audit"].find_one(batch(tenant, 3))
    fourth = await database.database["audit"].find_one(batch(tenant, 4))
    assert third
    assert fourth
    await _put(database, fourth, tenant, 3, sequence=3)
    await _put(database, third, tenant, 4, sequence=4)


async def a_batch_of_another_tenant(database: Database, tenant: str, _: Checkpoints) -> None:
    other = await database.database["audit"].find_one(batch("other", 3))
    assert other
    await _put(database, other, tenant, 3, tenant=tenant)


async def a_chain_made_anew(database: Database, tenant: str, _: Checkpoints) -> None:
    """By somebody who has the database and knows how hashes are made: the third batch gone, the others chained."""
    chain = Chain(database, None)
    links = [link async for link in chain.links(tenant) if isinstance(link, Link)]
    await database.database["audit"].delete_many({"tenant": tenant})
    previous = bytes(32)
    for sequence, link in enumerate((one for one in links if one.sequence != 3), start=1):
        made = replace(link, sequence=sequence, previous=previous)
        previous = made.expected_hash
        document = {**asdict(made), "hash": previous, "tokens": list(made.tokens)}
        await database.database["audit"].insert_one({**document, **batch(tenant, sequence)})


async def a_checkpoint_of_somebody_else(_: Database, tenant: str, checkpoints: Checkpoints) -> None:
    forged = checkpoints._directory / "forged.pem"
    write_signing_key(forged)
    checkpoints.append(signing_key(forged), tenant, 7, bytes(32), cut=False)


async def a_checkpoint_altered(_: Database, tenant: str, checkpoints: Checkpoints) -> None:
    file = checkpoints._directory / f"{tenant}.jsonl"
    file.write_text(file.read_text().replace('"sequence":6', '"sequence":5'))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (removal_in_the_middle, "batch 3 is missing"),
        (removal_at_the_tail, "the end of the trail is gone: batch 6 was signed, the last there is is 5"),
        (removal_of_the_head, "batch 1 is missing"),
        (removal_of_all, "the end of the trail is gone: batch 6 was signed, the last there is is 0"),
        (alteration, "batch 3 was altered: its hash is another"),
        (alteration_of_what_finds_it, "batch 3 was altered: its hash is another"),
        (alteration_of_a_time, "batch 3 was altered: its hash is another"),
        (a_field_less, "batch 3 was altered: it is no batch"),
        (reordering, "batch 3 was altered: its hash is another"),
        (a_batch_of_another_tenant, "batch 3 was altered: its hash is another"),
        (a_chain_made_anew, "the end of the trail is gone"),
        (a_checkpoint_of_somebody_else, "not among those that are trusted"),
        (a_checkpoint_altered, "its signature is not right"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_what_was_done_to_the_trail_is_found(own: Settings, trail: Json, harm: Harm, said: str) -> None:
    await written(own, trail)
    await written(own, trail, tenant="other")
    whole = command(own, trail, "verify")
    assert whole.returncode == 0, whole.stderr
    assert f"{own.tenant}: whole: 6 batches, 6 events, 1 checkpoints." in whole.stdout
    async with trail_in(own, trail) as (database, _, auditing):
        await harm(database, own.tenant, auditing.checkpoints)
    harmed = command(own, trail, "verify", "--tenant", own.tenant)
    assert harmed.returncode == 1
    assert f"{own.tenant}: NOT whole" in harmed.stdout
    assert said in harmed.stdout
    assert "other: whole" in command(own, trail, "verify").stdout


async def test_the_public_key_is_enough_and_without_the_audit_key_nothing_is_opened(
    own: Settings, trail: Json, tmp_path: Path
) -> None:
    await written(own, trail)
    public = tmp_path / "public.pem"
    key = signing_key(Path(trail["audit_signing_key"])).public_key()
    public.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    directory = trail["audit_checkpoints"]
    less = command(own, {}, "verify", "--checkpoints", directory, "--public-key", str(public))
    assert less.returncode == 0, less.stderr
    assert "6 batches, not opened" in less.stdout
    for words in ([], ["--checkpoints", directory]):
        missing = command(own, {}, "verify", *words)
        assert missing.returncode == 1
        assert "fhir-ins: name the" in missing.stderr


async def test_batches_after_the_last_checkpoint_are_told(own: Settings, trail: Json) -> None:
    await written(own, trail)
    async with trail_in(own, trail) as (_, chain, auditing):
        await Trail(chain, auditing.keys, "x").journalled(own.tenant, [event()])
    said = command(own, trail, "verify")
    assert said.returncode == 0
    assert "The last 1 batches are not signed yet" in said.stdout


async def test_two_processes_append_to_one_chain(own: Settings, trail: Json) -> None:
    async with trail_in(own, trail) as (_, chain, auditing), trail_in(own, trail) as (_, other, _):
        trails = [Trail(one, auditing.keys, "x") for one in (chain, other)]
        waiting = [one.journalled(own.tenant, [event()]) for _ in range(40) for one in trails]
        await asyncio.gather(*waiting)
        for _ in range(5):
            await asyncio.gather(*(one.journalled(own.tenant, [event()]) for one in trails))
    found = await verification(own, trail)
    assert found.faults == []
    assert found.events == 90


async def test_retention_takes_whole_old_batches_and_the_rest_verifies(own: Settings, trail: Json) -> None:
    now = time.time_ns() // 1_000_000
    await written(own, trail, count=4, at=now - 40 * DAY)
    await written(own, trail, count=3)
    async with trail_in(own, trail) as (database, chain, auditing):
        kept = auditing.checkpoints
        assert await retire(chain, kept, auditing.signing, own.tenant, 41) == 0
        assert await retire(chain, kept, auditing.signing, own.tenant, 30) == 4
        assert await retire(chain, kept, auditing.signing, own.tenant, 30) == 0
        said = command(own, trail, "verify")
        assert said.returncode == 0, said.stdout
        assert "whole: 3 batches, 3 events" in said.stdout
        assert "Retention has taken away the batches up to 4" in said.stdout
        await database.database["audit"].delete_one(batch(own.tenant, 5))
    assert "batch 5 is missing" in command(own, trail, "verify").stdout


async def test_the_last_batch_stays_however_old(own: Settings, trail: Json) -> None:
    await written(own, trail, count=3, at=1)
    async with trail_in(own, trail) as (_, chain, auditing):
        assert await retire(chain, auditing.checkpoints, auditing.signing, own.tenant, 1) == 2
        await Trail(chain, auditing.keys, "x").journalled(own.tenant, [event()])
    found = await verification(own, trail)
    assert (found.faults, found.batches, found.retired) == ([], 2, 2)


async def test_a_server_signs_what_is_new_and_its_end(
    start_server: StartServer, settings: Settings, trail: Json
) -> None:
    fhir = await start_server(rights=AUDITOR, audit_checkpoint_seconds=0.05, **trail)
    await fhir.post("/Patient", json=patient())
    for _ in range(200):
        if (found := await verification(settings, trail)).checkpoints:
            break
        await asyncio.sleep(0.02)
    assert found.checkpoints
    assert found.faults == []


async def test_reveal_shows_what_is_sealed(start_server: StartServer, settings: Settings, trail: Json) -> None:
    fhir = await start_server(rights=AUDITOR, **trail)
    await fhir.get("/Patient?family=ADRUN")
    (newest, *_) = await audit_events(fhir, "subtype=search&entity-type=2")
    shown = command(settings, trail, "reveal", newest["id"])
    assert shown.stdout.strip() == "search-type Patient?family=ADRUN"
    assert command(settings, trail, "reveal", "000000009999-0001").returncode == 1
    assert command(settings, trail, "reveal", "sealed~AAAA").returncode == 1
    other = {**trail, "audit_key": trail_settings(Path(trail["audit_signing_key"]).parent)["audit_key"]}
    refused = command(settings, other, "reveal", newest["id"])
    assert "is not configured (FHIR_INS_AUDIT_FORMER_KEYS)" in refused.stderr
    former = {**other, "audit_former_keys": trail["audit_key"]}
    assert command(settings, former, "reveal", newest["id"]).stdout == shown.stdout


@pytest.mark.parametrize("missing", ["audit_checkpoints", "audit_signing_key"])
def test_a_setting_that_is_missing_is_named(settings: Settings, trail: Json, missing: str) -> None:
    with pytest.raises(ValueError, match=f"FHIR_INS_{missing.upper()} is needed with FHIR_INS_AUDIT_KEY"):
        configured_audit(Settings(**{**settings.model_dump(), **trail, missing: None}))


def test_a_signing_key_that_is_none_is_named(settings: Settings, trail: Json, tmp_path: Path) -> None:
    (bad := tmp_path / "bad.pem").write_text("no key")
    with pytest.raises(ValueError, match=r"FHIR_INS_AUDIT_SIGNING_KEY: .*bad\.pem is no Ed25519 private key"):
        configured_audit(Settings(**{**settings.model_dump(), **trail, "audit_signing_key": bad}))


async def test_a_killed_server_loses_no_answered_access(
    settings: Settings, start_server: StartServer, trail: Json, tmp_path: Path
) -> None:
    values = {name: str(value) for name, value in trail.items()}
    answered: list[str] = []
    auditor = await start_server(rights=AUDITOR, **trail)
    id_ = (await auditor.post("/Patient", json=patient())).json()["id"]
    with process(settings, tmp_path / "log", **values) as (running, url):
        async with httpx.AsyncClient(base_url=url, timeout=30) as fhir:
            await answering(fhir)

            many = asyncio.Event()

            async def ask() -> None:
                while True:
                    answer = await fhir.get(f"/Patient/{id_}")
                    assert answer.status_code == 200
                    answered.append(answer.headers["x-request-id"])
                    if len(answered) >= 150:
                        many.set()

            asking = [asyncio.create_task(ask()) for _ in range(12)]
            await many.wait()
            running.kill()
            await asyncio.gather(*asking, return_exceptions=True)
    found = await verification(settings, trail)
    assert found.faults == []
    async with trail_in(settings, trail) as (_, chain, _):
        told = set()
        async for link in chain.links(settings.tenant):
            assert isinstance(link, Link)
            told |= {one.request_id for one in events_in(chain.opened(link))[1]}
    assert set(answered) <= told
