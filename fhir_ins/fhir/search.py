"""The grammar of a search: names, modifiers, prefixes, lists and escapes. https://hl7.org/fhir/R4/search.html

A parameter we do not know, or a form we do not offer, is refused with the list of what is offered; with
`Prefer: handling=lenient` it is left out, and the self link shows what was applied.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import parse_qsl

from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.references import local_reference, target_type, unversioned
from fhir_ins.fhir.search_parameters import SearchParameter, hierarchies
from fhir_ins.fhir.search_terms import CompositeValue, SearchValue, UriValue, split, term, unescaped
from fhir_ins.fhir.search_values import Kind
from fhir_ins.fhir.structure import resource_types

DEFAULT_COUNT = 20
GREATEST_COUNT = 200
GREATEST_LIST = 50
MOST_SORT_KEYS = 5
MOST_SEGMENTS = 50  # of a URL each of whose beginnings is looked for
LONGEST_URL = 1000
MOST_PARAMETERS = 20
LONGEST_QUERY = 65_536  # characters, as many as a URL may have
TOTALS = ("none", "estimate", "accurate")

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+", re.ASCII)
_URL = re.compile(r"[a-z][a-z0-9+.\-]*://\S+", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Criterion:
    """Any of the values may match, under any of the parameters: a search names one, a compartment may take several.

    With the modifier `not` none of them may. Without values nothing matches: a chain has found nothing to refer to.
    """

    parameters: tuple[SearchParameter, ...]
    values: tuple[SearchValue, ...]
    modifier: str = ""


@dataclass(frozen=True, slots=True)
class SortKey:
    """The least value of each resource under the parameter comes first; descending, the greatest."""

    parameter: SearchParameter
    descending: bool = False

    def __str__(self) -> str:
        return f"-{self.parameter.name}" if self.descending else self.parameter.name


@dataclass(frozen=True, slots=True)
class Search:
    """All criteria match together. `applied` are the name and value pairs of the self link.

    Without `sort` the matches come in order of id.
    """

    criteria: tuple[Criterion, ...]
    count: int
    applied: tuple[tuple[str, str], ...]
    sort: tuple[SortKey, ...] = ()
    total: str = "none"


def pairs_of(query: str) -> list[tuple[str, str]]:
    """The decoded name and value pairs of a query string or a form. Raises BadRequest."""
    if len(query) > LONGEST_QUERY:
        raise BadRequest(f"The search parameters take {LONGEST_QUERY} characters at most.", code="too-costly")
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS)
    except ValueError as error:
        raise BadRequest(f"The search parameters must be URL-encoded UTF-8, {MOST_PARAMETERS} at most.") from error


NO_CHAINS: Mapping[tuple[str, str], Criterion] = MappingProxyType({})


def parse(
    pairs: Sequence[tuple[str, str]],
    parameters: Mapping[str, SearchParameter],
    *,
    lenient: bool,
    base: str | None = None,
    chained: Mapping[tuple[str, str], Criterion] = NO_CHAINS,
) -> Search:
    """Read decoded name and value pairs. Raises BadRequest naming the parameter, never its value.

    `base` is the address of this server: a reference that starts with it is a local one. `chained` are the pairs of
    chained parameters, and what each has been resolved to.
    """
    criteria: list[Criterion] = []
    applied: list[tuple[str, str]] = []
    count, total = DEFAULT_COUNT, "none"
    sort: tuple[SortKey, ...] = ()
    for name, value in pairs:
        if name == "_format":
            continue
        if name == "_count":
            count = _count(value)
        elif name == "_sort":
            sort = _sort(value, parameters, lenient=lenient)
            value = ",".join(str(key) for key in sort)
            if not sort:
                continue
        elif name == "_total":
            total = _total(value)
        elif name == "_contained":
            _contained(value)
        elif found := chained.get((name, value)):
            criteria.append(found)
        elif asked := asked_for(name, parameters):
            criteria.append(_criterion(asked, value, base))
        else:
            known = name.partition(":")[0] in parameters
            if lenient and not known:  # a modifier that is not offered is refused, however lenient
                continue
            message = "MSG_PARAM_MODIFIER_INVALID" if known else "MSG_PARAM_UNKNOWN"
            raise BadRequest(_unknown(name, parameters), code="not-supported", message=message)
        applied.append((name, value))
    return Search(tuple(criteria), count, tuple(applied), sort, total)


@dataclass(frozen=True, slots=True)
class Asked:
    """A parameter as a search names it: `target` is the type it gives as modifier, `subject:Patient`."""

    parameter: SearchParameter
    target: str | None = None
    modifier: str = ""


def asked_for(name: str, parameters: Mapping[str, SearchParameter]) -> Asked | None:
    """The parameter of this name; None where it, or its modifier, is not offered."""
    base, colon, modifier = name.partition(":")
    parameter = parameters.get(base)
    if parameter is None or not colon:
        return Asked(parameter) if parameter else None
    if modifier in parameter.modified:
        return Asked(parameter.modified[modifier])
    if modifier in modifiers_of(parameter):
        return Asked(parameter, modifier=modifier)
    allowed = parameter.kind is Kind.REFERENCE and modifier in (parameter.targets or resource_types())
    return Asked(parameter, modifier) if allowed else None


def modifiers_of(parameter: SearchParameter) -> tuple[str, ...]:
    """The modifiers it is offered with, beside the types of a reference's target."""
    if parameter.name in _OF_ALL:
        return ()
    offered = (*_MODIFIERS.get(parameter.kind, ("missing",)), *parameter.modified)
    return (*offered, *HIERARCHICAL) if parameter.targets & hierarchies().keys() else offered


# Of references to what may be part of others of its type; `chained` resolves them before.
HIERARCHICAL = ("above", "below")
# Of what every resource has, nothing is missing.
_OF_ALL = ("_id", "_lastUpdated")
_MODIFIERS: Mapping[Kind, tuple[str, ...]] = {
    Kind.COMPOSITE: (),
    Kind.STRING: ("missing", "exact", "contains"),
    Kind.TOKEN: ("missing", "not"),
    Kind.URI: ("missing", "above", "below"),
}
_BY_TERMINOLOGY = ("in", "not-in", "above", "below")


def _unknown(name: str, parameters: Mapping[str, SearchParameter]) -> str:
    base, _, modifier = name.partition(":")
    if base in parameters and modifier:
        parameter = parameters[base]
        if parameter.kind is Kind.TOKEN and modifier in _BY_TERMINOLOGY:
            return f"{base} is not offered with this modifier, which needs a terminology service: list the codes."
        offered = modifiers_of(parameter)
        if parameter.kind is Kind.REFERENCE:
            offered = (*offered, *(sorted(parameter.targets) or ["any resource type"]))
        if not offered:
            return f"The search parameter {base} is not offered with a modifier: leave it out."
        return f"The search parameter {base} is offered with these modifiers: {', '.join(offered)}. Or leave it out."
    shown = base if re.fullmatch(r"[A-Za-z_.-]{1,40}", base) else "given"
    valid = ", ".join([*parameters, "_count"])
    return f"The search parameter {shown} is not one of this resource. Valid ones: {valid}."


def _count(value: str) -> int:
    if not re.fullmatch(r"\d{1,9}", value, re.ASCII):
        raise BadRequest(f"_count takes a whole number from 0 to {GREATEST_COUNT}.", code="value")
    return min(int(value), GREATEST_COUNT)


def _sort(value: str, parameters: Mapping[str, SearchParameter], *, lenient: bool) -> tuple[SortKey, ...]:
    """https://hl7.org/fhir/R4/search.html#sort"""
    keys = []
    for text in value.split(","):
        parameter = parameters.get(text.removeprefix("-"))
        if parameter is None or parameter.kind in (Kind.COMPOSITE, Kind.SPECIAL):
            if lenient:
                continue
            raise BadRequest(
                "_sort takes search parameters of this resource, with - before one to sort the other way: "
                "_sort=family,-birthdate.",
                code="not-supported",
            )
        keys.append(SortKey(parameter, text.startswith("-")))
    if len(keys) > MOST_SORT_KEYS:
        raise BadRequest(f"_sort takes {MOST_SORT_KEYS} search parameters at most.", code="too-costly")
    return tuple(keys)


def _total(value: str) -> str:
    if value not in TOTALS:
        raise BadRequest("_total takes none, estimate or accurate.", code="value")
    return value


def _contained(value: str) -> None:
    if value != "false":
        text = "Contained resources are not searched: leave _contained out, or search what contains them."
        raise BadRequest(text, code="not-supported")


def _criterion(asked: Asked, value: str, base: str | None) -> Criterion:
    parameter = asked.parameter
    alternatives = split(value, ",")
    if len(alternatives) > GREATEST_LIST:
        raise BadRequest(
            f"The search parameter {parameter.name} takes {GREATEST_LIST} values at most.", code="too-costly"
        )
    if not all(alternatives):
        raise BadRequest(
            f"The search parameter {parameter.name} has an empty value.", code="value", message="MSG_PARAM_INVALID"
        )
    if parameter.kind is Kind.REFERENCE and asked.modifier in HIERARCHICAL:
        raise BadRequest(f"{parameter.name} is not looked up along a hierarchy here: give the references themselves.")
    if parameter.kind is Kind.REFERENCE and asked.modifier != "missing":
        return Criterion((parameter,), tuple(_reference(asked, unescaped(one), base) for one in alternatives))
    if parameter.kind is Kind.URI and asked.modifier in ("above", "below"):
        _require_urls(parameter, alternatives)
    values = tuple(_addressed(term(parameter, asked.modifier, one), base) for one in alternatives)
    return Criterion((parameter,), values, asked.modifier)


def _require_urls(parameter: SearchParameter, values: Sequence[str]) -> None:
    """https://hl7.org/fhir/R4/search.html#uri: above and below are of URLs, not of URNs."""
    urls = [unescaped(value) for value in values]
    if not all(_URL.fullmatch(url) for url in urls):
        raise BadRequest(f"{parameter.name} takes a URL with above and below: http://a/b.", code="value")
    if any(len(url) > LONGEST_URL or url.count("/") > MOST_SEGMENTS for url in urls):
        raise BadRequest(
            f"{parameter.name} takes a URL of {LONGEST_URL} characters and {MOST_SEGMENTS} segments at most with above "
            "and below: name what is nearer to its root.",
            code="too-costly",
        )


def _reference(asked: Asked, text: str, base: str | None) -> UriValue:
    """`Type/id` where the type is told or given as modifier; without its version, which no search may ask for."""
    name, target = asked.parameter.name, asked.target
    text = _here(text, base)
    if _ID.fullmatch(text):
        return UriValue(f"{target}/{text}" if target else text)
    local = local_reference(text)
    if local is None and not _ABSOLUTE.fullmatch(text):
        raise BadRequest(f"{name} takes an id, a type and an id (Patient/123), or an absolute URL.", code="value")
    type_ = target_type({"reference": text})
    allowed = {target} if target else asked.parameter.targets
    if allowed and type_ and (local or target) and type_ not in allowed:
        raise BadRequest(f"{name} refers to these types here: {', '.join(sorted(allowed))}.", code="value")
    return UriValue(local or unversioned(text))


def _addressed(value: SearchValue, base: str | None) -> SearchValue:
    """The value; of a composite, its references as references are kept: local where they are, without version."""
    if not isinstance(value, CompositeValue):
        return value
    parts = (UriValue(_address(part.text, base)) if isinstance(part, UriValue) else part for part in value.parts)
    return CompositeValue(tuple(parts))


def _address(text: str, base: str | None) -> str:
    here = _here(text, base)
    return local_reference(here) or unversioned(here)


def _here(text: str, base: str | None) -> str:
    """An absolute address below `base`, our own, as a local one."""
    return text.removeprefix(f"{base}/") if base else text
