"""What has been sent before: no MessageID and no Id of a context may come twice.

Source: each request has an identifier and a time of its own, on which the CNDA insists.
"""

from collections import OrderedDict
from collections.abc import Sequence

from fhir_ins.simulator.refusal import Refused

REMEMBERED = 100_000


class Memory:
    """The identifiers of the last requests, oldest first; it keeps `size` of them and forgets those before."""

    def __init__(self, size: int = REMEMBERED) -> None:
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._size = size

    def note(self, identifiers: Sequence[tuple[str, str]]) -> None:
        """Remember the identifiers of a request, by element and text; raises `Refused` when one came before."""
        for name, text in identifiers:
            if (name, text.lower()) in self._seen:
                raise Refused(f"The {name} was sent before: each request has one of its own.")
        for name, text in identifiers:
            self._seen[name, text.lower()] = None
        while len(self._seen) > self._size:
            self._seen.popitem(last=False)
