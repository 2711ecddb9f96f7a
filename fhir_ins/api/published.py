"""The artifacts this server publishes, answered as stored resources are: read by id and searched, never written.

https://hl7.org/fhir/R4/conformance-module.html. They are the same for every caller who may read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from fhir_ins.api.served import PUBLISHED
from fhir_ins.fhir.dates import Span
from fhir_ins.fhir.json import serialise
from fhir_ins.fhir.matching import matches, value_of_sort, values_under
from fhir_ins.fhir.outcome import NotFound
from fhir_ins.fhir.search import Search, SortKey
from fhir_ins.fhir.search_parameters import Keys, keys_of
from fhir_ins.security.caller import Caller
from fhir_ins.store.finding import Found, Mark, Page, Start, page_of
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
            version = _version(artifact)
            keys = keys_of(artifact) | Keys(dates=frozenset({("_lastUpdated", _moment(version.updated))}))
            self._artifacts[version.type][version.id] = _Artifact(version, keys)

    async def read(self, _caller: Caller, type_: str, id_: str) -> Version:
        """Raises NotFound."""
        found = self._artifacts[type_].get(id_)
        if found is None:
            raise NotFound(f"There is no such {type_}: search without parameters lists those of this server.")
        return found.version

    async def search(self, _caller: Caller, type_: str, search: Search, start: Start | None = None) -> Page:
        """The matches before or after `start`, `search.count` of them at most; they are few."""
        found = [Found(Mark((), version.id), version) for version in self._in_order(type_, search)]
        if start is None:
            return page_of(found, search.count, None)
        at = next((place for place, one in enumerate(found) if one.mark.id == start.mark.id), -1)
        return page_of(found[: max(at, 0)][::-1] if start.back else found[at + 1 :], search.count, start)

    async def count(self, _caller: Caller, type_: str, search: Search, most: int = 0) -> int:
        """How many match; `most` at most, where it is given."""
        counted = len(self._in_order(type_, search))
        return min(counted, most) if most else counted

    def _in_order(self, type_: str, search: Search) -> list[Version]:
        """The matches by the keys they are sorted by, the last key first: sorting leaves equals as they stand."""
        found = [one for one in self._artifacts[type_].values() if matches(one.keys, search)]
        for key in reversed(search.sort):
            if key.parameter.name == "_id":
                found.sort(key=lambda one: one.version.id, reverse=key.descending)
            else:
                found.sort(key=lambda one, key=key: _sort_value(one.keys, key), reverse=key.descending)  # type: ignore[misc]
        return [one.version for one in found]


def _sort_value(keys: Keys, key: SortKey) -> tuple[bool, Any]:
    """The least value under the parameter, or the greatest; what has none stands before all else."""
    values = sorted(value_of_sort(value) for value in values_under(keys, set(key.parameter.names)))
    return (bool(values), values[-1 if key.descending else 0] if values else 0)


def _moment(updated: datetime) -> Span:
    low = int(updated.timestamp() * 1000)
    return Span(low, low + 1)


def _version(artifact: dict[str, Any]) -> Version:
    """The artifact's text, told apart from that of another release by its digest."""
    body = serialise(artifact)
    day = datetime.fromisoformat(artifact["date"]).replace(tzinfo=UTC)
    return Version(artifact["resourceType"], artifact["id"], sha256(body).hexdigest()[:16], day, body)
