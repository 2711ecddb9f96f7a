"""The search parameters we serve, and the keys of a resource under each.

Source: https://hl7.org/fhir/R4/patient.html#search and https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fhir_ins.fhir.dates import Span, span_of
from fhir_ins.fhir.folding import fold

Resource = Mapping[str, Any]


class Kind(StrEnum):
    """The search parameter types in use."""

    DATE = "date"
    STRING = "string"
    TOKEN = "token"  # noqa: S105 - a search parameter type


@dataclass(frozen=True, slots=True)
class Token:
    """A coded value; `system` is None where the element has none."""

    system: str | None
    code: str


Value = Token | str | Span


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """A parameter: `definition` is its canonical URL, `values` gives a resource's values under it."""

    name: str
    kind: Kind
    definition: str
    documentation: str
    values: Callable[[Resource], Iterable[Value]]


@dataclass(frozen=True, slots=True)
class Keys:
    """What a resource can be found by: (parameter, value) pairs; strings are folded."""

    tokens: frozenset[tuple[str, Token]]
    strings: frozenset[tuple[str, str]]
    dates: frozenset[tuple[str, Span]]


def keys_of(resource: Resource) -> Keys:
    """All the keys of a resource of a type we serve."""
    tokens, strings, dates = set(), set(), set()
    for parameter in PARAMETERS[resource["resourceType"]].values():
        for value in parameter.values(resource):
            if isinstance(value, Token):
                tokens.add((parameter.name, value))
            elif isinstance(value, Span):
                dates.add((parameter.name, value))
            elif folded := fold(value):
                strings.add((parameter.name, folded))
    return Keys(frozenset(tokens), frozenset(strings), frozenset(dates))


def _id(_: Resource) -> Iterator[Value]:
    """`_id` is answered by the document's own key; nothing is indexed for it."""
    return iter(())


def _identifiers(resource: Resource) -> Iterator[Value]:
    for identifier in resource.get("identifier", ()):
        if identifier.get("value"):
            yield Token(identifier.get("system"), identifier["value"])


def _families(resource: Resource) -> Iterator[Value]:
    return (name["family"] for name in resource.get("name", ()) if name.get("family"))


def _given_names(resource: Resource) -> Iterator[Value]:
    return (given for name in resource.get("name", ()) for given in name.get("given", ()) if given)


def _birth_dates(resource: Resource) -> Iterator[Value]:
    if span := span_of(resource.get("birthDate", "")):
        yield span


def _genders(resource: Resource) -> Iterator[Value]:
    if gender := resource.get("gender"):
        yield Token("http://hl7.org/fhir/administrative-gender", gender)


_DEFINITIONS = "http://hl7.org/fhir/SearchParameter"

_PATIENT = (
    SearchParameter("_id", Kind.TOKEN, f"{_DEFINITIONS}/Resource-id", "Logical id", _id),
    SearchParameter(
        "identifier",
        Kind.TOKEN,
        f"{_DEFINITIONS}/Patient-identifier",
        "An identifier; an INS matches for a qualified identity only",
        _identifiers,
    ),
    SearchParameter("family", Kind.STRING, f"{_DEFINITIONS}/individual-family", "Start of a family name", _families),
    SearchParameter("given", Kind.STRING, f"{_DEFINITIONS}/individual-given", "Start of a given name", _given_names),
    SearchParameter("birthdate", Kind.DATE, f"{_DEFINITIONS}/individual-birthdate", "Date of birth", _birth_dates),
    SearchParameter("gender", Kind.TOKEN, f"{_DEFINITIONS}/individual-gender", "Gender", _genders),
)

PARAMETERS: Mapping[str, Mapping[str, SearchParameter]] = {
    "Patient": {parameter.name: parameter for parameter in _PATIENT},
}
