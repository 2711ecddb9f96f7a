"""The audit trail as the settings configure it, and what keeps it while a server runs: checkpoints and retention."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pymongo.errors import PyMongoError

from fhir_ins.insi.port import Exchange, Witness
from fhir_ins.security.audit.checkpoints import Checkpoints, signing_key
from fhir_ins.security.audit.keys import AuditKeys
from fhir_ins.settings import Settings
from fhir_ins.store.chain import Chain
from fhir_ins.store.database import Database
from fhir_ins.store.retention import retire
from fhir_ins.store.trail import Trail

RETENTION_SECONDS = 3600.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Auditing:
    """What an audit trail needs: the key that seals it, the one that signs, where checkpoints go."""

    keys: AuditKeys
    signing: Ed25519PrivateKey
    checkpoints: Checkpoints


def configured_audit(settings: Settings) -> Auditing | None:
    """None where there is no audit key. Raises ValueError or OSError, naming the setting that is wrong or missing."""
    keys = audit_keys(settings)
    if keys is None:
        return None
    if settings.audit_checkpoints is None:
        raise ValueError(
            "FHIR_INS_AUDIT_CHECKPOINTS is needed with FHIR_INS_AUDIT_KEY: a directory that the database does not hold."
        )
    if settings.audit_signing_key is None:
        raise ValueError(
            "FHIR_INS_AUDIT_SIGNING_KEY is needed with FHIR_INS_AUDIT_KEY: a PEM file (openssl genpkey -algorithm "
            "ed25519)."
        )
    settings.audit_checkpoints.mkdir(parents=True, exist_ok=True)
    return Auditing(keys, signing_key(settings.audit_signing_key), Checkpoints(settings.audit_checkpoints))


def audit_keys(settings: Settings) -> AuditKeys | None:
    """The keys of the trail; None without one. Raises ValueError for what is no key."""
    return AuditKeys.parse(settings.audit_key.get_secret_value(), settings.audit_former_keys.get_secret_value())


def chain_of(database: Database, auditing: Auditing | None) -> Chain | None:
    return Chain(database, auditing.keys) if auditing else None


def trail_of(settings: Settings, auditing: Auditing | None, chain: Chain | None) -> Trail | None:
    return Trail(chain, auditing.keys, _server(settings)) if auditing and chain else None


@asynccontextmanager
async def keeping(settings: Settings, auditing: Auditing | None, trail: Trail | None) -> AsyncIterator[None]:
    """Have the trail signed, and what is old retired, while inside; on the way out its end is signed."""
    if auditing is None or trail is None:
        yield
        return
    signer, stopping = _Signer(auditing, trail), asyncio.Event()
    jobs = [
        asyncio.create_task(signer.run(settings.audit_checkpoint_seconds, stopping)),
        asyncio.create_task(_retiring(auditing, trail.chain, settings.audit_days, stopping)),
    ]
    try:
        yield
    finally:
        stopping.set()  # what is under way ends: half of a retention is done again, but may as well be whole
        await asyncio.gather(*jobs)
        await signer.sign()


class _Signer:
    """Writes a checkpoint of each chain that has grown."""

    def __init__(self, auditing: Auditing, trail: Trail) -> None:
        self._auditing = auditing
        self._trail = trail
        self._signed: dict[str, int] = {}

    async def run(self, seconds: float, stopping: asyncio.Event) -> None:
        while not await _passed(stopping, seconds):
            await self.sign()

    async def sign(self) -> None:
        for tenant, tail in self._trail.tails().items():
            if tail.sequence == self._signed.get(tenant):
                continue
            checkpoints, key = self._auditing.checkpoints, self._auditing.signing
            try:
                await asyncio.to_thread(checkpoints.append, key, tenant, tail.sequence, tail.hash, cut=False)
            except OSError as error:
                _log.error("audit_checkpoint_not_written", tenant=tenant, error=error.strerror)
                continue
            self._signed[tenant] = tail.sequence


async def _retiring(auditing: Auditing, chain: Chain, days: int, stopping: asyncio.Event) -> None:
    """Now and then, take away what is older than its days."""
    waiting = 0.0
    while not await _passed(stopping, waiting):
        waiting = RETENTION_SECONDS
        try:
            for tenant in await chain.tenants():
                if stopping.is_set():
                    return
                if removed := await retire(chain, auditing.checkpoints, auditing.signing, tenant, days):
                    _log.info("audit_batches_retired", tenant=tenant, batches=removed)
        except (PyMongoError, OSError) as error:
            _log.warning("audit_retention_failed", error=type(error).__name__)


async def _passed(event: asyncio.Event, seconds: float) -> bool:
    """Whether it has happened within so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


def witnesses(*all_: Witness | None) -> Witness | None:
    """One witness of these; each sees every exchange. None of none."""
    present = [one for one in all_ if one]

    async def witness(exchange: Exchange) -> None:
        for one in present:
            await one(exchange)

    return witness if present else None


def _server(settings: Settings) -> str:
    """What this server is known by in AuditEvents: its base URL."""
    return str(settings.base_url or f"http://{settings.host}:{settings.port}/fhir").rstrip("/")
