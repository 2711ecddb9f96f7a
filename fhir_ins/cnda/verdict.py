"""Judging a case: what went over the wire and came back, beside what must happen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest

from fhir_ins.cnda.case import Case, Expectation
from fhir_ins.cnda.frames import Frames
from fhir_ins.cnda.wording import calls_in_words, number_in_words, outcome_in_words
from fhir_ins.insi.port import Fault, Found, Operation, Outcome


class Result(StrEnum):
    """What became of a case. `injected`: all that the qualification environment can show of it came."""

    PASSED = "passed"
    FAILED = "FAILED"
    INJECTED = "injected"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result, and why, a sentence each; a case that passed needs none."""

    result: Result
    reasons: tuple[str, ...] = ()


def judge(case: Case, frames: Sequence[Frames], outcome: Outcome, *, injects: bool) -> Verdict:
    """The verdict on one play: its calls in order, and the outcome of the whole.

    `injects`: INSi may answer as the qualification environment does where the CNDA injects an answer.
    """
    ours = (*_wrongly_sent(case, frames), *_ids_sent_twice(frames))
    differences = (*ours, *_differences(case.expected, frames, outcome))
    if not differences:
        return Verdict(Result.PASSED)
    if injects and case.live and not ours and not any(_differences(case.live, frames, outcome)):
        text = (
            "The qualification environment cannot answer this case: the CNDA hands out its answer as a file to inject."
        )
        return Verdict(Result.INJECTED, (text,))
    return Verdict(Result.FAILED, differences)


def _wrongly_sent(case: Case, frames: Sequence[Frames]) -> Iterator[str]:
    by_traits = case.operation is Operation.SEARCH_BY_TRAITS
    for number, sent in enumerate(frames, 1):
        asked = {name: text for name, text in sent.asked.items() if name != "Prenom"}
        if not by_traits and not sent.assertions:
            yield f"Call {number} carried no assertion; that of the card was expected."
        for name in sorted({*asked, *case.elements} if by_traits else case.elements):
            if asked.get(name) != case.elements.get(name):
                yield f"Call {number} sent {name} {asked.get(name)!r}; {case.elements.get(name)!r} was expected."


def _ids_sent_twice(frames: Sequence[Frames]) -> Iterator[str]:
    if len({sent.call.message_id for sent in frames}) < len(frames):
        yield "A MessageID was sent twice; each call has one of its own."


def _differences(expected: Expectation, frames: Sequence[Frames], outcome: Outcome) -> Iterator[str]:
    if expected.refused:
        yield from _not_refused(expected, frames, outcome)
        return
    calls = tuple((sent.asked.get("Prenom", ""), sent.call.code) for sent in not_repeated(frames))
    if calls != expected.calls:
        said = f" ({outcome_in_words(outcome)})" if isinstance(outcome, Fault) else ""
        yield f"The calls were {calls_in_words(calls)}{said}; {calls_in_words(expected.calls)} was expected."
    if isinstance(outcome, Found):
        yield from _identity_differences(expected, outcome)
    elif expected.ins:
        yield f"No identity was found; {expected.ins} was expected."


def _not_refused(expected: Expectation, frames: Sequence[Frames], outcome: Outcome) -> Iterator[str]:
    if frames:
        yield f"{len(frames)} call(s) were made; none must be."
    if not (isinstance(outcome, Fault) and outcome.kind is expected.refused):
        yield f"The outcome was: {outcome_in_words(outcome)}; a refusal was expected."


def _identity_differences(expected: Expectation, found: Found) -> Iterator[str]:
    history = {number_in_words(number) for number in found.history}
    missing = [number for number in expected.history if number not in history]
    if missing:
        yield f"The history lacks {', '.join(missing)}."
    for what, wanted, came in (
        ("matricule", expected.ins, number_in_words(found.active)),
        ("OID", expected.oid, found.active.oid),
        ("ListePrenom", expected.given_list, found.traits.given_list),
        ("birth place", expected.birth_place, found.traits.birth_place),
    ):
        if wanted is not None and wanted != came:
            yield f"The {what} was {came}; {wanted} was expected."


def not_repeated(frames: Sequence[Frames]) -> list[Frames]:
    """The calls without those that failed and were made again."""
    return [
        sent
        for sent, following in zip_longest(frames, frames[1:])
        if not (following and isinstance(sent.call.outcome, Fault) and sent.asked == following.asked)
    ]
