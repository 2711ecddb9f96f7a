"""The entries of a batch or transaction as requests. https://hl7.org/fhir/R4/bundle.html#bundle-unsat"""

import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from fhir_ins.api.negotiation import Format
from fhir_ins.fhir.json import serialise
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.frcore.elements import Json

_TARGET = re.compile(r"(?P<type>[A-Z][A-Za-z]+)(?:/(?P<id>[A-Za-z0-9\-.]{1,64}))?")
_HEADERS = {
    "ifNoneMatch": "if-none-match",
    "ifModifiedSince": "if-modified-since",
    "ifMatch": "if-match",
    "ifNoneExist": "if-none-exist",
}
_OF_THE_WHOLE = frozenset({"_format", "_pretty"})  # an entry is answered as the Bundle is


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: what it asks (`path` and `query` below the base, both decoded as an address is), with which body.

    `place` is where it stands, `full_url` what others refer to it by.
    """

    place: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    full_url: str | None
    resource: Json | None

    @property
    def type(self) -> str | None:
        """The type of resource it is about; None for an address of another kind."""
        found = _TARGET.fullmatch(self.path)
        return found["type"] if found else None

    @property
    def id(self) -> str | None:
        """The id of the resource it is about, if the address names one."""
        found = _TARGET.fullmatch(self.path)
        return found["id"] if found else None

    def body(self) -> tuple[bytes, str]:
        """The bytes of its body and their media type; a patch in JSON comes in a Binary."""
        if self.resource is None:
            return b"", Format.JSON
        if self.method == "PATCH" and self.resource.get("resourceType") == "Binary":
            return b64decode(self.resource.get("data", "")), str(self.resource.get("contentType", ""))
        return serialise(self.resource), Format.JSON


def entries_of(bundle: Json, base: str) -> list[Entry]:
    """The entries of a valid Bundle sent to `base`. Raises BadRequest with the place of what is no request of ours."""
    return [_entry(f"Bundle.entry[{index}]", found, base) for index, found in enumerate(bundle.get("entry", ()))]


def _entry(place: str, found: Json, base: str) -> Entry:
    asked: dict[str, Any] = found.get("request", {})
    if not asked:
        raise BadRequest("An entry of a batch or transaction needs its request.", f"{place}.request", code="required")
    method, resource = asked["method"], found.get("resource")
    if (resource is None) == (method in ("POST", "PUT", "PATCH")) and not _is_bare(method, asked["url"]):
        text = f"A {method} needs a resource in its entry."
        if resource is not None:
            text = f"A {method} takes no resource in its entry."
        raise BadRequest(text, f"{place}.resource", code="required")
    path, _, query = asked["url"].removeprefix(f"{base}/").partition("?")
    if ":" in path or not path.strip("/"):
        raise BadRequest(
            "The url of an entry is one of this server, below its base: Patient/123, Patient?identifier=…",
            f"{place}.request.url",
            code="value",
        )
    return Entry(
        place,
        method,
        unquote(path.strip("/")),
        _without(query),
        {header: asked[name] for name, header in _HEADERS.items() if name in asked},
        found.get("fullUrl"),
        resource,
    )


def _is_bare(method: str, url: str) -> bool:
    """Whether a POST may come without a resource: an operation without parameters."""
    return method == "POST" and "$" in url


def _without(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    if not any(name in _OF_THE_WHOLE for name, _ in pairs):
        return query
    return urlencode([(name, value) for name, value in pairs if name not in _OF_THE_WHOLE])
