"""How often something may be done. The clock is the test's own."""

from hypothesis import given
from hypothesis import strategies as st

from fhir_ins.security.rates import Rate


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_minutes_worth_at_once_and_then_one_by_one() -> None:
    clock = Clock()
    rate = Rate(60, clock=clock)
    assert [rate.take("a") for _ in range(60)] == [0.0] * 60
    assert rate.take("a") == 1.0
    assert rate.take("b") == 0.0
    clock.now += 0.75
    assert rate.take("a") == 0.25
    clock.now += 0.25
    assert (rate.take("a"), rate.take("a")) == (0.0, 1.0)
    clock.now += 3600
    assert [rate.take("a") for _ in range(61)].count(0.0) == 60


def test_waiting_is_told_without_being_counted() -> None:
    clock = Clock()
    rate = Rate(2, clock=clock)
    assert [rate.wait("a") for _ in range(5)] == [0.0] * 5
    assert (rate.remembered, rate.take("a"), rate.take("a"), rate.wait("a")) == (0, 0.0, 0.0, 30.0)
    clock.now += 30
    assert (rate.wait("a"), rate.take("a")) == (0.0, 0.0)


@given(st.integers(1, 50), st.lists(st.floats(0, 20), max_size=200))
def test_never_more_than_two_minutes_worth_in_a_minute_and_the_wait_is_right(
    per_minute: int, pauses: list[float]
) -> None:
    clock, done = Clock(), []
    rate = Rate(per_minute, clock=clock)
    for pause in pauses:
        clock.now += pause
        told = rate.wait("a")
        wait = rate.take("a")
        assert told == wait
        if wait:
            clock.now += wait + 1e-6
            assert rate.take("a") == 0.0
        done.append(clock.now)
        # a minute's worth that was saved up, and what grows back within the minute
        assert sum(moment > clock.now - 60 for moment in done) <= 2 * per_minute


def test_many_addresses_do_not_exhaust_memory() -> None:
    rate = Rate(60, most_keys=1000)
    for number in range(5000):
        rate.take(f"attacker {number}")
        assert rate.take("regular") == 0.0 or number >= 59
    assert rate.remembered == 1000
    assert rate.wait("regular") > 0.0  # whoever comes all the time is not forgotten
