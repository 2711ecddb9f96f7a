"""The trail as requests write it: whoever waits for an answer waits until the batch with its event is journalled.

Group commit: while one batch of a tenant is on its way to the database, the events of other requests gather in the
next. It leaves when half of the requests that are being answered wait for it, or the first has waited for a few
milliseconds. So a lone request waits for one write and nothing else, and many at once share it. A write costs as much
as a read, and one for each would halve the throughput; with half of them in a batch, the others are answered meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from fhir_ins.security.audit.event import Event, batch_of, encoded
from fhir_ins.security.audit.keys import AuditKeys
from fhir_ins.store.chain import Chain, Contents, Tail

MOST_BYTES = 2_000_000  # of a batch before it is compressed
LONGEST_WAIT = 0.005  # seconds that a batch waits for company
PATIENT, AGENT = "patient", "agent"

_log = structlog.get_logger()


class TrailUnavailable(Exception):
    """The events could not be put into the trail, as far as is known."""


@dataclass(slots=True, eq=False)
class _Batch:
    """Events that go together, and those who wait for it; `failed`, once it is done: it is not known to be stored."""

    events: list[bytes] = field(default_factory=list)
    patients: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    first: int = 0
    last: int = 0
    size: int = 0
    requests: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)
    failed: bool = False

    def add(self, event: Event, row: bytes) -> None:
        """`row`: the event, encoded."""
        self.events.append(row)
        self.size += len(row)
        self.patients.update(event.patients)
        if event.type == "Patient" and event.id:
            self.patients.add(event.id)
        self.agents.add(event.client)
        if event.user:
            self.agents.add(event.user)
        self.first = min(self.first or event.at, event.at)
        self.last = max(self.last, event.at)


class Trail:
    """The chains that this process appends to, one for each tenant."""

    def __init__(self, chain: Chain, keys: AuditKeys, server: str) -> None:
        """`server`: what it is known by, as its AuditEvents say."""
        self.chain = chain
        self._keys = keys
        self._server = server
        self._writers: dict[str, _Writer] = {}

    async def journalled(self, tenant: str, events: Sequence[Event]) -> None:
        """Wait until these events are in the trail, durably. Raises TrailUnavailable."""
        batches = self._writer(tenant).gather(events)
        for batch in batches:
            await batch.done.wait()
        if any(batch.failed for batch in batches):
            raise TrailUnavailable

    def entered(self, tenant: str) -> None:
        """Say that a request is being answered, which will have an event."""
        self._writer(tenant).active += 1

    def left(self, tenant: str) -> None:
        """Say that it is answered."""
        self._writer(tenant).active -= 1

    def tails(self) -> dict[str, Tail]:
        """The last batch of each tenant that this process has appended."""
        return {tenant: writer.tail for tenant, writer in self._writers.items() if writer.tail is not None}

    def _writer(self, tenant: str) -> "_Writer":
        writer = self._writers.get(tenant)
        if writer is None:
            writer = self._writers[tenant] = _Writer(tenant, self._appended)
        return writer

    async def _appended(self, tenant: str, batch: _Batch, tail: Tail | None) -> Tail:
        token = self._keys.token
        tokens = {token(tenant, PATIENT, id_) for id_ in batch.patients}
        tokens |= {token(tenant, AGENT, id_) for id_ in batch.agents}
        whole = batch_of(self._server, batch.events)
        contents = Contents(whole, batch.first, batch.last, len(batch.events), frozenset(tokens))
        return await self.chain.append(tenant, contents, tail or await self.chain.tail(tenant))


class _Writer:
    """Appends the batches of one tenant, one after another, while there are any."""

    def __init__(self, tenant: str, append: Callable[[str, _Batch, Tail | None], Awaitable[Tail]]) -> None:
        self._tenant = tenant
        self._append = append
        self._waiting: list[_Batch] = []
        self._writing: asyncio.Task[None] | None = None
        self._gathering: asyncio.Future[None] | None = None
        self.tail: Tail | None = None
        self.active = 0

    def gather(self, events: Sequence[Event]) -> list[_Batch]:
        """The batches that these events of one request go with."""
        batches: list[_Batch] = []
        for event, row in [(event, encoded(event)) for event in events]:
            if not self._waiting or self._waiting[-1].size > MOST_BYTES:
                self._waiting.append(_Batch())
            if self._waiting[-1] not in batches:
                batches.append(self._waiting[-1])
                batches[-1].requests += 1
            batches[-1].add(event, row)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        elif self._gathering and self._is_enough:
            self._end_gathering()
        return batches

    @property
    def _is_enough(self) -> bool:
        return len(self._waiting) > 1 or self._waiting[0].requests * 2 >= self.active

    async def _write(self) -> None:
        try:
            while self._waiting:
                if not self._is_enough:
                    await self._company()
                await self._put(self._waiting.pop(0))
        finally:
            self._writing = None

    async def _company(self) -> None:
        """Wait until the batch is worth a write, but not for long."""
        loop = asyncio.get_running_loop()
        self._gathering = loop.create_future()
        timer = loop.call_later(LONGEST_WAIT, self._end_gathering)
        try:
            await self._gathering
        finally:
            timer.cancel()
            self._gathering = None

    def _end_gathering(self) -> None:
        if self._gathering and not self._gathering.done():
            self._gathering.set_result(None)

    async def _put(self, batch: _Batch) -> None:
        try:
            self.tail = await self._append(self._tenant, batch, self.tail)
        except Exception as error:  # whatever it is, nobody waits for ever
            batch.failed, self.tail = True, None  # it may be there all the same: the tail is read again
            _log.error("audit_trail_not_written", tenant=self._tenant, error=type(error).__name__)
        finally:
            batch.done.set()
