"""An envelope prepared once, in which only the texts differ from one request to the next.

zeep takes nearly a millisecond of processor time to build what hardly changes; it does so once for each shape of
message, with a mark where each text belongs, and the copies are filled in.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy

from lxml import etree

Path = tuple[str, ...]
Leaves = Sequence[tuple[Path, str]]
"""The texts of a message body in order: the names of the elements that lead to each, and the text itself."""


class Template:
    """One shape of message."""

    def __init__(self, build: Callable[[Sequence[str]], etree._Element], texts: int) -> None:
        """Let `build` make the envelope around `texts` marks.

        Raises ValueError when a mark does not come out as the whole text of an element: then the contract gives that
        element a type in which it cannot be told what a text will become.
        """
        marks = [f"mark-{number}" for number in range(texts)]
        self._envelope = build(marks)
        numbers = {mark: number for number, mark in enumerate(marks)}
        nodes = enumerate(self._envelope.iter())
        self._places = [(place, numbers[node.text]) for place, node in nodes if node.text in numbers]
        if missing := set(range(texts)) - {number for _, number in self._places}:
            raise ValueError(f"The contract does not send {len(missing)} of the texts as they are given.")

    def filled(self, texts: Sequence[str]) -> etree._Element:
        """A new envelope with these texts; raises ValueError for one that XML cannot carry."""
        envelope = deepcopy(self._envelope)
        nodes = list(envelope.iter())
        for place, number in self._places:
            nodes[place].text = texts[number]
        return envelope


def nested(leaves: Leaves) -> dict[str, object]:
    """The leaves as zeep takes them: dicts within dicts, and a list where a path comes more than once."""
    whole: dict[str, object] = {}
    for path, text in leaves:
        node = whole
        for name in path[:-1]:
            node = node.setdefault(name, {})  # type: ignore[assignment]  # an inner name never holds a text too
        name = path[-1]
        if name not in node:
            node[name] = text
        elif isinstance(held := node[name], list):
            held.append(text)
        else:
            node[name] = [held, text]
    return whole
