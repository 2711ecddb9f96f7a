"""The judge of the conformity cases: it finds each way in which a play can go wrong."""

from dataclasses import replace

import pytest
from cnda.frames_of_calls import OUTCOMES, TRANSIENT, found, frames

from fhir_ins.cnda.case import Case, Expectation
from fhir_ins.cnda.cases import CASES
from fhir_ins.cnda.frames import Frames
from fhir_ins.cnda.verdict import Result, Verdict, judge
from fhir_ins.ins.oid import InsOid
from fhir_ins.insi.port import Fault, FaultKind, NoIdentity, Outcome

BY_NAME = {case.name: case for case in CASES}
CORSE, TCHITCHI = BY_NAME["2.08-c1"], BY_NAME["2.07-c1"]
FOUND_CORSE = found("180032B020401 23", InsOid.NIR, ("180032B020401 23",), "ANTHONY", "2B020")


def judged(case: Case, calls: list[Frames], outcome: Outcome, *, injects: bool = False) -> Verdict:
    return judge(case, calls, outcome, injects=injects)


def as_expected(case: Case) -> tuple[list[Frames], Outcome]:
    """A play in which everything happens as the case says."""
    want = case.expected
    if want.refused:
        return [], Fault(want.refused, "It was refused.")
    ins = want.ins or "2751263220749 74"
    identity = found(ins, want.oid or InsOid.NIR, want.history, want.given_list or "", want.birth_place)
    calls = [frames(case, given, OUTCOMES.get(code, identity)) for given, code in want.calls]
    return calls, calls[-1].call.outcome


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_must_happen_passes(case: Case) -> None:
    assert judged(case, *as_expected(case)) == Verdict(Result.PASSED)


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (found("180032B020402 23", InsOid.NIR, ("180032B020401 23",), "", "2B020"), "matricule"),
        (found("180032B020401 24", InsOid.NIR, ("180032B020401 23",), "", "2B020"), "matricule"),
        (found("180032B020401 23", InsOid.NIA, ("180032B020401 23",), "", "2B020"), "OID"),
        (found("180032B020401 23", InsOid.NIR, (), "", "2B020"), "history"),
        (found("180032B020401 23", InsOid.NIR, ("180032B020401 23",), "", "2A020"), "birth place"),
        (found("180032B020401 23", InsOid.NIR, ("180032B020401 23",), "", None), "birth place"),
        (NoIdentity(), "No identity"),
    ],
)
def test_another_answer_fails(outcome: Outcome, told: str) -> None:
    verdict = judged(CORSE, [frames(CORSE, "ANTHONY", outcome)], outcome)
    assert verdict.result is Result.FAILED
    assert told in " ".join(verdict.reasons)


def test_another_list_of_given_names_fails() -> None:
    calls, _ = as_expected(TCHITCHI)
    other = found("2360663220836 56", InsOid.NIR, (), "CATARINA")
    verdict = judged(TCHITCHI, [calls[0], frames(TCHITCHI, "CATARINA", other)], other)
    assert verdict.reasons == ("The ListePrenom was CATARINA; CATARINA BELLA was expected.",)


def test_an_identity_where_none_is_expected_fails() -> None:
    several, identity = BY_NAME["2.06-c1"], found("1140263220833 56", InsOid.NIR)
    assert judged(several, [frames(several, "LEONARDO", identity)], identity).result is Result.FAILED


@pytest.mark.parametrize("given", [["CATARINA"], ["OLA", "CATARINA", "BELLA"], ["CATARINA", "OLA"], []])
def test_other_calls_fail(given: list[str]) -> None:
    calls, identity = as_expected(TCHITCHI)
    by_given = {sent.asked["Prenom"]: sent for sent in calls} | {"BELLA": frames(TCHITCHI, "BELLA", identity)}
    verdict = judged(TCHITCHI, [by_given[name] for name in given], identity)
    assert verdict.result is Result.FAILED
    assert "OLA → 01, CATARINA → 00 was expected" in verdict.reasons[0]


@pytest.mark.parametrize("element", ["NomNaissance", "Sexe", "DateNaissance", "LieuNaissance"])
@pytest.mark.parametrize("sent", ["OTHER", ""])
def test_another_trait_sent_fails(element: str, sent: str) -> None:
    case = BY_NAME["2.06-c2"]
    _, outcome = as_expected(case)
    changed = frames(case, "LEONARDO", outcome, **{element: sent})
    verdict = judged(case, [changed], outcome, injects=True)
    assert verdict.result is Result.FAILED
    assert element in verdict.reasons[0]


def test_a_message_id_sent_twice_fails() -> None:
    calls, identity = as_expected(TCHITCHI)
    again = frames(TCHITCHI, "CATARINA", identity, message_id=calls[0].call.message_id)
    assert judged(TCHITCHI, [calls[0], again], identity).reasons == (
        "A MessageID was sent twice; each call has one of its own.",
    )


def test_a_call_that_failed_and_was_made_again_counts_once() -> None:
    calls, identity = as_expected(TCHITCHI)
    failed = frames(TCHITCHI, "CATARINA", TRANSIENT)
    assert judged(TCHITCHI, [calls[0], failed, failed_again(failed), calls[1]], identity).result is Result.PASSED


def failed_again(sent: Frames) -> Frames:
    return replace(sent, call=replace(sent.call, message_id="uuid:again"))


@pytest.mark.parametrize(("injects", "result"), [(True, Result.INJECTED), (False, Result.FAILED)])
def test_what_the_qualification_environment_says_instead_is_told_apart(injects: bool, result: Result) -> None:
    calls = [frames(CORSE, "ANTHONY", TRANSIENT)]
    verdict = judged(CORSE, calls, TRANSIENT, injects=injects)
    assert verdict.result is result
    assert verdict.reasons


def test_a_case_that_it_can_answer_is_not_excused_there() -> None:
    case = BY_NAME["2.03-c1"]
    verdict = judged(case, [frames(case, "PIERRE-ALAIN", TRANSIENT)], TRANSIENT, injects=True)
    assert verdict.result is Result.FAILED
    assert "insi_102" in verdict.reasons[0]


def test_a_missing_former_matricule_is_excused_only_where_the_injected_one_misses() -> None:
    case = BY_NAME["2.04-c2"]
    for history, result in (((case.expected.history[0],), Result.INJECTED), ((), Result.FAILED)):
        answer = found("1090763220834 89", InsOid.NIR, history, "PIERRE-ALAIN MURIEL FLORIANT")
        assert judged(case, [frames(case, "PIERRE-ALAIN", answer)], answer, injects=True).result is result


REFUSED = replace(CORSE, expected=Expectation(refused=FaultKind.EXPIRED), live=None)


def test_a_refusal_is_one_without_any_call() -> None:
    expired = Fault(FaultKind.EXPIRED, "The assertion is too old.")
    assert judged(REFUSED, [], expired) == Verdict(Result.PASSED)
    assert judged(REFUSED, [frames(CORSE, "ANTHONY", expired)], expired).result is Result.FAILED
    assert judged(REFUSED, [], TRANSIENT).result is Result.FAILED
    assert judged(REFUSED, [], FOUND_CORSE).result is Result.FAILED


def test_a_card_asked_for_without_its_assertion_fails() -> None:
    card = BY_NAME["1.10"]
    calls, outcome = as_expected(card)
    unsigned = replace(calls[0], request=calls[0].request.replace(b"SAML:2.0", b"SAML:1.0"))
    assert "no assertion" in judged(card, [unsigned], outcome, injects=True).reasons[0]


def test_a_request_that_is_no_xml_asks_for_nobody() -> None:
    assert replace(frames(CORSE, "ANTHONY", FOUND_CORSE), request=b"not xml").asked == {}
