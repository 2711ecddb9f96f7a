"""The search parameters of R4's types, and the keys of a resource under each.

Source: https://hl7.org/fhir/R4/searchparameter-registry.html, of which `compile_search` makes the table; a type's
parameters are compiled when it is first asked for.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from fhir_ins.fhir.places import ancestors
from fhir_ins.fhir.search_paths import (
    Component,
    Leaf,
    composite_extractor,
    extractor,
    further_extractor,
    leaves,
    may_last,
)
from fhir_ins.fhir.search_values import (
    Kind,
    Value,
    identifiers_of_type,
    logical_references,
    texts_of,
)
from fhir_ins.fhir.structure import resource_types

Resource = Mapping[str, Any]
Json = dict[str, Any]
Values = Callable[[Resource], Iterable[Value]]


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """A parameter: `definition` is its canonical URL, `values` gives a resource's values under it.

    `targets` are the types a reference may name, empty when any; `lasting`: its dates may last longer than a year.
    `components` are the kinds of a composite's parts.

    What a resource has under another parameter as well (family, of name) has its keys there only: `names` are this
    parameter and those others, `own` gives the values that are left; None: all.

    `modified` are the parameters that a modifier makes of it, since it compares something else than the values:
    `code:text` the words, `identifier:of-type` the type with the value, `subject:identifier` a logical reference.
    """

    name: str
    kind: Kind
    definition: str
    documentation: str
    values: Values
    targets: frozenset[str] = frozenset()
    lasting: bool = False
    components: tuple[Kind, ...] = ()
    also: tuple[str, ...] = ()
    own: Values | None = None
    modified: Mapping[str, "SearchParameter"] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Under which its keys stand."""
        return (self.name, *self.also)


Named = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class Keys:
    """What a resource can be found by: (parameter, value) pairs, by the kind of the values.

    `uris` are of references too; of composites, with the kinds of their parts.
    """

    tokens: frozenset[Named] = frozenset()
    strings: frozenset[Named] = frozenset()
    dates: frozenset[Named] = frozenset()
    uris: frozenset[Named] = frozenset()
    amounts: frozenset[Named] = frozenset()
    positions: frozenset[Named] = frozenset()
    composites: frozenset[tuple[str, tuple[Kind, ...], Any]] = frozenset()

    def __or__(self, other: "Keys") -> "Keys":
        return Keys(*(getattr(self, name) | getattr(other, name) for name in _KEYS))


_KEYS = ("tokens", "strings", "dates", "uris", "amounts", "positions", "composites")
NO_KEYS = Keys()

# Parameters of the official table that are not offered: each would find nothing, or other than it says.
_SOUNDS_LIKE = "It asks for names that sound alike, which needs an algorithm for each language."
_NO_SUCH_EXTENSION = "Its expression names an extension that R4 does not define."
_FIRST_ENTRY = "It stands for a resource within the Bundle, for the parameters of that to be chained to."
NOT_OFFERED: Mapping[str, str] = {
    "http://hl7.org/fhir/SearchParameter/individual-phonetic": _SOUNDS_LIKE,
    "http://hl7.org/fhir/SearchParameter/InsurancePlan-phonetic": _SOUNDS_LIKE,
    "http://hl7.org/fhir/SearchParameter/Organization-phonetic": _SOUNDS_LIKE,
    "http://hl7.org/fhir/SearchParameter/Bundle-composition": _FIRST_ENTRY,
    "http://hl7.org/fhir/SearchParameter/Bundle-message": _FIRST_ENTRY,
    "http://hl7.org/fhir/SearchParameter/device-extensions-Device-din": _NO_SUCH_EXTENSION,
    "http://hl7.org/fhir/SearchParameter/observation-genetic-Observation-amino-acid-change": _NO_SUCH_EXTENSION,
    "http://hl7.org/fhir/SearchParameter/observation-genetic-Observation-dna-variant": _NO_SUCH_EXTENSION,
    "http://hl7.org/fhir/SearchParameter/observation-genetic-Observation-gene-amino-acid-change": _NO_SUCH_EXTENSION,
    "http://hl7.org/fhir/SearchParameter/observation-genetic-Observation-gene-dnavariant": _NO_SUCH_EXTENSION,
    "http://hl7.org/fhir/SearchParameter/patient-extensions-Patient-mothersMaidenName": _NO_SUCH_EXTENSION,
}


def keys_of(resource: Resource, parameters: Mapping[str, SearchParameter] | None = None) -> Keys:
    """The keys of a resource under these parameters, or under all of its type's in FHIR."""
    found: dict[Kind, set[Any]] = {kind: set() for kind in _SETS}
    asked = PARAMETERS[resource["resourceType"]] if parameters is None else parameters
    for parameter in asked.values():
        _add(parameter, resource, found)
        for modified in parameter.modified.values():
            _add(modified, resource, found)
    return Keys(**{name: frozenset().union(*(found[kind] for kind in kinds)) for name, kinds in _KINDS_OF.items()})


def _add(parameter: SearchParameter, resource: Resource, found: dict[Kind, set[Any]]) -> None:
    values = (parameter.own or parameter.values)(resource)
    if not values:
        return
    name = parameter.name
    if parameter.components:
        found[parameter.kind].update([(name, parameter.components, value) for value in values])
    else:
        found[parameter.kind].update([(name, value) for value in values])


_SETS = tuple(Kind)
_KINDS_OF: Mapping[str, tuple[Kind, ...]] = {
    "tokens": (Kind.TOKEN,),
    "strings": (Kind.STRING,),
    "dates": (Kind.DATE,),
    "uris": (Kind.URI, Kind.REFERENCE),
    "amounts": (Kind.NUMBER, Kind.QUANTITY),
    "positions": (Kind.SPECIAL,),
    "composites": (Kind.COMPOSITE,),
}


def named(parameters: Iterable[SearchParameter]) -> dict[str, SearchParameter]:
    """The parameters by their names, in their order."""
    return {parameter.name: parameter for parameter in parameters}


class ParametersByType(Mapping[str, Mapping[str, SearchParameter]]):
    """The parameters of each R4 type by their names: the official ones, then `further` ones of ours or others.

    A further one of an official name takes its place.
    """

    def __init__(self, further: Mapping[str, Mapping[str, SearchParameter]]) -> None:
        self._further = further

    def __getitem__(self, type_: str) -> Mapping[str, SearchParameter]:
        official = _official(type_)
        further = self._further.get(type_)
        return {**official, **further} if further else official

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(resource_types()))

    def __len__(self) -> int:
        return len(resource_types())


PARAMETERS = ParametersByType({})


@cache
def definitions() -> Mapping[str, Any]:
    """The table of R4's search parameters and compartments; `compile_search` says how to read it."""
    path = Path(__file__).with_name("definitions") / "r4-search.json"
    table: Mapping[str, Any] = orjson.loads(path.read_bytes())
    return table


@cache
def hierarchies() -> Mapping[str, str]:
    """The types whose resources may be part of others of their type, and the parameter that says of which.

    `partof` of Location, `parent` of Specimen.
    """
    return {
        type_: name
        for type_, entries in definitions()["parameters"].items()
        for name in ("partof", "part-of", "parent")
        if type_ in entries.get(name, {}).get("targets", ())
    }


@cache
def _official(type_: str) -> Mapping[str, SearchParameter]:
    """Those of R4 on a type that are offered: with an expression, of a kind in use. Raises KeyError."""
    if type_ not in resource_types():
        raise KeyError(type_)
    table = definitions()["parameters"]
    bases = sorted(ancestors(type_) & {"Resource", "DomainResource"}, reverse=True)
    found = {name: entry for base in (*bases, type_) for name, entry in table.get(base, {}).items()}
    offered = {name: entry for name, entry in found.items() if _is_offered(entry)}
    parameters = {name: _parameter(name, type_, entry) for name, entry in offered.items()}
    return _each_key_once(parameters, offered, type_)


def _is_offered(entry: Json) -> bool:
    return "expression" in entry and entry["url"] not in NOT_OFFERED


def _parameter(name: str, type_: str, entry: Json) -> SearchParameter:
    kind, expression = Kind(entry["type"]), entry["expression"]
    components = [Component(inner, _kinds()[url]) for url, inner in entry.get("components", ())]
    values = composite_extractor(expression, components, type_) if components else extractor(expression, type_, kind)
    return SearchParameter(
        name,
        kind,
        entry["url"],
        entry["text"],
        values,
        frozenset(entry.get("targets", ())),
        lasting=kind is Kind.DATE and may_last(expression, type_),
        components=tuple(component.kind for component in components),
        modified=_modified(name, type_, entry) if kind in (Kind.TOKEN, Kind.REFERENCE) else {},
    )


@cache
def _kinds() -> Mapping[str, Kind]:
    """Of each official parameter, by its URL."""
    table = definitions()["parameters"]
    return {entry["url"]: Kind(entry["type"]) for named in table.values() for entry in named.values()}


# What a modifier compares instead of the values: https://hl7.org/fhir/R4/search.html#token, #reference
_MODIFIERS = {
    "text": (Kind.TOKEN, Kind.STRING, texts_of),
    "of-type": (Kind.TOKEN, Kind.TOKEN, identifiers_of_type),
    "identifier": (Kind.REFERENCE, Kind.TOKEN, logical_references),
}


def _modified(name: str, type_: str, entry: Json) -> dict[str, SearchParameter]:
    found = {}
    for modifier, (of, kind, put_of) in _MODIFIERS.items():
        values = further_extractor(entry["expression"], type_, put_of) if of == entry["type"] else None
        if values:
            found[modifier] = SearchParameter(f"{name}:{modifier}", kind, entry["url"], entry["text"], values)
    return found


def _each_key_once(
    parameters: Mapping[str, SearchParameter], entries: Mapping[str, Json], type_: str
) -> Mapping[str, SearchParameter]:
    """The parameters, each without the keys that others of its kind have already.

    Of two that lead to the same elements, the first one by name has the keys.
    """
    ways = {name: _leaves(entry, type_) for name, entry in entries.items()}
    made = {}
    for name, parameter in parameters.items():
        mine, kind = ways[name], parameter.kind
        also = {
            other: theirs
            for other, theirs in ways.items()
            if parameters[other].kind is kind and theirs and (theirs < mine or (theirs == mine and other < name))
        }
        if also:
            but = frozenset[Leaf]().union(*also.values())
            own = extractor(entries[name]["expression"], type_, kind, but=but)
            parameter = replace(parameter, also=tuple(also), own=own)
        made[name] = parameter
    return made


def _leaves(entry: Json, type_: str) -> frozenset[Leaf]:
    kind = Kind(entry["type"])
    if kind in (Kind.COMPOSITE, Kind.SPECIAL):
        return frozenset()
    return leaves(entry["expression"], type_, kind)
