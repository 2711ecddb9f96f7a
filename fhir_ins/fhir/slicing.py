"""Judging the slices of an element. https://hl7.org/fhir/R4/profiling.html#slicing

Each item belongs to at most one slice. What a slice asks for is judged on its items, how many they are is counted, and
the rules say what may stand beside them (open, closed, openAtEnd) and in which order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_ins.fhir.discriminators import Criterion, strings_at
from fhir_ins.fhir.judging import Breach, Item, Judge, Resource, any_error

Published = Callable[[str, Any], bool]  # a rule (see `Profiles`) and the value that breaks it


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One slice: how often it stands (`most` None: any number), what it asks of its items, which items are its own."""

    name: str
    least: int
    most: int | None
    judges: Sequence[Judge]
    criterion: Criterion | None
    inner: "Slicing | None" = None  # it is sliced again

    def judge(self, item: Item, resource: Resource) -> list[Breach]:
        breaches: list[Breach] = []
        for judge in self.judges:
            if found := judge(item, resource):
                breaches += found
        return breaches


Broken = list[tuple[int | None, list[Breach]]]  # the index of an item (None: all of them) and what breaks it


class Slicing:
    """The slices of the element `name` as the profile `label` has them; `rules` is open, closed or openAtEnd."""

    def __init__(
        self, label: str, name: str, rules: str, slices: Sequence[Slice], published: Published, *, ordered: bool = False
    ) -> None:
        self.label = label
        self.name = name
        self.rules = rules
        self.ordered = ordered
        self.slices = tuple(slices)
        self.published = published
        self._untellable = frozenset(found.name for found in slices if found.criterion is None)
        self._counted = [found for found in slices if found.least or found.most is not None]
        self._candidates = _candidates([found for found in slices if found.criterion is not None])
        self._inner = [(found, found.inner) for found in slices if found.inner is not None]
        self._sequence = ordered or rules != "open"

    def judge(self, items: Sequence[Item], resource: Resource) -> Broken:
        """What breaks the slicing."""
        broken: Broken = []
        chosen: list[Slice | None] = []
        undecided = self._untellable
        for index, item in enumerate(items):
            matching = None
            for slice_, holds in self._candidates(item.value):
                told = holds is None or holds(item, resource)
                if told:
                    matching = [slice_] if matching is None else [*matching, slice_]
                elif told is None:
                    undecided |= {slice_.name}
            if matching is None:
                chosen.append(None)
                continue
            slice_, found = self._chosen(matching, item, resource)
            chosen.append(slice_)
            if found:
                broken.append((index, found))
        if self._sequence:
            broken += self._misplaced(chosen, undecided)
        if self._counted and (lacking := self._cardinalities(chosen, undecided)):
            broken.append((None, lacking))
        for slice_, inner in self._inner:
            broken += inner.of_some(items, [at for at, found in enumerate(chosen) if found is slice_], resource)
        if undecided:
            broken.append((None, [self._not_told(undecided)]))
        return broken

    def of_some(self, items: Sequence[Item], indexes: Sequence[int], resource: Resource) -> Broken:
        """The same for some of the items only: those of the slice that is sliced again."""
        broken = self.judge([items[index] for index in indexes], resource)
        return [(index if index is None else indexes[index], found) for index, found in broken]

    def absent(self) -> list[Breach]:
        """The breaches when there is no item at all."""
        return self._cardinalities((), frozenset())

    def _chosen(self, matching: list[Slice], item: Item, resource: Resource) -> tuple[Slice, list[Breach]]:
        """The slice of an item with what breaks it: of several that match, one that holds if there is one."""
        if len(matching) == 1:
            return matching[0], matching[0].judge(item, resource)
        judged = [(slice_, resource.tried(item, slice_.judge) or []) for slice_ in matching]
        slice_, found = next((pair for pair in judged if not any_error(pair[1])), judged[0])
        return slice_, [self._ambiguous(matching, item), *found]

    def _ambiguous(self, matching: list[Slice], item: Item) -> Breach:
        names = [slice_.name for slice_ in matching]
        text = f"{self.label} takes this for {' and for '.join(names)} at once: make it one of them."
        rule = f"{self.name}:{','.join(names)}"
        return Breach("structure", text, published=self.published(rule, item.value))

    @property
    def _foreign(self) -> str:
        names = ", ".join(slice_.name for slice_ in self.slices)
        return f"{self.label} takes no other {self.name} than these slices: {names}. Make it one of them or remove it."

    def _misplaced(self, chosen: Sequence[Slice | None], undecided: frozenset[str]) -> Broken:
        """The items of no slice where these may not be, and those out of order."""
        names = ", ".join(slice_.name for slice_ in self.slices)
        broken: Broken = []
        furthest = -1
        foreign = False
        for index, slice_ in enumerate(chosen):
            if slice_ is None:
                foreign = True
                if self.rules == "closed" and not undecided:
                    broken.append((index, [Breach("structure", self._foreign)]))
                continue
            here = self.slices.index(slice_)
            if foreign and self.rules == "openAtEnd":
                text = f"{self.label} wants what is of no slice after all slices. Move this before it."
                broken.append((index, [Breach("structure", text)]))
            if self.ordered and here < furthest:
                broken.append((index, [Breach("structure", f"{self.label} wants this order: {names}. Move this.")]))
            furthest = max(furthest, here)
        return broken

    def _cardinalities(self, chosen: Sequence[Slice | None], undecided: frozenset[str]) -> list[Breach]:
        breaches = []
        for slice_ in self._counted:
            count = chosen.count(slice_)
            if slice_.name in undecided:
                continue
            if count < slice_.least:
                times = "" if slice_.least == 1 else f" {slice_.least} times"
                text = f"{self.label} needs the slice {slice_.name} of {self.name}{times}. Add it, or complete one."
                breaches.append(Breach("required", text))
            elif slice_.most is not None and count > slice_.most:
                text = f"{self.label} takes the slice {slice_.name} of {self.name} {_times(slice_.most)}. Remove some."
                breaches.append(Breach("structure", text, f".{self.name.removesuffix('[x]')}"))
        return breaches

    def _not_told(self, undecided: frozenset[str]) -> Breach:
        names = ", ".join(sorted(undecided))
        text = (
            f"Which {self.name} is of these slices of {self.label} cannot be told here; they were not judged: {names}."
        )
        return Breach("informational", text, f".{self.name.removesuffix('[x]')}", severity="information")


_Candidate = tuple[Slice, Callable[[Item, Resource], bool | None] | None]  # None: it is of the slice


def _candidates(slices: Sequence[Slice]) -> Callable[[Any], Sequence[_Candidate]]:
    """The slices an item may be of, with what is still to ask: by a string in it where all of them want one there."""
    criteria = [(slice_, slice_.criterion) for slice_ in slices if slice_.criterion is not None]
    hints = [criterion.hint for _, criterion in criteria if criterion.hint is not None]
    paths = {hint.path for hint in hints}
    if len(hints) < len(criteria) or len(paths) != 1:
        every = [(slice_, criterion.holds) for slice_, criterion in criteria]
        return lambda _value: every
    (path,) = paths
    by_string: dict[str, list[_Candidate]] = {}
    for hint, (slice_, criterion) in zip(hints, criteria, strict=True):
        by_string.setdefault(hint.string, []).append((slice_, None if hint.decides else criterion.holds))

    def candidates(value: Any) -> Sequence[_Candidate]:
        if len(path) == 1 and type(value) is dict and type(string := value.get(path[0])) is str:
            return by_string.get(string, ())
        strings = strings_at(value, path)
        if len(strings) == 1:
            return by_string.get(strings[0], ())
        return [found for string in dict.fromkeys(strings) for found in by_string.get(string, ())]

    return candidates


def _times(most: int) -> str:
    return "never" if most == 0 else "once" if most == 1 else f"{most} times at most"
