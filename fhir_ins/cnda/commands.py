"""`fhir-ins cnda`: play the conformity cases, or export them from the evidence. Each command imports what it runs."""

import asyncio
import logging
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import structlog
import typer
from pydantic import ValidationError

from fhir_ins import __version__
from fhir_ins.settings import Settings

if TYPE_CHECKING:
    from fhir_ins.cnda.case import Case
    from fhir_ins.cnda.export import Exported
    from fhir_ins.cnda.play import Played
    from fhir_ins.cnda.report import Report

commands = typer.Typer(help="The CNDA's conformity cases for the téléservice INSi.", no_args_is_help=True)

_CASES = Annotated[list[str] | None, typer.Option("--case", help="A case, 2.03-c1, or 2.03 for all of it; else all.")]

_AS_THE_SIMULATOR_KNOWS_US = {"insi_mode": "certificate", "insi_emetteur": "", "insi_assertion_source": ""}


@commands.command()
def run(
    report: Annotated[Path, typer.Option(help="Directory of the report; an earlier report in it is replaced.")] = Path(
        "cnda-report"
    ),
    case: _CASES = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            envvar="FHIR_INS_INSI_ENDPOINT",
            help="INSi's qualification environment, the other FHIR_INS_INSI_… settings of `fhir-ins serve` being in "
            "the environment; else, without FHIR_INS_INSI_TENANTS, the simulator is started.",
        ),
    ] = None,
) -> None:
    """Play the cases and write a report with their SOAP frames; the exit code is 1 when a case failed."""
    from fhir_ins.cnda.cases import chosen
    from fhir_ins.cnda.play import Production
    from fhir_ins.cnda.report import NotOurs, make_room
    from fhir_ins.insi.certificate import CertificateFault
    from fhir_ins.simulated import SimulatorFailed, simulated_insi

    _log_warnings_only()
    with ExitStack() as parts:
        try:
            cases = chosen(case or [])
            make_room(report)
            settings, card = _settings(**({"insi_endpoint": endpoint} if endpoint else {})), None
            if settings.insi_endpoint is None and settings.insi_tenants is None:
                directory = parts.enter_context(tempfile.TemporaryDirectory(prefix="fhir-ins-"))
                simulated = parts.enter_context(simulated_insi(Path(directory)))
                settings, card = _settings(**simulated.settings, **_AS_THE_SIMULATOR_KNOWS_US), simulated.card
            played = asyncio.run(_play(cases, settings, card))
        except (CertificateFault, NotOurs, Production, SimulatorFailed, ValueError) as error:
            _fail(str(error))
    _hand_in(played, report)


@commands.command()
def export(
    directory: Annotated[Path, typer.Option(help="Directory of the report; an earlier report in it is replaced.")] = (
        Path("cnda-report")
    ),
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The first day (UTC); else all.")] = None,
    tenant: Annotated[
        str | None, typer.Option(envvar="FHIR_INS_TENANT", help="The structure whose evidence it is.")
    ] = None,
    case: _CASES = None,
) -> None:
    """Find the cases in the evidence of a server, by its FHIR_INS_MONGODB_… and FHIR_INS_INSI_EVIDENCE_… settings.

    Exchanges that belong to no case are about real people: they are counted and never written. The exit code is 1 when
    a case failed, or when evidence cannot be opened.
    """
    from pymongo.errors import PyMongoError

    from fhir_ins.cnda.cases import chosen

    settings = _settings(**({"tenant": tenant} if tenant else {}))
    try:
        first = since.replace(tzinfo=UTC) if since else None
        found = asyncio.run(_export(chosen(case or []), settings, first))
    except PyMongoError:
        _fail("MongoDB does not answer: start it, or set FHIR_INS_MONGODB_URI to the server's.")
    except ValueError as error:
        _fail(str(error))
    for unopened in found.unopened:
        typer.echo(f"fhir-ins: the exchange {unopened.message_id} cannot be opened: {unopened.reason}.", err=True)
    _hand_in(_exported_report(found, settings), directory, whole=not found.unopened)


async def _play(cases: "Sequence[Case]", settings: Settings, card: Path | None) -> "Report":
    """`card`: the professional's card of the simulator; None where INSi is not our simulator."""
    from fhir_ins.cnda.play import play
    from fhir_ins.cnda.report import Report
    from fhir_ins.configured_insi import insi_configurations
    from fhir_ins.insi.assertion_ps import SoftwareSigner
    from fhir_ins.simulated import PASSPHRASE

    configuration = insi_configurations(settings).get(settings.tenant)
    if configuration is None:
        raise ValueError(f"The tenant {settings.tenant} has no INSi in {settings.insi_tenants}.")
    signer = SoftwareSigner(card, PASSPHRASE) if card else None
    began = datetime.now(UTC)
    played = []
    async for one in play(cases, configuration, settings.tenant, injects=card is None, signer=signer):
        _tell(one)
        played.append(one)
    rehearsal = ", the simulator of fhir-ins: a rehearsal, no evidence for the CNDA" if card else ""
    software = f"{configuration.lps_name} {configuration.lps_version}, IDAM {configuration.idam}"
    return Report(
        {"Played": _time(began), "Endpoint": configuration.endpoint + rehearsal, "Software": software, "By": _ours()},
        played,
    )


async def _export(cases: "Sequence[Case]", settings: Settings, since: datetime | None) -> "Exported":
    from fhir_ins.cnda.export import export
    from fhir_ins.evidence import evidence_keys
    from fhir_ins.store.database import Database
    from fhir_ins.store.evidence import Evidence

    keys = evidence_keys(settings)
    if keys is None:
        raise ValueError("The evidence opens with its key: set FHIR_INS_INSI_EVIDENCE_KEY.")
    database = Database(
        settings.mongodb_uri.get_secret_value(), settings.mongodb_database, timeout=settings.mongodb_timeout
    )
    try:
        evidence = Evidence(database, keys, days=settings.insi_evidence_days)
        return await export(evidence, settings.tenant, since, cases)
    finally:
        await database.close()


def _exported_report(found: "Exported", settings: Settings) -> "Report":
    from fhir_ins.cnda.report import Report

    for one in found.played:
        _tell(one)
    about = {
        "Exported": _time(datetime.now(UTC)),
        "Structure": settings.tenant,
        "By": _ours(),
        "Judged": "the last time each case was played",
        "Exchanges of no case": f"{found.others}, not exported",
        "Exchanges that do not open": ", ".join(unopened.message_id for unopened in found.unopened) or "none",
    }
    return Report(about, found.played)


def _tell(played: "Played") -> None:
    """One aligned line, and a line for each reason of the verdict."""
    from fhir_ins.cnda.wording import outcome_in_words

    seconds = f"{played.seconds * 1000:5.0f} ms" if played.seconds is not None else ""
    came = outcome_in_words(played.outcome) if played.outcome else ""
    count = f"{len(played.frames)} call{'s' if len(played.frames) != 1 else ''}"
    typer.echo(f"{played.case.name:8} {played.verdict.result.value:15} {count:8} {seconds:9} {came}".rstrip())
    for reason in played.verdict.reasons:
        typer.echo(f"{'':8} {reason}")


def _hand_in(report: "Report", directory: Path, *, whole: bool = True) -> None:
    """Write the report, say where it is, and end the command; `whole`: nothing of it is missing."""
    from fhir_ins.cnda.report import NotOurs, write

    try:
        page = write(report, directory)
    except (NotOurs, OSError) as error:
        _fail(str(error))
    typer.echo(f"{report.count}: {page}")
    raise typer.Exit(1 if report.failed or not whole else 0)


def _settings(**options: Any) -> Settings:
    """The settings of the environment and of these options; ends the command where one is wrong."""
    try:
        return Settings(**options)
    except ValidationError as error:
        _fail("\n".join(f"FHIR_INS_{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors()))


def _log_warnings_only() -> None:
    """Leave the terminal to the cases."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _ours() -> str:
    return f"fhir-ins {__version__}"


def _time(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _fail(text: str) -> NoReturn:
    typer.echo(f"fhir-ins: {text}", err=True)
    sys.exit(1)
