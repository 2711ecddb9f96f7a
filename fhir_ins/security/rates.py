"""How often something may be done, by whom: the generic cell rate algorithm, one number for each who did it lately.

Source: ITU-T I.371, the virtual scheduling algorithm. A minute's worth may come at once; then it is one by one. The
numbers are this process's own, and so many at most: a thousand addresses cannot exhaust its memory.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_KEYS = 100_000

_WINDOW = 60.0


class Rate:
    """`per_minute` times for each key. When there are more keys than `most_keys`, the one idle longest is forgotten."""

    def __init__(
        self, per_minute: int, *, most_keys: int = MOST_KEYS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = _WINDOW / per_minute
        self._most_keys = most_keys
        self._clock = clock
        self._free_from: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str) -> float:
        """Count one; 0 when it may be done, else the seconds after which it may, and it is not counted."""
        now = self._clock()
        next_ = max(self._free_from.get(key, now), now) + self._interval
        if (wait := next_ - now - _WINDOW) > 0:
            return wait
        self._free_from[key] = next_
        self._free_from.move_to_end(key)
        if len(self._free_from) > self._most_keys:
            self._free_from.popitem(last=False)
        return 0.0

    def wait(self, key: str) -> float:
        """The seconds after which one more may be done, 0 when it may be now; nothing is counted."""
        now = self._clock()
        return max(0.0, self._free_from.get(key, now) + self._interval - now - _WINDOW)

    @property
    def remembered(self) -> int:
        """How many keys there are."""
        return len(self._free_from)
