"""Who is let in, as the operator's TOML file says: structures, issuers of tokens, clients known by a certificate.

    [tenants.chu-nord]
    finess = "590000618"

    [[issuers]]
    issuer = "https://idp.example.fr/realms/sante"
    audience = "https://fhir.example.fr/fhir"
    tenant_claim = "structure"            # or tenant = "chu-nord", for an issuer of one structure

    [[clients]]
    name = "archive"
    certificate = "archive.pem"           # paths are relative to this file
    tenant = "chu-nord"
    scopes = "system/Patient.rs"

Without tenants there is the one of the settings. docs/security.md describes every key.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

from fhir_ins.security.bearers import Understanding
from fhir_ins.security.client_certificate import thumbprint
from fhir_ins.security.fetching import require_https
from fhir_ins.security.scopes import Granted, granted
from fhir_ins.security.tokens import ALGORITHMS, Introspection, Trust

_TENANT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FINESS = re.compile(r"[0-9A-Z]{9}")
_OF_ISSUERS = frozenset(
    {"issuer", "audience", "algorithms", "jwks", "clock_skew", "clients", "introspection", "tenant", "tenant_claim"}
    | {"claims", "scopes", "acr", "sectors"}
)
_OF_INTROSPECTION = frozenset({"endpoint", "client_id", "client_secret_file"})
_OF_CLIENTS = frozenset({"name", "certificate", "tenant", "scopes"})


class AccessFault(ValueError):
    """What is wrong with the file: one sentence with the file, the place and the key."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client that shows who it is by its certificate alone."""

    name: str
    tenant: str
    granted: Granted


@dataclass(frozen=True, slots=True)
class Access:
    """Who is let in; `finess` is the number of each structure, by its name, where it is told.

    `clients` are known by the thumbprints of their certificates (x5t#S256). `several`: each structure has an address
    of its own, [base]/t/[tenant].
    """

    finess: Mapping[str, str | None]
    issuers: tuple[tuple[Trust, Understanding], ...]
    clients: Mapping[str, Client]
    several: bool


def read_access(file: Path, tenant: str) -> Access:
    """The access that the file describes; `tenant` is the only structure where it names none. Raises AccessFault."""
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise AccessFault(f"{file}: it cannot be read: {error.strerror}.") from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise AccessFault(f"{file}: it is not TOML: {error}.") from None
    return _File(file, content, tenant).access()


class _File:
    """The content of the file: its keys checked, its values read."""

    def __init__(self, file: Path, content: Mapping[str, Any], tenant: str) -> None:
        self._file = file
        self._content = content
        self._several = "tenants" in content
        self._finess = self._tenants() if self._several else {tenant: None}

    def access(self) -> Access:
        self._require_known("", self._content, frozenset({"tenants", "issuers", "clients"}))
        issuers = tuple(self._issuer(place, table) for place, table in self._tables("issuers"))
        names = [trust.issuer for trust, _ in issuers]
        if len(set(names)) < len(names):
            raise self._fault("issuers", "issuer", "an issuer is described once.")
        clients = dict(self._client(place, table) for place, table in self._tables("clients"))
        if not issuers and not clients:
            raise self._fault("", "issuers", "nobody is let in: describe an issuer of tokens, or a client.")
        return Access(self._finess, issuers, clients, self._several)

    def _tenants(self) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for name, table in self._table("", self._content, "tenants").items():
            place = f"tenants.{name}"
            if not _TENANT.fullmatch(name) or not isinstance(table, dict):
                raise self._fault(place, "", "a tenant is a table, named by up to 64 letters, digits, - and _.")
            self._require_known(place, table, frozenset({"finess"}))
            finess = self._text(place, table, "finess", "")
            if finess and not _FINESS.fullmatch(finess):
                raise self._fault(place, "finess", "a FINESS number has nine characters.")
            found[name] = finess or None
        numbers = [finess for finess in found.values() if finess]
        if not found or len(set(numbers)) < len(numbers):
            raise self._fault("tenants", "", "at least one is needed, each with a FINESS number of its own.")
        return found

    def _issuer(self, place: str, table: Mapping[str, Any]) -> tuple[Trust, Understanding]:
        self._require_known(place, table, _OF_ISSUERS)
        algorithms = self._texts(place, table, "algorithms", ALGORITHMS)
        if wrong := algorithms - frozenset(ALGORITHMS):
            text = f"{min(wrong)} is not one of {', '.join(ALGORITHMS)}."
            raise self._fault(place, "algorithms", text)
        claims = self._text(place, table, "claims", "smart")
        if claims not in ("smart", "pro-sante-connect"):
            raise self._fault(place, "claims", "it is smart or pro-sante-connect.")
        skew = table.get("clock_skew", 60)
        if not isinstance(skew, int) or isinstance(skew, bool) or not 0 <= skew <= 300:
            raise self._fault(place, "clock_skew", "it is a number of seconds from 0 to 300.")
        trust = Trust(
            self._address(place, table, "issuer"),
            self._texts(place, table, "audience"),
            algorithms,
            skew,
            self._texts(place, table, "clients", ()),
            self._introspection(place, table),
            self._address(place, table, "jwks") if "jwks" in table else None,
        )
        understanding = Understanding(
            self._tenants_of(place, table),
            self._text(place, table, "tenant_claim", "") or None,
            claims == "pro-sante-connect",
            tuple(self._text(place, table, "scopes", "").split()),
            self._texts(place, table, "acr", ()),
            self._texts(place, table, "sectors", ()),
        )
        return trust, understanding

    def _tenants_of(self, place: str, table: Mapping[str, Any]) -> Mapping[str, str]:
        """The structures that the tokens of an issuer may be of, by name and by FINESS number."""
        if "tenant_claim" not in table:
            name = self._tenant(place, table)
            return {name: name}
        if "tenant" in table:
            raise self._fault(place, "tenant", "give tenant or tenant_claim, not both.")
        numbers = {finess: name for name, finess in self._finess.items() if finess}
        return {**{name: name for name in self._finess}, **numbers}

    def _tenant(self, place: str, table: Mapping[str, Any]) -> str:
        """The structure that a table names, or the only one. A table that names none must not reach them all."""
        name = self._text(place, table, "tenant", next(iter(self._finess)) if len(self._finess) == 1 else "")
        if name not in self._finess:
            raise self._fault(place, "tenant", f"it names one of {', '.join(self._finess)}.")
        return name

    def _introspection(self, place: str, table: Mapping[str, Any]) -> Introspection | None:
        if "introspection" not in table:
            return None
        place, found = f"{place}.introspection", self._table(place, table, "introspection")
        self._require_known(place, found, _OF_INTROSPECTION)
        secret = self._file.parent / self._text(place, found, "client_secret_file")
        try:
            text = secret.read_text("utf-8").strip()
        except (OSError, ValueError):
            raise self._fault(place, "client_secret_file", "it cannot be read.") from None
        return Introspection(self._address(place, found, "endpoint"), self._text(place, found, "client_id"), text)

    def _client(self, place: str, table: Mapping[str, Any]) -> tuple[str, Client]:
        self._require_known(place, table, _OF_CLIENTS)
        path = self._file.parent / self._text(place, table, "certificate")
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except (OSError, ValueError):
            raise self._fault(place, "certificate", "it is no readable PEM file of a certificate.") from None
        scopes = granted(self._text(place, table, "scopes").split(), has_user=False)
        return thumbprint(certificate), Client(self._text(place, table, "name"), self._tenant(place, table), scopes)

    def _tables(self, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        listed = self._content.get(key, [])
        for index, table in enumerate(listed if isinstance(listed, list) else [None]):
            if not isinstance(table, dict):
                raise self._fault("", key, f"write each as a table of its own, [[{key}]].")
            yield f"{key}[{index}]", table

    def _table(self, place: str, table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        found = table[key]
        if not isinstance(found, dict):
            raise self._fault(place, key, "it is a table.")
        return found

    def _text(self, place: str, table: Mapping[str, Any], key: str, default: str | None = None) -> str:
        value = table.get(key, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise self._fault(place, key, "a text is needed.")
        return value.strip()

    def _texts(
        self, place: str, table: Mapping[str, Any], key: str, default: tuple[str, ...] | None = None
    ) -> frozenset[str]:
        value = table.get(key, default)
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list | tuple) or not all(isinstance(one, str) and one for one in listed):
            raise self._fault(place, key, "a text is needed, or a list of texts.")
        if default is None and not listed:
            raise self._fault(place, key, "at least one is needed.")
        return frozenset(listed)

    def _address(self, place: str, table: Mapping[str, Any], key: str) -> str:
        value = self._text(place, table, key)
        try:
            require_https(value)
        except ValueError as error:
            raise self._fault(place, key, f"{error}.") from None
        return value

    def _require_known(self, place: str, table: Mapping[str, Any], known: frozenset[str]) -> None:
        if unknown := table.keys() - known:
            text = f"it is not one of {', '.join(sorted(known))}."
            raise self._fault(place, min(unknown), text)

    def _fault(self, place: str, key: str, text: str) -> AccessFault:
        return AccessFault(f"{', '.join(part for part in (str(self._file), place, key) if part)}: {text}")
