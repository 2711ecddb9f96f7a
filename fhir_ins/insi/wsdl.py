"""A WSDL and what it decides: which operations there are, their actions, and the elements of their messages.

Source: WSDL 1.1 with the SOAP 1.2 binding, document/literal. The file is our own contract or the operator's; zeep
reads it, from this machine only.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from lxml import etree
from zeep import Client, Settings
from zeep.exceptions import Error as ZeepError
from zeep.transports import Transport

from fhir_ins.insi.contract import ADDRESSING_SCHEMA

_W3C_ADDRESSING_SCHEMA = "http://www.w3.org/2006/03/addressing/ws-addr.xsd"


class Contract:
    """One binding of one WSDL."""

    def __init__(self, wsdl: Path, binding: str, prefixes: Mapping[str, str]) -> None:
        """Read the WSDL; `binding` is {namespace}name, `prefixes` what the messages call their namespaces.

        Raises OSError when the contract leads to the network, ValueError when it is no WSDL with that binding.
        """
        self._file = wsdl
        try:
            self._client = contract_client(wsdl)
        except ZeepError as error:
            raise ValueError(f"{wsdl} is not a WSDL that can be read: {error}.") from None
        try:
            self._service = self._client.create_service(binding, "")
        except (ValueError, ZeepError):
            raise ValueError(f"{wsdl} has no binding {binding}.") from None
        self._binding = self._client.wsdl.bindings[binding]
        for prefix, namespace in prefixes.items():
            self._client.set_ns_prefix(prefix, namespace)

    def action(self, operation: str) -> str:
        """The soapAction, which wsa:Action and the content type repeat."""
        return str(self._operation(operation).soapaction)

    def bodies(self, operation: str) -> tuple[Any, Any]:
        """The elements that the bodies of question and answer hold, as zeep describes them."""
        found = self._operation(operation)
        return found.input.body, found.output.body

    def element(self, name: str) -> Any:
        """The element {namespace}name, to be called with its parts for a value of it."""
        try:
            return self._client.get_element(name)
        except (LookupError, ZeepError):
            raise ValueError(f"{self._file} has no element {name}.") from None

    def message(self, operation: str, body: Mapping[str, object], headers: Sequence[object]) -> etree._Element:
        """The envelope zeep makes; raises ValueError when the WSDL has no such part, or wants one that is missing."""
        try:
            envelope = self._client.create_message(self._service, operation, _soapheaders=list(headers), **body)
        except (TypeError, ZeepError) as error:
            raise ValueError(f"The message {operation} does not fit {self._file}: {error}.") from None
        return cast(etree._Element, envelope)

    def _operation(self, name: str) -> Any:
        try:
            return self._binding.get(name)
        except ValueError:
            raise ValueError(f"{self._file} has no operation {name} in that binding.") from None


def contract_client(wsdl: Path) -> Any:
    """zeep on the contract in `wsdl`, read without the network; raises OSError if the contract leads there."""
    # forbid_external would refuse the W3C's schema before the transport could stand in for it
    settings = Settings(strict=True, forbid_dtd=True, forbid_entities=True, forbid_external=False)
    transport = _OfflineTransport()  # type: ignore[no-untyped-call]
    return Client(str(wsdl), transport=transport, settings=settings)  # type: ignore[no-untyped-call]


class _OfflineTransport(Transport):
    """Loads contracts from local files; the one remote schema the official WSDL imports is ours instead."""

    def load(self, url: str) -> bytes:
        if url == _W3C_ADDRESSING_SCHEMA:
            return ADDRESSING_SCHEMA.read_bytes()
        if urlsplit(url).scheme:
            raise OSError(f"The INSi contract refers to {url}: contracts are read from local files only.")
        return Path(url).read_bytes()
