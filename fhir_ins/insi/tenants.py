"""Which structures have INSi, each with its own certificate: a TOML file with one section for each tenant.

    [chu-nord]
    pkcs12 = "chu-nord.p12"               # paths are relative to this file
    passphrase_file = "chu-nord.passphrase"

What a section does not say is as the server's settings have it, but never a certificate, its passphrase or an Emetteur:
these are one structure's. A tenant that has no section has no INSi.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography import x509

from fhir_ins.insi.certificate import CertificateFault, load_authorities
from fhir_ins.insi.certificate_file import CertificateFile, current_certificate
from fhir_ins.insi.endpoints import Mode, mismatch
from fhir_ins.insi.soap import SoapConfiguration

_TENANT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SHARED = ("endpoint", "trust", "idam", "lps_name", "lps_version", "lps_instance")
_OF_A_CERTIFICATE = ("pkcs12", "passphrase_file", "passphrase_env", "emetteur")
_KEYS = (*_SHARED, *_OF_A_CERTIFICATE, "mode")
_PATHS = ("trust", "pkcs12", "passphrase_file")


class TenantsFault(ValueError):
    """What is wrong with the file: one sentence with the file, the section and the key."""

    def __init__(self, file: Path, section: str | None, key: str | None, text: str) -> None:
        places = [str(file), section and f"[{section}]", key]
        super().__init__(f"{', '.join(place for place in places if place)}: {text}")


def configurations(file: Path, defaults: Mapping[str, Any]) -> Mapping[str, SoapConfiguration]:
    """The configuration of each tenant in the file, by its name; certificates are loaded, and watched from now on.

    `defaults`: the fields of `SoapConfiguration` that sections share; `certificate` and `emetteur` among them are left
    out. Raises `TenantsFault`.
    """
    found = {name: _Section(file, name, table).configuration(defaults) for name, table in _tables(file).items()}
    _require_own_certificates(file, found)
    return found


def _tables(file: Path) -> Mapping[str, Mapping[str, Any]]:
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise TenantsFault(file, None, None, "there is no such file.") from None
    except OSError as error:
        raise TenantsFault(file, None, None, f"it cannot be read: {error.strerror}.") from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise TenantsFault(file, None, None, f"it is not TOML: {error}.") from None
    for name, table in content.items():
        if not isinstance(table, dict):
            raise TenantsFault(file, None, name, "it stands outside of any section; put it under a [tenant].")
        if not _TENANT.fullmatch(name):
            text = "a tenant's name has up to 64 letters, digits, hyphens and underscores."
            raise TenantsFault(file, name, None, text)
    return content


def _require_own_certificates(file: Path, found: Mapping[str, SoapConfiguration]) -> None:
    """A section copied with its certificate would ask INSi for one structure in the name of another."""
    owners: dict[x509.Certificate, str] = {}
    for name, configuration in found.items():
        certificate = current_certificate(configuration.certificate)
        if certificate and (owner := owners.setdefault(certificate.certificate, name)) != name:
            text = f"this is the certificate of [{owner}]; a structure has its own."
            raise TenantsFault(file, name, "pkcs12", text)


class _Section:
    """One section: its keys checked, its values read."""

    def __init__(self, file: Path, name: str, table: Mapping[str, Any]) -> None:
        self._file, self._name = file, name
        for key, value in table.items():
            if key == "passphrase":
                raise self._fault(key, "a passphrase never stands in this file: use passphrase_file or passphrase_env.")
            if key not in _KEYS:
                raise self._fault(key, f"there is no such key; there are {', '.join(_KEYS)}.")
            if not isinstance(value, str) or not value.strip():
                raise self._fault(key, 'a text in quotes is needed, such as "…".')
        self._values = {key: file.parent / value if key in _PATHS else value for key, value in table.items()}

    def configuration(self, defaults: Mapping[str, Any]) -> SoapConfiguration:
        mode = self._mode()
        own = {key: self._values[key] for key in _SHARED if key in self._values}
        values = {**defaults, **own, "emetteur": self._values.get("emetteur")}
        for key in ("endpoint", "idam"):
            if not values.get(key):
                raise self._fault(key, f"it is missing; FHIR_INS_INSI_{key.upper()} does not give it either.")
        self._require_trust(own.get("trust"))
        values["certificate"] = self._certificate() if mode is Mode.CERTIFICATE else None
        try:
            configuration = SoapConfiguration(**values)
        except ValueError as error:
            raise self._fault("endpoint", str(error)) from None
        self._require_match(configuration, mode)
        return configuration

    def _mode(self) -> Mode:
        try:
            mode = Mode(self._values.get("mode", Mode.CERTIFICATE))
        except ValueError:
            raise self._fault("mode", f"it is {' or '.join(Mode)}.") from None
        if mode is Mode.CPX and (odd := next((key for key in _OF_A_CERTIFICATE if key in self._values), None)):
            raise self._fault(odd, "in mode cpx professionals' cards speak: there is no certificate of the structure.")
        return mode

    def _certificate(self) -> CertificateFile:
        if "pkcs12" not in self._values:
            raise self._fault("pkcs12", "it is missing: each structure has its own certificate.")
        passphrase = self._passphrase()
        try:
            return CertificateFile(self._values["pkcs12"], passphrase)
        except CertificateFault as fault:
            raise self._fault("pkcs12", str(fault)) from None

    def _passphrase(self) -> str | Path:
        file, variable = self._values.get("passphrase_file"), self._values.get("passphrase_env")
        if file and variable:
            raise self._fault("passphrase_env", "give passphrase_file or passphrase_env, not both.")
        if file and not file.is_file():
            raise self._fault("passphrase_file", f"there is no file {file}.")
        if variable and variable not in os.environ:
            raise self._fault("passphrase_env", f"the environment has no variable {variable}.")
        return file or (os.environ[variable] if variable else "")

    def _require_trust(self, trust: Path | None) -> None:
        try:
            if trust:
                load_authorities(trust)
        except CertificateFault as fault:
            raise self._fault("trust", str(fault)) from None

    def _require_match(self, configuration: SoapConfiguration, mode: Mode) -> None:
        certificate = current_certificate(configuration.certificate)
        if text := mismatch(configuration.endpoint, mode, certificate):
            raise self._fault("endpoint", text)
        if certificate and not (configuration.emetteur or certificate.organisational_unit):
            raise self._fault("emetteur", "it is missing, and the certificate has no OU to take it from.")

    def _fault(self, key: str, text: str) -> TenantsFault:
        return TenantsFault(self._file, self._name, key, text)
