"""How many conversations with INSi go on at once, and how many more may wait their turn, first come first served."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class LineFull(Exception):
    """As many wait already as may."""


class WaitingLine:
    """`at_once` go on together, `places` more wait; one for each tenant, so that none takes another's turns."""

    def __init__(self, at_once: int, places: int) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._room = at_once + places
        self._inside = 0
        self._going = 0

    @property
    def going(self) -> int:
        """How many have their turn."""
        return self._going

    @property
    def waiting(self) -> int:
        return self._inside - self._going

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn and hold it. Raises LineFull at once when there is no place to wait."""
        if self._inside >= self._room:
            raise LineFull
        self._inside += 1
        try:
            async with self._turns:
                self._going += 1
                try:
                    yield
                finally:
                    self._going -= 1
        finally:
            self._inside -= 1
