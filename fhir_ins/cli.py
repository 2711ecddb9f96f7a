"""The command line: serve, indexes, reindex, keys, audit, erase, sandbox, simulator, check-certificate, cnda.

Each command imports what it runs.
"""

import asyncio
import inspect
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import SecretStr, ValidationError

from fhir_ins import __version__
from fhir_ins.audit_command import commands as audit_commands
from fhir_ins.cnda.commands import commands as cnda_commands
from fhir_ins.settings import Settings

cli = typer.Typer(
    help="A FHIR R4 server for the French national health identity (INS).", no_args_is_help=True, add_completion=False
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"fhir-ins {__version__}")
        raise typer.Exit


@cli.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """A FHIR R4 server for the French national health identity (INS)."""


def main() -> None:
    cli()


def serve(**options: str | None) -> None:
    """Serve the FHIR API."""
    import uvicorn

    from fhir_ins.app import application, store_fault, warm_up
    from fhir_ins.insi.certificate import CertificateFault
    from fhir_ins.log import configure
    from fhir_ins.serving import uvicorn_options

    settings = _settings(options)
    try:
        app = application(settings)
        serving = uvicorn_options(settings)
    except (CertificateFault, ValueError) as error:
        _fail(str(error))
    except OSError as error:  # a file that a setting names
        _fail(f"{error.filename}: {error.strerror}")
    if fault := asyncio.run(store_fault(settings)):
        _fail(fault)
    configure()
    warm_up()
    uvicorn.run(app, host=settings.host, port=settings.port, timeout_graceful_shutdown=25, **serving)


def _shown(default: object) -> str | bool:
    """A setting's default as the help shows it; an unset or secret one is not shown."""
    if isinstance(default, frozenset):
        return ",".join(sorted(default))
    return False if default in (None, "", ()) or isinstance(default, SecretStr) else str(default)


def _reindex(**options: str | None) -> None:
    """Make all search keys anew, while servers serve; after a change of FR Core release, stop the servers first."""
    from fhir_ins.reindex import Count, reindex

    def tell(count: Count) -> None:
        if count.seen % 10_000 == 0:
            typer.echo(f"{count.seen} resources so far", err=True)

    from fhir_ins.security.keyring import KeyFault
    from fhir_ins.store.writing import WrittenOtherwise

    settings = _settings(options)
    try:
        count = asyncio.run(reindex(settings, tell=tell))
    except (WrittenOtherwise, KeyFault, ValueError) as error:
        _fail(str(error))
    typer.echo(f"{count.seen} resources read, {count.changed} with a new version: FR Core {settings.fr_core}.")


def _indexes(**options: str | None) -> None:
    """List the indexes of the database: fields, state, size and use; ends with 1 where one is not as it should be."""
    from pymongo.errors import PyMongoError

    from fhir_ins.store.database import Database
    from fhir_ins.store.indexes import IndexState, index_states

    settings = _settings(options)

    async def states() -> list[IndexState]:
        uri, name = settings.mongodb_uri.get_secret_value(), settings.mongodb_database
        database = Database(uri, name, timeout=settings.mongodb_timeout)
        try:
            return await index_states(database.database)
        finally:
            await database.close()

    try:
        found = asyncio.run(states())
    except PyMongoError:
        _fail("MongoDB does not answer: start it, or set FHIR_INS_MONGODB_URI to the server's.")
    for one in found:
        name = f"{one.collection}.{one.name}"
        typer.echo(f"{name:26} {one.state:9} {one.bytes / 1e6:10.1f} MB {one.used:10} uses  {one.fields}")
    if any(one.state in ("missing", "different") for one in found):
        raise typer.Exit(1)


def _encrypt(**options: str | None) -> None:
    """Encrypt a store that is not yet, with the servers stopped; interrupted, it is run again."""
    from fhir_ins.encryption import encrypt

    count = _with_the_store(encrypt, options)
    typer.echo(
        f"{count} versions encrypted. What was written before stays in MongoDB's oplog and free space for a while."
    )


def _rotate(**options: str | None) -> None:
    """Give each structure a new data key, and seal everything by it anew, while servers read and write."""
    from fhir_ins.encryption import rotate

    typer.echo(f"{_with_the_store(rotate, options)} versions sealed anew.")


def _rewrap(**options: str | None) -> None:
    """Wrap all keys by the current master key, while servers read and write; former ones may be forgotten then."""
    from fhir_ins.encryption import rewrap

    typer.echo(f"{_with_the_store(rewrap, options)} keys wrapped anew.")


def _with_the_store(work: Callable[[Settings], Coroutine[None, None, int]], options: Mapping[str, str | None]) -> int:
    from pymongo.errors import PyMongoError

    from fhir_ins.fhir.outcome import FhirError
    from fhir_ins.security.keyring import KeyFault
    from fhir_ins.store.writing import WrittenOtherwise

    try:
        return asyncio.run(work(_settings(options)))
    except PyMongoError:
        _fail("MongoDB does not answer: start it, or set FHIR_INS_MONGODB_URI to the server's.")
    except (WrittenOtherwise, KeyFault, FhirError, ValueError) as error:
        _fail(str(error))


def _settings(options: Mapping[str, str | None], prefix: str = "") -> Settings:
    """The settings of the environment and of these options; ends the command where one is wrong.

    `prefix`: what the settings' names have before those of the options.
    """
    try:
        return Settings(**{prefix + name: value for name, value in options.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        names = [str(fault["loc"][0]).removeprefix(prefix).replace("_", "-") for fault in error.errors()]
        _fail("\n".join(f"--{name}: {fault['msg']}" for name, fault in zip(names, error.errors(), strict=True)))


def _with_options_of_settings(command: Callable[..., None], *names: str) -> Callable[..., None]:
    """Give a command an option for each of these settings, with its environment variable and its description, after
    what it takes itself.
    """
    taken = inspect.signature(command).parameters.values()
    parameters = [parameter for parameter in taken if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
    parameters += [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                str | None,
                typer.Option(
                    f"--{name.replace('_', '-')}",
                    envvar=f"FHIR_INS_{name.upper()}",
                    help=field.description,
                    show_default=_shown(field.default),
                ),
            ],
        )
        for name in names
        for field in [Settings.model_fields[name]]
    ]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


def _erase(
    patient: Annotated[str, typer.Argument(help="Whom to erase: Patient/ID.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
    **options: str | None,
) -> None:
    """Erase a person: the Patient, what is about it alone, history, search keys, and evidence of calls to INSi."""
    from pymongo.errors import PyMongoError

    from fhir_ins.erase import NothingErased, erase

    settings = _settings(options)
    id_ = patient.removeprefix("Patient/")
    if not yes:
        typer.confirm(f"Erase Patient/{id_} of the structure {settings.tenant} for ever?", abort=True)
    try:
        erased = asyncio.run(erase(settings, id_))
    except (NothingErased, ValueError) as error:
        _fail(str(error))
    except PyMongoError:
        _fail("MongoDB does not answer: run it again, it goes on from where it was.")
    typer.echo(
        f"Erased: {len(erased.resources)} resources, {erased.versions} versions, {erased.evidence} calls to INSi."
    )
    for reference in erased.kept:
        typer.echo(
            f"Kept, since it refers to another Patient too: {reference}. Change or delete it, then run this again."
        )
    if erased.kept:
        raise typer.Exit(1)


_OF_THE_STORE = (
    "mongodb_uri",
    "mongodb_database",
    "mongodb_timeout",
    "master_key",
    "master_key_file",
    "kms",
    "former_master_keys",
)
_keys = typer.Typer(help="The keys of an encrypted store.", no_args_is_help=True)
cli.add_typer(cnda_commands, name="cnda")
cli.add_typer(_keys, name="keys")
_keys.command("encrypt")(_with_options_of_settings(_encrypt, *_OF_THE_STORE))
_keys.command("rotate")(_with_options_of_settings(_rotate, *_OF_THE_STORE))
_keys.command("rewrap")(_with_options_of_settings(_rewrap, *_OF_THE_STORE))
cli.add_typer(audit_commands, name="audit")
cli.command("serve")(_with_options_of_settings(serve, *Settings.model_fields))
cli.command("indexes")(_with_options_of_settings(_indexes, "mongodb_uri", "mongodb_database", "mongodb_timeout"))
cli.command("erase")(
    _with_options_of_settings(
        _erase,
        *("tenant", "fr_core", *_OF_THE_STORE),
        *("insi_evidence_key", "insi_evidence_former_keys"),
        *("audit_key", "audit_former_keys", "audit_checkpoints", "audit_signing_key"),
    )
)
cli.command("reindex")(_with_options_of_settings(_reindex, "fr_core", *_OF_THE_STORE))


@cli.command()
def sandbox(
    port: Annotated[int, typer.Option(envvar="FHIR_INS_PORT", help="Port of the FHIR server.")] = 8080,
    directory: Annotated[Path, typer.Option(help="Where data, logs and the throw-away PKI live.")] = Path(".sandbox"),
) -> None:
    """Run the whole thing on this machine: MongoDB, an INSi simulator over mTLS, and the FHIR server."""
    from fhir_ins.sandbox import SandboxError, run

    try:
        run(port, directory)
    except SandboxError as error:
        _fail(str(error))


@cli.command()
def simulator(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8443,
    directory: Annotated[Path, typer.Option(help="Where its throw-away PKI is, or will be.")] = Path(".sandbox/pki"),
    idam: Annotated[str | None, typer.Option(help="The IDAM it knows; any other one gets desir_550.")] = None,
    behaviour: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="How it behaves (docs/insi.md); may be repeated.")
    ] = None,
) -> None:
    """Run the INSi simulator: SOAP over mTLS, the official fictitious identities.

    A behaviour (fault=insi_102, wire=reset, delay=0.3…) can also be the query string of its /lps, for one request, or
    be put to its /control as JSON, for all.
    """
    from fhir_ins.simulator.behaviour import UnknownBehaviour, parse_options
    from fhir_ins.simulator.server import serve as serve_simulator
    from fhir_ins.simulator.service import DEFAULT_IDAM

    try:
        behaves = parse_options(behaviour or ())
    except UnknownBehaviour as error:
        _fail(str(error))
    serve_simulator(host, port, directory, idam or DEFAULT_IDAM, behaves)


@cli.command()
def check_certificate(
    file: Annotated[
        Path | None,
        typer.Argument(envvar="FHIR_INS_INSI_PKCS12", help="The organisation's certificate, a PKCS#12 file."),
    ] = None,
    passphrase: Annotated[
        str | None, typer.Option(envvar="FHIR_INS_INSI_PKCS12_PASSPHRASE", help="Its passphrase; best in the variable.")
    ] = None,
    trust: Annotated[
        str | None, typer.Option(envvar="FHIR_INS_INSI_TRUST", help="PEM file of the authorities to believe.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(envvar="FHIR_INS_INSI_ENDPOINT", help="The téléservice it is meant for.")
    ] = None,
    call: Annotated[
        bool, typer.Option("--call", help="Ask INSi once, for a fictitious person, with the FHIR_INS_INSI_… settings.")
    ] = False,
) -> None:
    """Say in plain words whether a certificate is fit for the téléservice INSi; the exit code is 1 when it is not."""
    from fhir_ins.certificate_command import check

    if file is None:
        _fail("name the PKCS#12 file of the certificate, or set FHIR_INS_INSI_PKCS12.")
    given = {"pkcs12": str(file), "pkcs12_passphrase": passphrase, "trust": trust, "endpoint": endpoint}
    raise typer.Exit(check(file, _settings(given, prefix="insi_"), call=call))


def _fail(text: str) -> NoReturn:
    typer.echo(f"fhir-ins: {text}", err=True)
    sys.exit(1)
