"""The téléservice as configured: what the settings and the file of tenants say of it, and the adapters that follow."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import structlog

from fhir_ins.insi.assertion_source import load_source
from fhir_ins.insi.certificate_file import CertificateFile
from fhir_ins.insi.port import Witness
from fhir_ins.insi.soap import SoapAdapter, SoapConfiguration
from fhir_ins.insi.teleservice import Rules, Teleservice
from fhir_ins.insi.tenants import configurations
from fhir_ins.insi.verification import NAMES, VerificationContract
from fhir_ins.settings import Settings

_log = structlog.get_logger()


def insi_configurations(settings: Settings) -> Mapping[str, SoapConfiguration]:
    """The configuration of each tenant that has INSi, certificates loaded; empty where none is configured.

    Raises CertificateFault or ValueError, naming what is wrong.
    """
    found: Mapping[str, SoapConfiguration] = {}
    if settings.insi_tenants:
        found = configurations(settings.insi_tenants, _shared(settings))
        if settings.tenant not in found:
            _log.warning("insi_tenant_without_section", tenant=settings.tenant, file=str(settings.insi_tenants))
    elif settings.insi_endpoint:
        certificate = _certificate(settings)
        if not settings.insi_idam:
            raise ValueError("FHIR_INS_INSI_IDAM is needed with FHIR_INS_INSI_ENDPOINT: the number the CNDA gave.")
        own = SoapConfiguration(**_shared(settings), certificate=certificate, emetteur=settings.insi_emetteur or None)
        found = {settings.tenant: own}
    for configuration in islice(found.values(), 1):
        SoapAdapter(configuration)  # the contracts, which all share, are tried now: a start that fails says why
    return found


def configured_insi(
    settings: Settings, found: Mapping[str, SoapConfiguration], witness: Witness | None
) -> Teleservice | None:
    """The téléservice of an event loop; None where no tenant has it."""
    rules = Rules(
        total=settings.insi_total_timeout,
        attempts=settings.insi_attempts,
        at_once=settings.insi_concurrency,
        places=settings.insi_queue,
        failures=settings.insi_breaker_failures,
        rest=settings.insi_breaker_seconds,
    )
    adapters = {tenant: SoapAdapter(configuration, witness=witness) for tenant, configuration in found.items()}
    return Teleservice(adapters, rules) if adapters else None


def _shared(settings: Settings) -> dict[str, Any]:
    """What all tenants share: everything but a structure's certificate and Emetteur."""
    verification = None
    if settings.insi_verification_names and not settings.insi_verification_wsdl:
        raise ValueError("FHIR_INS_INSI_VERIFICATION_NAMES maps a WSDL: set FHIR_INS_INSI_VERIFICATION_WSDL too.")
    if settings.insi_verification_wsdl:
        verification = VerificationContract(settings.insi_verification_wsdl, settings.insi_verification_names or NAMES)
    return {
        "endpoint": str(settings.insi_endpoint or ""),
        "trust": settings.insi_trust,
        "idam": settings.insi_idam,
        "lps_name": settings.insi_lps_name,
        "lps_version": settings.insi_lps_version,
        "lps_instance": settings.lps_instance,
        "given_names_joined": settings.insi_given_names_joined,
        "connect_timeout": settings.insi_connect_timeout,
        "total_timeout": settings.insi_total_timeout,
        "wsdl": settings.insi_wsdl,
        "verification": verification,
        "assertions": load_source(settings.insi_assertion_source) if settings.insi_assertion_source else None,
    }


def _certificate(settings: Settings) -> CertificateFile | None:
    """The organisation's certificate; None where professionals' cards speak."""
    if settings.insi_mode == "cpx":
        return None
    if settings.insi_pkcs12 is None:
        raise ValueError("FHIR_INS_INSI_PKCS12 is needed with FHIR_INS_INSI_ENDPOINT: the organisation's certificate.")
    return CertificateFile(settings.insi_pkcs12, settings.insi_pkcs12_passphrase.get_secret_value())
