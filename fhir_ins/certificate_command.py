"""`fhir-ins check-certificate`: a certificate, its chain, its endpoint and one call, told line by line."""

import asyncio
import logging
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import structlog

from fhir_ins.insi.certificate import Authorities, CertificateFault, load_authorities, load_certificate
from fhir_ins.insi.certificate_check import Finding, Level, examine, examine_chain, examine_endpoint
from fhir_ins.insi.endpoints import Mode
from fhir_ins.settings import Settings

_ABOUT_AT, _TEXT_AT, _WIDTH = 6, 22, 110


def check(file: Path, settings: Settings, *, call: bool) -> int:
    """Print what is found about this certificate with these settings; `call`: ask INSi too.

    The exit code: 0 when nothing keeps INSi from being asked, else 1.
    """
    levels = []
    for finding in _findings(file, settings, call=call):
        levels.append(finding.level)
        print(_line(finding), flush=True)
    bad, notes = levels.count(Level.BAD), levels.count(Level.NOTE)
    print()
    if bad:
        print(f"Not fit for INSi: {bad} BAD finding{'s' if bad > 1 else ''} above.")
    else:
        print(f"Fit for INSi{', but read the notes' if notes else ''}.")
    return 1 if bad else 0


def _findings(file: Path, settings: Settings, *, call: bool) -> Iterator[Finding]:
    try:
        certificate = load_certificate(file, settings.insi_pkcs12_passphrase.get_secret_value())
    except CertificateFault as fault:
        yield Finding(Level.BAD, "file", str(fault))
        return
    yield Finding(Level.OK, "file", f"{file} opens with its passphrase.")
    yield from examine(certificate, datetime.now(UTC))
    authorities: Authorities = ()
    try:
        authorities = load_authorities(settings.insi_trust) if settings.insi_trust else ()
    except CertificateFault as fault:
        yield Finding(Level.BAD, "trust", str(fault))
    yield examine_chain(certificate, authorities)
    endpoint = str(settings.insi_endpoint) if settings.insi_endpoint else None
    yield from examine_endpoint(certificate, endpoint, trust=settings.insi_trust is not None)
    if call:
        yield _called(settings)


def _called(settings: Settings) -> Finding:
    if not settings.insi_idam:
        return _uncalled("set FHIR_INS_INSI_IDAM, the number that the CNDA gave the software.")
    if not settings.insi_endpoint:
        return _uncalled("name the endpoint, --endpoint.")
    # the adapter's log lines would stand between the findings, which say the same
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    return asyncio.run(_call(settings.model_copy(update={"insi_tenants": None, "insi_mode": Mode.CERTIFICATE.value})))


async def _call(settings: Settings) -> Finding:
    from fhir_ins.configured_insi import insi_configurations
    from fhir_ins.insi.certificate_call import examine_call
    from fhir_ins.insi.port import Requester
    from fhir_ins.insi.soap import SoapAdapter

    try:
        adapter = SoapAdapter(insi_configurations(settings)[settings.tenant])
    except (CertificateFault, ValueError) as fault:
        return _uncalled(str(fault))
    try:
        return await examine_call(adapter, Requester(settings.tenant, "check-certificate"))
    finally:
        await adapter.aclose()


def _uncalled(why: str) -> Finding:
    return Finding(Level.BAD, "call", f"None was made: {why}")


def _line(finding: Finding) -> str:
    head = f"{finding.level:<{_ABOUT_AT}}{finding.about:<{_TEXT_AT - _ABOUT_AT}}"
    rest = " " * _TEXT_AT
    return textwrap.fill(
        finding.text,
        _WIDTH,
        initial_indent=head,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
