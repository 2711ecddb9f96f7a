"""One access, as compactly as the trail keeps it: the AuditEvent is made of it when somebody reads it.

Most requests are made to read, and each waits until its event is journalled: nothing is built here that can be built
later, and everything that is kept is kept as it was.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import orjson


class InsiCall(NamedTuple):
    """A call to the téléservice INSi: its wsa:MessageID, the operation by INSi's own name, and what came of it."""

    message_id: str
    operation: str
    code: str


class Event(NamedTuple):
    """`at`: milliseconds since 1970, in UTC. `interaction`: FHIR's code, or the name of an operation without its $.

    `type`, `id`: what the address names. `resources`: what was shown or written, Type/id/_history/version, or Type/id
    of what has no versions. `patients`: the ids of those concerned. `query`: as it was sent, by URL, form or header.
    """

    at: int
    interaction: str
    status: int
    request_id: str
    client: str
    user: str | None
    address: str | None
    type: str | None
    id: str | None
    query: str
    resources: Sequence[str]
    patients: Sequence[str]
    calls: Sequence[InsiCall]

    def __repr__(self) -> str:  # an id or a query may name a person: it stays out of tracebacks and logs
        return f"Event({self.interaction}, {self.status})"


def encoded(event: Event) -> bytes:
    """The event as it stands in a batch."""
    return orjson.dumps((*event[:-1], [tuple(call) for call in event.calls]))


def batch_of(server: str, events: Iterable[bytes]) -> bytes:
    """A batch of encoded events, recorded by the server of this name."""
    return b"[%b,[%b]]" % (orjson.dumps(server), b",".join(events))


def events_in(batch: bytes) -> tuple[str, list[Event]]:
    """The server and the events of a batch. Raises ValueError for what is none."""
    server, rows = orjson.loads(batch)
    return server, [Event(*row)._replace(calls=[InsiCall(*call) for call in row[12]]) for row in rows]
