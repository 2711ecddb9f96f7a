"""Making a call again when it failed in a way that may pass, and only then.

Every attempt is a call of its own, with its own MessageID. Searching and verifying change nothing at INSi, so that
asking twice does no harm; a refusal, a compte rendu and a misconfiguration are never asked again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import uniform
from time import monotonic

from fhir_ins.insi.port import Call, Fault

Attempt = Callable[[float], Awaitable[Call]]


@dataclass(frozen=True, slots=True)
class Retries:
    """`attempts` at most, all within `seconds`; the pauses between them are drawn from 0 to `pause`, doubled each time.

    Source of the pauses: "full jitter", Exponential Backoff and Jitter, AWS Architecture Blog.
    """

    attempts: int
    seconds: float
    pause: float = 0.3

    async def calls(self, attempt: Attempt, while_: Callable[[], bool]) -> list[Call]:
        """The calls made, in order; the last one decides. Each is given the seconds that are left.

        None is repeated once `while_` no longer holds.
        """
        end = monotonic() + self.seconds
        made: list[Call] = []
        for count in range(self.attempts):
            made.append(await attempt(max(end - monotonic(), 0.0)))
            outcome = made[-1].outcome
            if not (isinstance(outcome, Fault) and outcome.retryable):
                break
            pause = uniform(0, self.pause * 2**count)  # noqa: S311 - it only spreads
            if count + 1 == self.attempts or monotonic() + pause >= end or not while_():
                break
            await asyncio.sleep(pause)
        return made
