"""The artifacts this server publishes, answered as stored resources are: read by id and searched, never written.

https://hl7.org/fhir/R4/conformance-module.html. They are the same for every caller who may read.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from fhir_ins.api.served import PUBLISHED
from fhir_ins.fhir.json import serialise
from fhir_ins.fhir.matching import matches
from fhir_ins.fhir.outcome import NotFound
from fhir_ins.fhir.search import Search
from fhir_ins.fhir.search_parameters import Keys, keys_of
from fhir_ins.security.caller import Caller
from fhir_ins.store.resources import Page
from fhir_ins.store.versions import Version


@dataclass(frozen=True, slots=True)
class _Artifact:
    version: Version
    keys: Keys


class Published:
    """Each artifact serialised once, with its search keys; it reads and searches as `Resources` does."""

    def __init__(self, artifacts: Iterable[dict[str, Any]]) -> None:
        self._artifacts: dict[str, dict[str, _Artifact]] = {type_: {} for type_ in PUBLISHED}
        for artifact in sorted(artifacts, key=lambda found: str(found["id"])):
            self._artifacts[artifact["resourceType"]][artifact["id"]] = _Artifact(_version(artifact), keys_of(artifact))

    async def read(self, _caller: Caller, type_: str, id_: str) -> Version:
        """Raises NotFound."""
        found = self._artifacts[type_].get(id_)
        if found is None:
            raise NotFound(f"There is no such {type_}: search without parameters lists those of this server.")
        return found.version

    async def search(self, _caller: Caller, type_: str, search: Search, after: str | None) -> Page:
        """The matches after id `after`, at most `search.count` of them."""
        found = [version for version in self._matching(type_, search) if after is None or version.id > after]
        return Page(tuple(found[: search.count]), len(found) > search.count)

    async def count(self, _caller: Caller, type_: str, search: Search) -> int:
        """How many match."""
        return sum(1 for _ in self._matching(type_, search))

    def _matching(self, type_: str, search: Search) -> Iterator[Version]:
        return (found.version for found in self._artifacts[type_].values() if matches(found.keys, search))


def _version(artifact: dict[str, Any]) -> Version:
    """The artifact's text, told apart from that of another release by its digest."""
    body = serialise(artifact)
    day = datetime.fromisoformat(artifact["date"]).replace(tzinfo=UTC)
    return Version(artifact["resourceType"], artifact["id"], sha256(body).hexdigest()[:16], day, body)
