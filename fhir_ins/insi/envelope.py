"""Building the SOAP request of a search by traits, from the WSDL.

Source: contract DESIR_ICIR_EXP 1.5.0; header values as accepted live (ContexteBAM 01_02, ContexteLPS 01_00,
IDAM R="4", no Security header over mTLS). Ids and times are fresh in every request.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from lxml import etree
from zeep import Client, Settings
from zeep.transports import Transport

from fhir_ins.ins.traits import Traits
from fhir_ins.insi.contract import (
    ADDRESSING_NAMESPACE,
    ADDRESSING_SCHEMA,
    BAM_NAMESPACE,
    BINDING,
    LPS_NAMESPACE,
    SEARCH_BY_TRAITS,
    SEARCH_BY_TRAITS_ACTION,
    TRAITS_NAMESPACE,
    WSDL,
)

_W3C_ADDRESSING_SCHEMA = "http://www.w3.org/2006/03/addressing/ws-addr.xsd"
_PREFIXES = {
    "ctxbam": BAM_NAMESPACE,
    "ctxlps": LPS_NAMESPACE,
    "wsa": ADDRESSING_NAMESPACE,
    "insi": TRAITS_NAMESPACE,
}


@dataclass(frozen=True, slots=True)
class CallingSoftware:
    """What ContexteLPS says of the software that calls, and the Emetteur of both contexts."""

    idam: str
    name: str
    version: str
    instance: str
    emetteur: str


@dataclass(frozen=True, slots=True)
class RequestIds:
    """The three identifiers of one request, and its time (UTC)."""

    message: UUID
    bam: UUID
    lps: UUID
    time: datetime


class RequestBuilder:
    """Builds requests from one WSDL, our own contract's or the operator's."""

    def __init__(self, software: CallingSoftware, wsdl: Path | None = None) -> None:
        self._software = software
        self._client = contract_client(wsdl or WSDL)
        self._service = self._client.create_service(BINDING, "")
        for prefix, namespace in _PREFIXES.items():
            self._client.set_ns_prefix(prefix, namespace)

    def search_by_traits(self, traits: Traits, prenoms: Sequence[str], ids: RequestIds) -> bytes:
        """The envelope that asks for `traits`, with one Prenom element for each of `prenoms`.

        Raises ValueError for text that XML cannot carry.
        """
        envelope = self._client.create_message(
            self._service,
            SEARCH_BY_TRAITS,
            NomNaissance=traits.family,
            Prenom=list(prenoms),
            Sexe=traits.sex,
            DateNaissance=traits.birth_date,
            LieuNaissance=traits.birth_place,
            _soapheaders=self._headers(ids),
        )
        return etree.tostring(envelope, encoding="utf-8", xml_declaration=True)

    def _headers(self, ids: RequestIds) -> list[Any]:
        software, element = self._software, self._client.get_element
        time = ids.time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        common = {"Temps": time, "Emetteur": software.emetteur}
        lps = {
            "IDAM": {"_value_1": software.idam, "R": "4"},
            "Version": software.version,
            "Instance": software.instance,
            "Nom": f"urn:lps:{software.name}:{software.version}",
        }
        return [
            element(f"{{{BAM_NAMESPACE}}}ContexteBAM")(
                Id=str(ids.bam), COUVERTURE={}, Nature="CTXBAM", Version="01_02", **common
            ),
            element(f"{{{LPS_NAMESPACE}}}ContexteLPS")(
                Id=str(ids.lps), LPS=lps, Nature="CTXLPS", Version="01_00", **common
            ),
            _addressing("Action", SEARCH_BY_TRAITS_ACTION),
            _addressing("MessageID", f"uuid:{ids.message}"),
        ]


def contract_client(wsdl: Path) -> Any:
    """zeep on the contract in `wsdl`, read without the network; raises OSError if the contract leads there."""
    # forbid_external would refuse the W3C's schema before the transport could stand in for it
    settings = Settings(strict=True, forbid_dtd=True, forbid_entities=True, forbid_external=False)
    transport = _OfflineTransport()  # type: ignore[no-untyped-call]
    return Client(str(wsdl), transport=transport, settings=settings)  # type: ignore[no-untyped-call]


def _addressing(name: str, value: str) -> etree._Element:
    """An element made by hand: zeep's list of headers takes no simple values."""
    element = etree.Element(f"{{{ADDRESSING_NAMESPACE}}}{name}", nsmap={"wsa": ADDRESSING_NAMESPACE})
    element.text = value
    return element


class _OfflineTransport(Transport):
    """Loads contracts from local files; the one remote schema the official WSDL imports is ours instead."""

    def load(self, url: str) -> bytes:
        if url == _W3C_ADDRESSING_SCHEMA:
            return ADDRESSING_SCHEMA.read_bytes()
        if urlsplit(url).scheme:
            raise OSError(f"The INSi contract refers to {url}: contracts are read from local files only.")
        return Path(url).read_bytes()
