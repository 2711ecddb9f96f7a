"""Who is let in, as the settings say it: by tokens and certificates, or without any on this machine alone."""

from ipaddress import ip_address

from fhir_ins.security.access_file import Access, read_access
from fhir_ins.security.caller import Right
from fhir_ins.settings import Settings


def configured_access(settings: Settings) -> Access:
    """The access that is configured. Raises ValueError where others could reach a server that asks for no token."""
    if settings.access:
        return read_access(settings.access, settings.tenant)
    if not _is_loopback(settings.host):
        raise ValueError(
            f"FHIR_INS_HOST: without an issuer of tokens this server does not listen on {settings.host}, where others "
            "could reach it. Describe who is let in, in the file of FHIR_INS_ACCESS, or listen on 127.0.0.1."
        )
    return Access({settings.tenant: None}, (), {}, several=False)


def anonymous_rights(settings: Settings) -> frozenset[Right]:
    """What callers of this machine may do without a token; nothing where others could pass for them.

    Where tokens are configured, only what the settings give expressly.
    """
    if not _is_loopback(settings.host) or (settings.access and "rights" not in settings.model_fields_set):
        return frozenset()
    return settings.rights


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
