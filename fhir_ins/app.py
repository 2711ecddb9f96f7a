"""The composition: settings in, ASGI application out. Nothing but the command line and the tests imports it."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from pymongo.errors import PyMongoError

from fhir_ins import __version__
from fhir_ins.api.access_log import AccessLog
from fhir_ins.api.capabilities import capability_statement
from fhir_ins.api.context import Context
from fhir_ins.api.deferred_worker import carrying_out
from fhir_ins.api.errors import HANDLERS
from fhir_ins.api.published import Published
from fhir_ins.api.routes import ROUTES
from fhir_ins.artifacts import profiles
from fhir_ins.conformance import configured_fr_core
from fhir_ins.evidence import evidence_keys, witness_for
from fhir_ins.fhir.structure import validate
from fhir_ins.insi.assertion_source import load_source
from fhir_ins.insi.certificate_file import CertificateFile
from fhir_ins.insi.soap import SoapAdapter, SoapConfiguration
from fhir_ins.insi.teleservice import Rules, Teleservice
from fhir_ins.insi.verification import NAMES, VerificationContract
from fhir_ins.settings import Settings
from fhir_ins.store.database import Database, SchemaTooNew
from fhir_ins.store.deferred import DeferredCalls
from fhir_ins.store.evidence import Evidence
from fhir_ins.store.resources import Resources
from fhir_ins.store.writing import Writing, WrittenOtherwise, require_writing


def application(settings: Settings) -> FastAPI:
    """The server. Raises CertificateFault or ValueError when something is configured wrongly."""
    configuration = insi_configuration(settings)
    fr_core = configured_fr_core(settings)
    keys = evidence_keys(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(
            settings.mongodb_uri.get_secret_value(), settings.mongodb_database, timeout=settings.mongodb_timeout
        )
        evidence = Evidence(database, keys, days=settings.insi_evidence_days) if keys else None
        insi = teleservice(settings, configuration, evidence) if configuration else None
        try:
            await database.prepare()
            if evidence:
                await evidence.prepare()
            await require_writing(database, Writing(settings.fr_core))
            context = app.state.context = Context(
                settings=settings,
                database=database,
                resources=Resources(database),
                deferred=DeferredCalls(database, await database.secret("deferred-key")),
                fr_core=fr_core,
                published=Published(profiles()),
                insi=insi,
                cursor_key=await database.secret("cursor-key"),
                capability=capability_statement(settings),
            )
            async with carrying_out(context, [settings.tenant]):
                yield
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
    app.router.routes.extend(ROUTES)
    app.add_middleware(AccessLog)
    return app


async def store_fault(settings: Settings) -> str | None:
    """Why this store cannot be served, in plain words; None when it can."""
    database = Database(settings.mongodb_uri.get_secret_value(), settings.mongodb_database, timeout=5)
    try:
        await database.ping()
        await database.prepare()
        await require_writing(database, Writing(settings.fr_core))
    except PyMongoError:
        nodes = ", ".join(f"{host}:{port}" for host, port in database.client.topology_description.server_descriptions())
        return f"MongoDB does not answer at {nodes}: start it, or set FHIR_INS_MONGODB_URI to a replica set."
    except (SchemaTooNew, WrittenOtherwise) as error:
        return str(error)
    finally:
        await database.close()
    return None


def warm_up() -> None:
    """Do before serving what the first requests would wait for, and keep it out of the garbage collector's way.

    What start-up makes stays; walking it at each full collection stops every request for tens of milliseconds.
    """
    validate({"resourceType": "Patient"})
    gc.collect()
    gc.freeze()


def teleservice(settings: Settings, configuration: SoapConfiguration, evidence: Evidence | None) -> Teleservice:
    rules = Rules(
        total=settings.insi_total_timeout,
        attempts=settings.insi_attempts,
        at_once=settings.insi_concurrency,
        places=settings.insi_queue,
        failures=settings.insi_breaker_failures,
        rest=settings.insi_breaker_seconds,
    )
    adapter = SoapAdapter(configuration, witness=witness_for(evidence) if evidence else None)
    return Teleservice({settings.tenant: adapter}, rules)


def insi_configuration(settings: Settings) -> SoapConfiguration | None:
    """What the settings say of the téléservice, the certificate loaded; None when no endpoint is set."""
    if settings.insi_endpoint is None:
        return None
    verification = None
    if settings.insi_verification_wsdl:
        verification = VerificationContract(settings.insi_verification_wsdl, settings.insi_verification_names or NAMES)
    return SoapConfiguration(
        endpoint=str(settings.insi_endpoint),
        certificate=_organisation_s(settings),
        trust=settings.insi_trust,
        idam=settings.insi_idam,
        lps_name=settings.insi_lps_name,
        lps_version=settings.insi_lps_version,
        lps_instance=settings.lps_instance,
        emetteur=settings.insi_emetteur or None,
        given_names_joined=settings.insi_given_names_joined,
        connect_timeout=settings.insi_connect_timeout,
        total_timeout=settings.insi_total_timeout,
        wsdl=settings.insi_wsdl,
        verification=verification,
        assertions=load_source(settings.insi_assertion_source) if settings.insi_assertion_source else None,
    )


def _organisation_s(settings: Settings) -> CertificateFile | None:
    """The organisation's certificate; None where professionals' cards speak."""
    if settings.insi_mode == "cpx":
        return None
    if settings.insi_pkcs12 is None:
        raise ValueError("FHIR_INS_INSI_PKCS12 is needed with FHIR_INS_INSI_ENDPOINT: the organisation's certificate.")
    return CertificateFile(settings.insi_pkcs12, settings.insi_pkcs12_passphrase.get_secret_value())
