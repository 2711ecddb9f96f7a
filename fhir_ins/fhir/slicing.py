"""Judging the slices of an element. https://hl7.org/fhir/R4/profiling.html#slicing

Each item belongs to at most one slice. What a slice asks for is judged on its items, how many they are is counted, and
the rules say what may stand beside them (open, closed, openAtEnd) and in which order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_ins.fhir.discriminators import Criterion
from fhir_ins.fhir.judging import Breach, Item, Judge, Resource, any_error, below

Published = Callable[[str, Any], bool]  # a rule (see `Profiles`) and the value that breaks it


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice: how often it stands (`most` None: any number), what it asks of its items, which items are its own."""

    name: str
    least: int
    most: int | None
    judges: Sequence[Judge]
    criterion: Criterion | None
    inner: "Slicing | None" = None  # it is sliced again

    def judge(self, item: Item, resource: Resource) -> list[Breach]:
        return [breach for judge in self.judges for breach in judge(item, resource) or ()]


@dataclass(frozen=True, slots=True)
class Slicing:
    """The slices of the element `name` as the profile `label` has them.

    `by_url` finds the slices of extensions at once, without asking each for its criterion.
    """

    label: str
    name: str
    rules: str
    ordered: bool
    slices: Sequence[Slice]
    published: Published
    by_url: Mapping[str, Slice] | None = None

    def judge(self, items: Sequence[Item], step: Callable[[int], str], resource: Resource) -> list[Breach]:
        """The breaches of these items, `step(index)` being the path of each."""
        breaches: list[Breach] = []
        own: dict[str, list[int]] = {found.name: [] for found in self.slices}
        undecided = {found.name for found in self.slices if found.criterion is None}
        order: list[int] = []
        for index, item in enumerate(items):
            matching, unsure = self._matching(item, resource)
            undecided |= unsure
            if not matching:
                order.append(len(self.slices))
                if self.rules == "closed" and not undecided:
                    breaches.append(Breach("structure", self._foreign, step(index)))
                continue
            slice_, found = self._chosen(matching, item, resource)
            if len(matching) > 1:
                found = [self._ambiguous(matching, item), *found]
            own[slice_.name].append(index)
            order.append(self.slices.index(slice_))
            if found:
                breaches += below(step(index), found)
        if self.ordered or self.rules == "openAtEnd":
            breaches += self._out_of_order(order, step)
        breaches += self._cardinalities({name: len(indexes) for name, indexes in own.items()}, undecided)
        for slice_ in self.slices:
            if slice_.inner is not None:
                breaches += slice_.inner.of_some(items, own[slice_.name], step, resource)
        if undecided and items:
            breaches.append(self._not_told(undecided))
        return breaches

    def of_some(
        self, items: Sequence[Item], indexes: Sequence[int], step: Callable[[int], str], resource: Resource
    ) -> list[Breach]:
        """The same for some of the items only: those of the slice that is sliced again."""
        return self.judge([items[index] for index in indexes], lambda index: step(indexes[index]), resource)

    def absent(self) -> list[Breach]:
        """The breaches when there is no item at all."""
        return self._cardinalities(dict.fromkeys((found.name for found in self.slices), 0), set())

    def _matching(self, item: Item, resource: Resource) -> tuple[list[Slice], set[str]]:
        if self.by_url is not None:
            found = self.by_url.get(item.value.get("url")) if item.value else None
            return [found] if found else [], set()
        matching, unsure = [], set()
        for slice_ in self.slices:
            if slice_.criterion is not None:
                told = slice_.criterion(item, resource)
                if told:
                    matching.append(slice_)
                elif told is None:
                    unsure.add(slice_.name)
        return matching, unsure

    @staticmethod
    def _chosen(matching: list[Slice], item: Item, resource: Resource) -> tuple[Slice, list[Breach]]:
        """The slice of an item with what breaks it: of several that match, one that holds if there is one."""
        judged = [(slice_, slice_.judge(item, resource)) for slice_ in matching]
        return next((pair for pair in judged if not any_error(pair[1])), judged[0])

    def _ambiguous(self, matching: list[Slice], item: Item) -> Breach:
        names = [slice_.name for slice_ in matching]
        text = f"{self.label} takes this for {' and for '.join(names)} at once: make it one of them."
        rule = f"{self.name}:{','.join(names)}"
        return Breach("structure", text, published=self.published(rule, item.value))

    @property
    def _foreign(self) -> str:
        names = ", ".join(slice_.name for slice_ in self.slices)
        return f"{self.label} takes no other {self.name} than these slices: {names}. Make it one of them or remove it."

    def _out_of_order(self, order: list[int], step: Callable[[int], str]) -> list[Breach]:
        last = len(self.slices)
        breaches = []
        for index in range(1, len(order)):
            before, here = order[index - 1], order[index]
            if here == last:
                continue
            if before == last and self.rules == "openAtEnd":
                text = f"{self.label} wants what is of no slice after all slices. Move this before it."
                breaches.append(Breach("structure", text, step(index)))
            elif self.ordered and any(here < earlier < last for earlier in order[:index]):
                names = ", ".join(slice_.name for slice_ in self.slices)
                breaches.append(Breach("structure", f"{self.label} wants this order: {names}. Move this.", step(index)))
        return breaches

    def _cardinalities(self, counts: Mapping[str, int], undecided: set[str]) -> list[Breach]:
        breaches = []
        for slice_ in self.slices:
            count = counts[slice_.name]
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

    def _not_told(self, undecided: set[str]) -> Breach:
        names = ", ".join(sorted(undecided))
        text = (
            f"Which {self.name} is of these slices of {self.label} cannot be told here; they were not judged: {names}."
        )
        return Breach("informational", text, f".{self.name.removesuffix('[x]')}", severity="information")


def _times(most: int) -> str:
    return "never" if most == 0 else "once" if most == 1 else f"{most} times at most"
