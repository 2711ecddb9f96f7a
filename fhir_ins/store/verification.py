"""Whether the audit trail is whole: each chain is walked, its hashes are made again, its batches opened.

Then it is held against the signed checkpoints, which the database does not have: a chain whose end is gone, or that was
chained anew, is not what was signed.
"""

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from fhir_ins.security.audit.checkpoints import BadLine, Checkpoint
from fhir_ins.security.audit.event import events_in
from fhir_ins.security.audit.keys import NotOpened
from fhir_ins.store.chain import GENESIS, Chain, Link, Tail, Unreadable

MOST_FAULTS = 50  # told of one chain


@dataclass(slots=True)
class Finding:
    """What was found of one tenant's chain; no `faults`: it is whole, as far as it was signed.

    `uncovered`: batches after the last checkpoint, of which nothing outside the database tells that they are all.
    """

    tenant: str
    batches: int = 0
    events: int = 0
    checkpoints: int = 0
    last: int = 0
    retired: int = 0
    uncovered: int = 0
    faults: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(text)


async def verified(
    chain: Chain, tenant: str, checkpoints: Collection[Checkpoint], bad: Collection[BadLine] = ()
) -> Finding:
    """Walk the chain of a tenant. Raises PyMongoError."""
    found = Finding(tenant, checkpoints=len(checkpoints))
    for line in bad:
        found.fault(f"line {line.number} of its checkpoints is not to be believed: {line.reason}")
    cut = max((one for one in checkpoints if one.cut), key=lambda one: one.sequence, default=None)
    before = Tail(cut.sequence, cut.hash) if cut else Tail(0, GENESIS)
    found.retired = before.sequence
    signed = _by_sequence(checkpoints, found, after=before.sequence)
    async for link in chain.links(tenant, after=before.sequence):
        before = _next(chain, found, before, link, signed)
    found.last = before.sequence
    for sequence in sorted(number for number in signed if number > before.sequence):
        found.fault(f"the end of the trail is gone: batch {sequence} was signed, the last there is is {found.last}")
        break
    covered = max([*signed, found.retired])
    found.uncovered = max(0, found.last - covered)
    return found


def _by_sequence(checkpoints: Collection[Checkpoint], found: Finding, *, after: int) -> Mapping[int, bytes]:
    """The hash that was signed of each batch after that one."""
    signed: dict[int, bytes] = {}
    for one in checkpoints:
        if signed.setdefault(one.sequence, one.hash) != one.hash:
            found.fault(f"two checkpoints of batch {one.sequence} differ: the trail was written anew from there")
    return {sequence: hash_ for sequence, hash_ in signed.items() if sequence > after}


def _next(chain: Chain, found: Finding, before: Tail, link: Link | Unreadable, signed: Mapping[int, bytes]) -> Tail:
    """Judge one batch, after the one before it; answers what the next one must follow."""
    found.batches += 1
    if link.sequence != before.sequence + 1:
        missing = (
            f"{before.sequence + 1}"
            if link.sequence == before.sequence + 2
            else (f"{before.sequence + 1} to {link.sequence - 1}")
        )
        found.fault(f"batch {missing} is missing")
    if isinstance(link, Unreadable):
        found.fault(f"batch {link.sequence} was altered: it is no batch")
        return Tail(link.sequence, b"")
    if link.expected_hash != link.hash:
        found.fault(f"batch {link.sequence} was altered: its hash is another")
    elif link.sequence == before.sequence + 1 and before.hash and link.previous != before.hash:
        found.fault(f"batch {link.sequence} does not follow the one before it: one of them was replaced")
    if link.sequence in signed and signed[link.sequence] != link.hash:
        found.fault(f"batch {link.sequence} is not the one that was signed: the trail was written anew")
    if not chain.opens:
        return Tail(link.sequence, link.hash)
    try:
        _, events = events_in(chain.opened(link))
        found.events += len(events)
        if len(events) != link.count:
            found.fault(f"batch {link.sequence} says it has {link.count} events, and has {len(events)}")
    except NotOpened as error:
        found.fault(f"batch {link.sequence} cannot be opened: {error}")
    except (ValueError, TypeError, zlib.error):
        found.fault(f"batch {link.sequence} cannot be read")
    return Tail(link.sequence, link.hash)
