"""Where the AssertionPS of a call comes from when the caller brings none: an operator's own source, or a signer.

Loaded from a setting `package.module:factory`, so that a card reader, an HSM or a remote service can be connected
without a change of this project.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import Protocol

from fhir_ins.insi.assertion import PS_LIFETIME, Assertion, read_assertion
from fhir_ins.insi.assertion_ps import AssertionPs, Signer, sign
from fhir_ins.insi.port import Requester


class AssertionSource(Protocol):
    """Gives the AssertionPS in whose name a call is made; what it raises ends the call before it is made."""

    async def assertion(self, requester: Requester) -> bytes:
        """A signed AssertionPS that is not past its time, for this operator of this tenant."""


Card = Callable[[Requester], Awaitable[tuple[AssertionPs, Signer]]]
"""What is signed for an operator, and by what."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


_PATIENCE = 30.0  # seconds


class SigningSource:
    """Signs for each operator, and signs anew once the last assertion is past its time; one for an event loop."""

    def __init__(self, card: Card, *, clock: Callable[[], datetime] = _utc_now) -> None:
        self._card = card
        self._clock = clock
        self._last: dict[tuple[str, str], asyncio.Task[Assertion]] = {}

    async def assertion(self, requester: Requester) -> bytes:
        """See `AssertionSource`; several calls at once wait for one signature."""
        whose = (requester.tenant, requester.operator)
        if (last := self._last.get(whose)) is None or self._spent(last):
            self._last = {other: task for other, task in self._last.items() if not self._spent(task)}
            last = self._last[whose] = asyncio.create_task(self._sign(requester))
        # one caller who gives up does not take the signature from the others
        return (await asyncio.shield(last)).xml

    async def _sign(self, requester: Requester) -> Assertion:
        async with asyncio.timeout(_PATIENCE):  # a card that is stuck is asked anew by the next call
            said, signer = await self._card(requester)
            return read_assertion(await sign(said, signer, self._clock()))

    def _spent(self, signing: asyncio.Task[Assertion]) -> bool:
        """Whether it brought nothing, or something past its time."""
        if not signing.done():
            return False
        if signing.cancelled() or signing.exception():
            return True
        return signing.result().expired(PS_LIFETIME, self._clock())


def load_source(path: str) -> AssertionSource:
    """Call the factory that `package.module:factory` names; raises ValueError, naming the setting's mistake."""
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        raise ValueError(f"{path} is not of the form package.module:factory.")
    try:
        factory = getattr(import_module(module), name)
    except ImportError as error:
        raise ValueError(f"{path} cannot be imported: {error}.") from None
    except AttributeError:
        raise ValueError(f"The module {module} has no {name}.") from None
    source = factory()
    if not callable(getattr(source, "assertion", None)):
        raise ValueError(f"What {path} makes has no method assertion(requester).")
    return source  # type: ignore[no-any-return]  # held to the protocol just above
