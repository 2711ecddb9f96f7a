"""The elements of profiles, merged along their bases. https://hl7.org/fhir/R4/profiling.html

A profile says what it adds to its base. Merged, the elements of both make one tree: by their ids, what the child says
over what the parent says, slices and children included; the tree of a type profile stays its own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import chain
from typing import Any

from fhir_ins.fhir.places import Place, property_of, repeats

Json = dict[str, Any]

CORE = "http://hl7.org/fhir/StructureDefinition/"


class Element:
    """What a profile says of one element: its facets (see `compile_profiles`), what is below it, its slices."""

    __slots__ = ("children", "facets", "place", "repeats", "slices")

    def __init__(self, place: Place, *, repeats: bool = True) -> None:
        self.place = place
        self.repeats = repeats
        self.facets: dict[str, Any] = {}
        self.children: dict[str, Element] = {}
        self.slices: dict[str, Element] = {}

    @property
    def types(self) -> Mapping[str, Mapping[str, Sequence[str]]]:
        """The types it may have, each with the profiles and targets it must have; empty when nothing is said."""
        types: Mapping[str, Mapping[str, Sequence[str]]] = self.facets.get("types", {})
        return types

    def child(self, name: str) -> "Element":
        """The element `name` below this one, made when nothing was said of it yet.

        A choice named by its type (valueQuantity) is the slice of that type, as in a differential's short form.
        """
        if name not in self.children:
            found = property_of(self._inside, name)
            if found and found.element != name:
                return self.child(found.element).slice(name, {found.type: {}})
            self.children[name] = Element(
                found.place if found else Place(self._inside.type, name), repeats=repeats(self._inside, name)
            )
        return self.children[name]

    @property
    def _inside(self) -> Place:
        """Where its children stand: of a choice narrowed to one type, in that type."""
        return Place(next(iter(self.types))) if len(self.types) == 1 and self._is_choice else self.place

    @property
    def _is_choice(self) -> bool:
        return self.place.path.endswith("[x]")

    def slice(self, name: str, types: Mapping[str, Any] | None = None) -> "Element":
        """The slice `name`, made when it is new; `a/b` is the slice b of the slice a."""
        outer, _, inner = name.partition("/")
        if outer not in self.slices:
            made = self.slices[outer] = Element(self.place, repeats=self.repeats)
            if types:
                made.facets["types"] = types
        found = self.slices[outer]
        return found.slice(inner) if inner else found

    def at(self, id_: str) -> "Element":
        """The element of an id such as `Patient.identifier:INS-NIR.use`, from the root of a profile."""
        element = self
        for step in id_.split(".")[1:]:
            name, _, slice_ = step.partition(":")
            element = element.child(name)
            if slice_:
                element = element.slice(slice_)
        return element

    def say(self, facets: Mapping[str, Any], source: str) -> None:
        """Add what a profile says here. Its constraints (with their source) come on top, all else replaces."""
        constraints = [(source, *constraint) for constraint in facets.get("constraints", ())]
        before = self.facets.get("constraints", ())
        slicing = facets.get("slicing") or self.facets.get("slicing")
        if slicing and not slicing["by"] and "slicing" in self.facets:
            slicing = {**self.facets["slicing"], "rules": slicing["rules"]}
        self.facets.update(facets)
        if constraints or before:
            self.facets["constraints"] = [*before, *constraints]
        if slicing:
            self.facets["slicing"] = slicing


class Structures:
    """The profiles of some tables by canonical URL, the later table's where two have one, and their trees."""

    def __init__(self, tables: Sequence[Mapping[str, Any]]) -> None:
        self._latest: dict[str, Json] = {}
        self._versions: dict[str, Json] = {}
        for table in tables:
            for url, structure in table["structures"].items():
                self._latest[url] = structure
                self._versions[f"{url}|{structure.get('version', '')}"] = structure
        self._trees: dict[str, Element] = {}

    def find(self, canonical: str) -> Json | None:
        """The profile of this canonical, in the version it names if it names one."""
        return self._versions.get(canonical) if "|" in canonical else self._latest.get(canonical)

    def nearest(self, canonical: str) -> Json | None:
        """The same for what a definition refers to: in want of the version it names, the one that is loaded.

        Definitions pin versions of packages (of HL7's extensions, say) that differ in nothing that matters here.
        """
        return self.find(canonical) or self._latest.get(canonical.partition("|")[0])

    def canonical(self, canonical: str) -> str | None:
        """The exact name (`url|version`) of what `nearest` finds: one for each tree."""
        structure = self.nearest(canonical)
        return None if structure is None else f"{canonical.partition('|')[0]}|{structure.get('version', '')}"

    def bases(self, canonical: str) -> Iterator[str]:
        """The exact names of a profile and of the profiles it derives from."""
        exact = self.canonical(canonical)
        seen: set[str] = set()
        while exact is not None and exact not in seen:
            seen.add(exact)
            yield exact
            exact = self.canonical(self._versions[exact]["base"])

    def tree(self, canonical: str) -> Element | None:
        """The merged tree of a profile, or None when it is not loaded."""
        exact = self.canonical(canonical)
        if exact is None:
            return None
        if exact not in self._trees:
            lineage = list(self.bases(exact))
            parent = self.tree(lineage[1]) if len(lineage) > 1 else None
            self._trees[exact] = self._merged(exact, parent)
        return self._trees[exact]

    def _merged(self, exact: str, parent: Element | None) -> Element:
        structure = self._versions[exact]
        root = deepcopy(parent) if parent else Element(Place(structure["type"]))
        for id_, facets in structure["elements"].items():
            root.at(id_).say(facets, exact)
        return root


class View:
    """All that is said of one element: by the profile itself, and by the profiles of its type behind it."""

    def __init__(self, elements: Iterable[Element], structures: Structures) -> None:
        self.structures = structures
        self.elements: list[Element] = list(dict.fromkeys(elements))
        for element in self.elements:  # grows while it is read: a profile's root may have a profile of its own
            for canonical in _only_profile(element):
                tree = structures.tree(canonical)
                if tree is not None and tree not in self.elements:
                    self.elements.append(tree)

    def facet(self, name: str) -> Any | None:
        return next((element.facets[name] for element in self.elements if name in element.facets), None)

    def child(self, name: str) -> "View | None":
        """What is below, and where that has one slice only, what is said of the slice."""
        found = [element.children[name] for element in self.elements if name in element.children]
        slices = [slice_ for element in found for slice_ in element.slices.values()]
        return View([*found, *(slices if len(slices) == 1 else ())], self.structures) if found else None

    def slice(self, name: str) -> "View":
        """A slice: what is said of it, then what is said of all items."""
        slices = (element.slices[name] for element in self.elements if name in element.slices)
        return View([*slices, *self.elements], self.structures)

    def slices(self) -> Iterator["View"]:
        for name in dict.fromkeys(chain.from_iterable(element.slices for element in self.elements)):
            yield self.slice(name)

    @property
    def url(self) -> str | None:
        """Of an extension: its url, fixed or that of its definition."""
        stated = self.child("url")
        if stated is not None and (value := stated.facet("fixed") or stated.facet("pattern")):
            return str(value)
        profiles = self.facet("types") or {}
        return next((found.partition("|")[0] for found in profiles.get("Extension", {}).get("profiles", ())), None)


def _only_profile(element: Element) -> Sequence[str]:
    if len(element.types) != 1:
        return ()
    (required,) = element.types.values()
    profiles = required.get("profiles", ())
    return profiles if len(profiles) == 1 else ()
