"""Servers with an audit trail, and the trail as its holders look at it."""

import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from servers import SANDBOX_RIGHTS

from fhir_ins.audit import Auditing, configured_audit
from fhir_ins.security.audit.checkpoints import write_signing_key
from fhir_ins.security.caller import Right
from fhir_ins.settings import Settings
from fhir_ins.store.chain import Chain
from fhir_ins.store.database import Database
from fhir_ins.store.verification import Finding, verified

Json = dict[str, Any]

AUDITOR = SANDBOX_RIGHTS | {Right.AUDIT}


def trail_settings(directory: Path) -> Json:
    """The settings of an audit trail whose files are in this directory."""
    if not (signing := directory / "signing.pem").exists():
        write_signing_key(signing)
    return {
        "audit_key": base64.b64encode(os.urandom(32)).decode(),
        "audit_checkpoints": str(directory / "checkpoints"),
        "audit_signing_key": str(signing),
    }


@asynccontextmanager
async def trail_in(settings: Settings, trail: Json) -> AsyncIterator[tuple[Database, Chain, Auditing]]:
    """The trail as whoever verifies it has it."""
    auditing = configured_audit(Settings(**{**settings.model_dump(), **trail}))
    assert auditing
    database = Database(settings.mongodb_uri.get_secret_value(), settings.mongodb_database)
    try:
        yield database, Chain(database, auditing.keys), auditing
    finally:
        await database.close()


async def verification(settings: Settings, trail: Json) -> Finding:
    """What `fhir-ins audit verify` finds of the tenant."""
    async with trail_in(settings, trail) as (_, chain, auditing):
        good, bad = auditing.checkpoints.read(settings.tenant, [auditing.signing.public_key()])
        return await verified(chain, settings.tenant, good, bad)


async def audit_events(auditor: httpx.AsyncClient, query: str = "") -> list[Json]:
    """The AuditEvents that a search finds, over all its pages."""
    found: list[Json] = []
    address: str | None = f"/AuditEvent?{query}"
    while address:
        answer = await auditor.get(address)
        assert answer.status_code == 200, answer.text
        bundle = answer.json()
        found += [entry["resource"] for entry in bundle.get("entry", ())]
        address = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
    return found
