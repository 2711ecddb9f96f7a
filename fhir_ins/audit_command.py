"""`fhir-ins audit`: is the trail whole, and what stands behind a sealed value. Each command imports what it runs."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from pydantic import ValidationError

from fhir_ins.settings import Settings

if TYPE_CHECKING:
    from fhir_ins.store.verification import Finding

commands = typer.Typer(help="The audit trail: whether it is whole, and its sealed values.", no_args_is_help=True)

_TENANT_HELP = "The structure whose trail it is"


@commands.command()
def verify(
    tenant: Annotated[str | None, typer.Option(help=f"{_TENANT_HELP}; else each one is verified.")] = None,
    checkpoints: Annotated[
        Path | None,
        typer.Option(envvar="FHIR_INS_AUDIT_CHECKPOINTS", help="Directory of the signed checkpoints, or a copy of it."),
    ] = None,
    public_key: Annotated[
        list[Path] | None,
        typer.Option(help="PEM file of the public half of a key that signed; may be repeated. Else FHIR_INS_AUDIT_…"),
    ] = None,
) -> None:
    """Walk each chain of audit events and hold it against its signed checkpoints; ends with 1 where it is not whole.

    Without FHIR_INS_AUDIT_KEY the events themselves are not opened.
    """
    from pymongo.errors import PyMongoError

    from fhir_ins.audit import audit_keys
    from fhir_ins.security.audit.checkpoints import Checkpoints, public_keys, signing_key

    settings = _settings()
    if checkpoints is None:
        _fail("name the directory of the checkpoints (--checkpoints), or set FHIR_INS_AUDIT_CHECKPOINTS.")
    try:
        keys = audit_keys(settings)
        trusted = public_keys(public_key or [])
        if settings.audit_signing_key and not public_key:
            trusted.append(signing_key(settings.audit_signing_key).public_key())
    except (ValueError, OSError) as error:
        _fail(str(error))
    if not trusted:
        _fail("name the public key of the checkpoints (--public-key), or set FHIR_INS_AUDIT_SIGNING_KEY.")

    async def findings() -> "list[Finding]":
        from fhir_ins.store.chain import Chain
        from fhir_ins.store.verification import verified

        kept = Checkpoints(checkpoints)
        database = _database(settings)
        try:
            chain = Chain(database, keys)
            tenants = [tenant] if tenant else sorted({*await chain.tenants(), *kept.tenants()})
            return [await verified(chain, one, *kept.read(one, trusted)) for one in tenants]
        finally:
            await database.close()

    try:
        found = asyncio.run(findings())
    except PyMongoError:
        _fail("MongoDB does not answer: start it, or set FHIR_INS_MONGODB_URI to the server's.")
    for one in found:
        _tell(one, opened=keys is not None)
    if not found:
        typer.echo("There is no audit trail here.")
    if any(one.faults for one in found):
        raise typer.Exit(1)


@commands.command()
def reveal(
    what: Annotated[str, typer.Argument(help="The id of an AuditEvent, or a value of one that starts with sealed~.")],
    tenant: Annotated[str | None, typer.Option(envvar="FHIR_INS_TENANT", help=f"{_TENANT_HELP}.")] = None,
) -> None:
    """Show what is sealed: a value, or the address and the query of an AuditEvent. It names people: mind who reads."""
    from pymongo.errors import PyMongoError

    from fhir_ins.audit import audit_keys
    from fhir_ins.security.audit.keys import CONCEALED, NotOpened

    settings = _settings()
    tenant = tenant or settings.tenant
    try:
        keys = audit_keys(settings)
        if keys is None:
            _fail("set FHIR_INS_AUDIT_KEY: without the key nothing is revealed.")
        if what.startswith(CONCEALED):
            typer.echo(keys.revealed(tenant, what))
            return
        shown = asyncio.run(_asked(settings, keys, tenant, what))
    except (NotOpened, ValueError) as error:
        _fail(str(error))
    except PyMongoError:
        _fail("MongoDB does not answer: start it, or set FHIR_INS_MONGODB_URI to the server's.")
    if shown is None:
        _fail(f"there is no AuditEvent {what} of this tenant.")
    typer.echo(shown)


async def _asked(settings: Settings, keys: Any, tenant: str, id_: str) -> str | None:
    """What an event was asked by: its interaction, its address, its query; None where there is no such event."""
    from fhir_ins.api.audit_event import place_of_id
    from fhir_ins.security.audit.event import events_in
    from fhir_ins.store.chain import Chain

    place = place_of_id(id_)
    database = _database(settings)
    try:
        chain = Chain(database, keys)
        link = await chain.at(tenant, place[0]) if place else None
        _, events = events_in(chain.opened(link)) if link else ("", [])
    finally:
        await database.close()
    if place is None or not 1 <= place[1] <= len(events):
        return None
    event = events[place[1] - 1]
    address = "/".join(part for part in (event.type, event.id) if part)
    return f"{event.interaction} {address}{'?' if event.query else ''}{event.query}"


def _tell(found: "Finding", *, opened: bool) -> None:
    """In plain words."""
    events = f", {found.events} events" if opened else ", not opened: no FHIR_INS_AUDIT_KEY"
    typer.echo(
        f"{found.tenant}: {'NOT whole' if found.faults else 'whole'}: {found.batches} batches{events}, "
        f"{found.checkpoints} checkpoints."
    )
    if found.retired:
        typer.echo(f"  Retention has taken away the batches up to {found.retired}, and has signed so.")
    if found.uncovered:
        typer.echo(f"  The last {found.uncovered} batches are not signed yet: nothing tells whether others followed.")
    for fault in found.faults:
        typer.echo(f"  - {fault}")


def _database(settings: Settings) -> Any:
    from fhir_ins.store.database import Database

    uri, name = settings.mongodb_uri.get_secret_value(), settings.mongodb_database
    return Database(uri, name, timeout=settings.mongodb_timeout)


def _settings() -> Settings:
    try:
        return Settings()  # type: ignore[call-arg]
    except ValidationError as error:
        _fail("\n".join(f"FHIR_INS_{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors()))


def _fail(text: str) -> NoReturn:
    typer.echo(f"fhir-ins: {text}", err=True)
    sys.exit(1)
