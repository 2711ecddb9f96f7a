"""The composition: settings in, ASGI application out. Nothing but the command line and the tests imports it."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from functools import cache

import pymongo
import structlog
from fastapi import FastAPI
from pymongo.errors import PyMongoError
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route

from fhir_ins import __version__
from fhir_ins.api.access_log import AccessLog
from fhir_ins.api.audit_events import AuditEvents
from fhir_ins.api.auditing import witnessed
from fhir_ins.api.capabilities import capabilities_by_mode
from fhir_ins.api.context import Context
from fhir_ins.api.deferred_worker import carrying_out
from fhir_ins.api.docs import home, page
from fhir_ins.api.errors import HANDLERS
from fhir_ins.api.openapi import described
from fhir_ins.api.proxies import Proxies
from fhir_ins.api.published import Published
from fhir_ins.api.rates import Rates
from fhir_ins.api.routes import ROUTES
from fhir_ins.api.served import served
from fhir_ins.api.tenancy import Tenancy
from fhir_ins.artifacts import profiles
from fhir_ins.at_rest import configured_keyring
from fhir_ins.audit import chain_of, configured_audit, keeping, trail_of, witnesses
from fhir_ins.configured_access import anonymous_rights, configured_access
from fhir_ins.configured_insi import configured_insi, insi_configurations
from fhir_ins.conformance import configured_fr_core
from fhir_ins.evidence import evidence_keys, witness_for
from fhir_ins.fhir.json import serialise
from fhir_ins.fhir.outcome import Unavailable
from fhir_ins.fhir.structure import validate
from fhir_ins.fhir.xml import serialise_xml
from fhir_ins.security.authentication import Authentication
from fhir_ins.security.keyring import KeyFault
from fhir_ins.settings import Settings
from fhir_ins.store.database import CURSOR_KEY, DEFERRED_KEY, Database, SchemaTooNew
from fhir_ins.store.deferred import DeferredCalls
from fhir_ins.store.evidence import Evidence
from fhir_ins.store.indexes import make_indexes
from fhir_ins.store.resources import Resources
from fhir_ins.store.writing import Writing, WrittenOtherwise, keys_watched, require_writing


def application(settings: Settings) -> FastAPI:
    """The server. Raises CertificateFault or ValueError when something is configured wrongly."""
    insi_of_tenants = insi_configurations(settings)
    fr_core = configured_fr_core(settings)
    keys = evidence_keys(settings)
    keyring = configured_keyring(settings)
    auditing = configured_audit(settings)
    types = served(settings.further_types)
    access = configured_access(settings)
    anonymous = anonymous_rights(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(
            settings.mongodb_uri.get_secret_value(),
            settings.mongodb_database,
            timeout=settings.mongodb_timeout,
            search_timeout=settings.search_timeout,
            most_unbounded=settings.search_unbounded,
            keyring=keyring,
        )
        evidence = Evidence(database, keys, days=settings.insi_evidence_days) if keys else None
        chain = chain_of(database, auditing)
        trail = trail_of(settings, auditing, chain)
        witness = witnesses(witnessed if auditing else None, witness_for(evidence) if evidence else None)
        insi = configured_insi(settings, insi_of_tenants, witness)
        try:
            await database.prepare(indexes=False)
            making = await indexes_being_made(database)
            if evidence:
                await evidence.prepare()
            watching = await searchable(database, Writing(settings.fr_core, sealed=keyring is not None))
            context = app.state.context = Context(
                settings=settings,
                authentication=Authentication(access),
                anonymous=anonymous,
                database=database,
                resources=Resources(database),
                deferred=DeferredCalls(database, await database.secret(DEFERRED_KEY)),
                fr_core=fr_core,
                published=Published(profiles()),
                trail=trail,
                audit_events=AuditEvents(chain, auditing.keys if auditing else None),
                served=types,
                insi=insi,
                cursor_key=await database.secret(CURSOR_KEY),
                capabilities=capabilities_by_mode(settings, types),
                openapi=cache(lambda: serialise(described(ROUTES, settings, types))),
                docs=cache(lambda: page(ROUTES, settings, types)),
                rates=Rates.of(settings),
            )
            async with keeping(settings, auditing, trail), carrying_out(context, [*access.finess]):
                yield
            making.cancel()
            watching.cancel()
        finally:
            if insi:
                await insi.aclose()
            await database.close()

    app = FastAPI(
        title="fhir-ins",
        version=__version__,
        openapi_url=None,
        lifespan=lifespan,
        exception_handlers=HANDLERS,
    )
    app.router.redirect_slashes = False
    app.router.routes.extend([*ROUTES, Route("/", home)])
    if access.several:
        app.add_middleware(Tenancy)
    app.add_middleware(GZipMiddleware, minimum_size=1400, compresslevel=5)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=[
                "ETag",
                "Last-Modified",
                "Location",
                "Content-Location",
                "Retry-After",
                "X-Request-Id",
                "X-Correlation-Id",
            ],
        )
    if settings.trusted_proxies or settings.client_certificate_header:
        app.add_middleware(Proxies, networks=settings.trusted_proxies, header=settings.client_certificate_header)
    app.add_middleware(AccessLog)
    return app


async def indexes_being_made(database: Database, patience: float = 10.0, again: float = 60.0) -> asyncio.Task[None]:
    """The making of the indexes that are missing, waited for so long at most: it goes on while requests are served.

    Raises PyMongoError where it fails meanwhile; later it is told in the log, and tried again after so many seconds.
    """

    async def make() -> None:
        with pymongo.timeout(None):
            await make_indexes(database.database)

    async def until_made(first: asyncio.Task[None]) -> None:
        making: Awaitable[None] = first
        while True:
            try:
                return await making
            except PyMongoError as error:
                code = getattr(error, "code", None)  # its text may quote a document
                log.error("indexes_not_made", error=type(error).__name__, code=code, see="fhir-ins indexes")
            await asyncio.sleep(again)
            making = make()

    log = structlog.get_logger()
    making = asyncio.create_task(make())
    await asyncio.wait({making}, timeout=patience)
    if making.done():
        making.result()
        return making
    log.warning("indexes_being_made", see="fhir-ins indexes")
    return asyncio.create_task(until_made(making))


async def searchable(database: Database, ours: Writing) -> asyncio.Task[None]:
    """The watch that lets the store be searched while its search keys are ours. Raises WrittenOtherwise."""
    database.keys_are_ours = await require_writing(database, ours)
    if not database.keys_are_ours:
        structlog.get_logger().warning("search_keys_of_another_release", remedy="fhir-ins reindex")
    return asyncio.create_task(keys_watched(database, ours))


async def store_fault(settings: Settings) -> str | None:
    """Why this store cannot be served, in plain words; None when it can."""
    keyring = configured_keyring(settings)
    database = Database(settings.mongodb_uri.get_secret_value(), settings.mongodb_database, timeout=5, keyring=keyring)
    try:
        await database.ping()
        await database.prepare(indexes=False)
        await require_writing(database, Writing(settings.fr_core, sealed=keyring is not None))
        await database.seals.check()
    except PyMongoError:
        nodes = ", ".join(f"{host}:{port}" for host, port in database.client.topology_description.server_descriptions())
        return f"MongoDB does not answer at {nodes}: start it, or set FHIR_INS_MONGODB_URI to a replica set."
    except (SchemaTooNew, WrittenOtherwise, KeyFault, Unavailable) as error:
        return str(error)
    finally:
        await database.close()
    return None


def warm_up() -> None:
    """Do before serving what the first requests would wait for, and keep it out of the garbage collector's way.

    What start-up makes stays; walking it at each full collection stops every request for tens of milliseconds.
    """
    validate({"resourceType": "Patient"})
    serialise_xml({"resourceType": "Patient"})
    gc.collect()
    gc.freeze()
