"""The search parameters we serve, and the keys of a resource under each.

Source: https://hl7.org/fhir/R4/patient.html#search, https://hl7.org/fhir/R4/task.html#search,
https://hl7.org/fhir/R4/searchparameter-registry.html (those of conformance resources and of NamingSystem) and
https://hl7.org/fhir/R4/search.html
"""

import re
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
    REFERENCE = "reference"
    STRING = "string"
    TOKEN = "token"  # noqa: S105 - a search parameter type
    URI = "uri"


@dataclass(frozen=True, slots=True)
class Token:
    """A coded value; `system` is None where the element has none.

    A uri is one too, a code compared as a whole; so is a reference to a resource of this server: its type and its id.
    """

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

    def __or__(self, other: "Keys") -> "Keys":
        return Keys(self.tokens | other.tokens, self.strings | other.strings, self.dates | other.dates)


NO_KEYS = Keys(frozenset(), frozenset(), frozenset())


def keys_of(resource: Resource, parameters: Mapping[str, SearchParameter] | None = None) -> Keys:
    """The keys of a resource of a type we serve, under these parameters or under all of its type's in FHIR."""
    tokens, strings, dates = set(), set(), set()
    asked = PARAMETERS[resource["resourceType"]] if parameters is None else parameters
    for parameter in asked.values():
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
_LOCAL = re.compile(r"(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})")

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


def _reference(name: str) -> Callable[[Resource], Iterator[Value]]:
    """The values of a reference at the top of a resource, to a resource of this server."""

    def values(resource: Resource) -> Iterator[Value]:
        if parts := _LOCAL.fullmatch(resource.get(name, {}).get("reference", "")):
            yield Token(parts["type"], parts["id"])

    return values


def _dated(name: str) -> Callable[[Resource], Iterator[Value]]:
    """The span of a date at the top of a resource."""
    return lambda resource: (span for span in [span_of(resource.get(name, ""))] if span)


def _last_updated(resource: Resource) -> Iterator[Value]:
    """When the version was written, which a resource says once it is stored."""
    return (span for span in [span_of(resource.get("meta", {}).get("lastUpdated", ""))] if span)


def _codings(name: str) -> Callable[[Resource], Iterator[Value]]:
    """The codings of a CodeableConcept at the top of a resource."""
    return lambda resource: (
        Token(coding.get("system"), coding["code"])
        for coding in resource.get(name, {}).get("coding", ())
        if coding.get("code")
    )


def _element(name: str, system: str | None = None) -> Callable[[Resource], Iterator[Value]]:
    """The values of a coded or uri element at the top of a resource; `system` is that of its codes."""
    return lambda resource: (Token(system, code) for code in [resource.get(name)] if code)


def _unique_ids(resource: Resource) -> Iterator[Value]:
    return (unique["value"] for unique in resource.get("uniqueId", ()) if unique.get("value"))


def _unique_id_types(resource: Resource) -> Iterator[Value]:
    system = "http://hl7.org/fhir/namingsystem-identifier-type"
    return (Token(system, unique["type"]) for unique in resource.get("uniqueId", ()) if unique.get("type"))


_LOGICAL_ID = SearchParameter("_id", Kind.TOKEN, f"{_DEFINITIONS}/Resource-id", "Logical id", _element("id"))
_NAME = SearchParameter(
    "name",
    Kind.STRING,
    f"{_DEFINITIONS}/conformance-name",
    "Start of the computer-friendly name",
    lambda resource: [resource["name"]] if resource.get("name") else [],
)
_STATUS = SearchParameter(
    "status",
    Kind.TOKEN,
    f"{_DEFINITIONS}/conformance-status",
    "Publication status",
    _element("status", "http://hl7.org/fhir/publication-status"),
)
_DATE = SearchParameter(
    "date",
    Kind.DATE,
    f"{_DEFINITIONS}/conformance-date",
    "Date of the last change",
    _dated("date"),
)
_for = _reference("for")
_TASK = (
    SearchParameter("_id", Kind.TOKEN, f"{_DEFINITIONS}/Resource-id", "Logical id", _id),
    SearchParameter(
        "_lastUpdated", Kind.DATE, f"{_DEFINITIONS}/Resource-lastUpdated", "When it last changed", _last_updated
    ),
    SearchParameter(
        "status",
        Kind.TOKEN,
        f"{_DEFINITIONS}/Task-status",
        "requested, in-progress, completed, failed or cancelled",
        _element("status", "http://hl7.org/fhir/task-status"),
    ),
    SearchParameter("code", Kind.TOKEN, f"{_DEFINITIONS}/Task-code", "What is to be done", _codings("code")),
    SearchParameter("patient", Kind.REFERENCE, f"{_DEFINITIONS}/Task-patient", "The Patient it is for", _for),
    SearchParameter("subject", Kind.REFERENCE, f"{_DEFINITIONS}/Task-subject", "The same", _for),
    SearchParameter(
        "authored-on", Kind.DATE, f"{_DEFINITIONS}/Task-authored-on", "When it was asked", _dated("authoredOn")
    ),
)
_CONFORMANCE = (
    _LOGICAL_ID,
    SearchParameter("url", Kind.URI, f"{_DEFINITIONS}/conformance-url", "Canonical URL", _element("url")),
    _NAME,
    SearchParameter(
        "version", Kind.TOKEN, f"{_DEFINITIONS}/conformance-version", "Business version", _element("version")
    ),
    _STATUS,
    _DATE,
)
_NAMING_SYSTEM = (
    _LOGICAL_ID,
    _NAME,
    _STATUS,
    _DATE,
    SearchParameter(
        "value",
        Kind.STRING,
        f"{_DEFINITIONS}/NamingSystem-value",
        "Start of an OID or URI that means the system",
        _unique_ids,
    ),
    SearchParameter(
        "id-type", Kind.TOKEN, f"{_DEFINITIONS}/NamingSystem-id-type", "Type of a unique id", _unique_id_types
    ),
    SearchParameter(
        "kind",
        Kind.TOKEN,
        f"{_DEFINITIONS}/NamingSystem-kind",
        "What the system is of",
        _element("kind", "http://hl7.org/fhir/namingsystem-type"),
    ),
)


def named(parameters: Iterable[SearchParameter]) -> dict[str, SearchParameter]:
    """The parameters by their names, in their order."""
    return {parameter.name: parameter for parameter in parameters}


PARAMETERS: Mapping[str, Mapping[str, SearchParameter]] = {
    "Patient": named(_PATIENT),
    "Task": named(_TASK),
    "CodeSystem": named(_CONFORMANCE),
    "NamingSystem": named(_NAMING_SYSTEM),
    "OperationDefinition": named(_CONFORMANCE),
    "SearchParameter": named(_CONFORMANCE),
    "StructureDefinition": named(_CONFORMANCE),
    "ValueSet": named(_CONFORMANCE),
}
