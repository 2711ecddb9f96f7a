"""Finding the conformity cases in the evidence: which kept exchanges ask for what a case asks.

Everything else in the store is about real people: it is counted, and goes no further.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fhir_ins.cnda.case import Case
from fhir_ins.cnda.frames import Frames
from fhir_ins.cnda.play import Played
from fhir_ins.cnda.verdict import Result, Verdict, judge
from fhir_ins.insi.port import Call, Fault, FaultKind, Operation
from fhir_ins.insi.reader import read
from fhir_ins.store.evidence import Entry, Evidence, Unopened


@dataclass(slots=True)
class Exported:
    """The cases as the evidence shows them; how many exchanges belong to none, and those that do not open."""

    played: list[Played] = field(default_factory=list)
    others: int = 0
    unopened: list[Unopened] = field(default_factory=list)


async def export(evidence: Evidence, tenant: str, since: datetime | None, cases: Sequence[Case]) -> Exported:
    """The cases with every exchange that belongs to them, judged by the last time each was played."""
    exported = Exported()
    found: dict[str, list[Frames]] = {case.name: [] for case in cases}
    async for entry in evidence.exchanges(tenant, since):
        if isinstance(entry, Unopened):
            exported.unopened.append(entry)
            continue
        frames = _frames(entry)
        belongs = [case for case in cases if _asks_for(case, frames)]
        exported.others += not belongs
        for case in belongs:
            found[case.name].append(frames)
    exported.played = [_judged(case, found[case.name]) for case in cases]
    return exported


def _frames(entry: Entry) -> Frames:
    none = Fault(FaultKind.TRANSIENT, "No answer came.", retryable=True)
    outcome = none if entry.answer is None else read(entry.answer, 200)
    call = Call(entry.message_id, "", outcome, Operation(entry.operation))
    return Frames(call, entry.operator, entry.at, entry.request, entry.answer)


def _asks_for(case: Case, frames: Frames) -> bool:
    asked = dict(frames.asked)
    given = asked.pop("Prenom", "")
    if frames.call.operation is not case.operation or case.expected.refused:
        return False
    if case.operation is Operation.SEARCH_BY_VITALE:
        return case.elements.items() <= asked.items()
    return asked == case.elements and given in case.given


def _judged(case: Case, frames: list[Frames]) -> Played:
    if case.expected.refused:
        return Played(case, Verdict(Result.NOT_APPLICABLE, ("No call is made in this case: there is no frame of it.",)))
    if not frames:
        return Played(case, Verdict(Result.NOT_APPLICABLE, ("The evidence holds no exchange of it.",)))
    last = _last_play(case, frames)
    outcome = last[-1].call.outcome
    return Played(case, judge(case, last, outcome, injects=True), tuple(frames), outcome)


def _last_play(case: Case, frames: list[Frames]) -> list[Frames]:
    """The calls since the case was last begun."""
    begins = [index for index, sent in enumerate(frames) if sent.asked.get("Prenom", "") == case.first_call]
    return frames[begins[-1] :] if begins else frames
