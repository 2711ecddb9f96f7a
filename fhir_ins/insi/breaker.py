"""The circuit breaker: an INSi that has failed several times in a row is left alone for a while.

Source: the pattern of M. Nygard's Release It!; closed, open, half open.
"""

from collections.abc import Callable
from enum import Enum
from math import ceil


class BreakerState(Enum):
    """Closed: calls go through. Open: none does. Half open: one goes to see, the others wait for its answer."""

    CLOSED = "closed"
    HALF_OPEN = "half-open"
    OPEN = "open"


class Breaker:
    """One for each tenant's endpoint. `failures` in a row open it for `seconds`; `clock` is monotonic, in seconds."""

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float]) -> None:
        self._limit = failures
        self._seconds = seconds
        self._clock = clock
        self._failed = 0
        self._opened_at = 0.0
        self._trying = False

    @property
    def state(self) -> BreakerState:
        if self._failed < self._limit:
            return BreakerState.CLOSED
        return BreakerState.HALF_OPEN if self._clock() >= self._opened_at + self._seconds else BreakerState.OPEN

    @property
    def failed(self) -> int:
        """How many calls in a row have failed."""
        return self._failed

    def wait(self) -> int | None:
        """Take leave to make a call: None when it may go, else the seconds to wait. Whoever goes tells `ended`."""
        match self.state:
            case BreakerState.OPEN:
                return max(1, ceil(self._opened_at + self._seconds - self._clock()))
            case BreakerState.HALF_OPEN if self._trying:
                return 1
            case BreakerState.HALF_OPEN:
                self._trying = True
        return None

    def ended(self, *, failed: bool) -> None:
        """What became of a call that went through."""
        self._trying = False
        if not failed:
            self._failed = 0
            return
        self._failed += 1
        if self._failed >= self._limit:
            self._opened_at = self._clock()
