"""Those who ask the same at the same time get one answer: the question goes to INSi once."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Coalescing(Generic[T]):
    """Work in flight by what it is about. It belongs to nobody: who asked may leave, the others get the answer."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[T]] = {}

    async def once(self, about: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> tuple[T, bool]:
        """The result of `work`, or of the same work already in flight; True when somebody else had begun it."""
        task = self._running.get(about)
        joined = task is not None
        if task is None:
            task = asyncio.create_task(work())
            self._running[about] = task
            task.add_done_callback(lambda _: self._running.pop(about, None))
        return await asyncio.shield(task), joined

    async def finished(self) -> None:
        """Wait until nothing is in flight."""
        while self._running:
            await asyncio.wait(tuple(self._running.values()))
