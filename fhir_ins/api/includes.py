"""What is answered along with the matches of a search: _include. https://hl7.org/fhir/R4/search.html#include"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from fhir_ins.api.context import context_of
from fhir_ins.api.served import PUBLISHED
from fhir_ins.fhir.json import parse
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.references import local_reference
from fhir_ins.fhir.search import Criterion, Search, TokenValue
from fhir_ins.fhir.search_parameters import SearchParameter
from fhir_ins.fhir.search_values import Kind
from fhir_ins.fhir.structure import resource_types
from fhir_ins.frcore.search_parameters import PARAMETERS
from fhir_ins.security.caller import Caller
from fhir_ins.store.versions import Version

INCLUDE = "_include"
MOST_INCLUDED = 500

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Include:
    """What resources refer to under this parameter; where `target` is given, only what is of that type."""

    parameter: SearchParameter
    target: str | None


def includable(type_: str) -> list[str]:
    """What may be included with this type, as the CapabilityStatement lists it: Observation:subject."""
    if type_ in PUBLISHED:
        return []
    return [f"{type_}:{found.name}" for found in PARAMETERS[type_].values() if found.kind is Kind.REFERENCE]


def includes(pairs: Iterable[Pair], type_: str) -> list[Include]:
    """What the _include of a search of this type ask for. Raises BadRequest."""
    return [_include(value, type_) for name, value in pairs if name == INCLUDE]


def _include(value: str, type_: str) -> Include:
    source, _, rest = value.partition(":")
    name, _, target = rest.partition(":")
    offered = includable(type_)
    parameter = PARAMETERS[type_][name] if f"{source}:{name}" in offered else None
    if parameter is None or (target and target not in (parameter.targets or resource_types())):
        listed = ", ".join(offered) or "nothing"
        text = f"_include names a reference of what is searched for, and a type of its target if need be: {listed}."
        raise BadRequest(text, code="not-supported")
    return Include(parameter, target or None)


async def included(
    request: Request, caller: Caller, matches: Sequence[Version], asked: Sequence[Include]
) -> list[Version]:
    """What the matches refer to by what is asked for, each once, as this caller may read it; none of the matches.

    Raises BadRequest where it is more than `MOST_INCLUDED`.
    """
    here = {f"{version.type}/{version.id}" for version in matches}
    wanted = {
        reference
        for version in matches
        if version.body
        for include in asked
        for reference in _references(parse(version.body), include)
    } - here
    if len(wanted) > MOST_INCLUDED:
        text = f"With these matches more than {MOST_INCLUDED} resources would be included: ask for a smaller _count."
        raise BadRequest(text, code="too-costly")
    found: list[Version] = []
    for type_ in context_of(request).served.stored:
        ids = sorted(reference.partition("/")[2] for reference in wanted if reference.startswith(f"{type_}/"))
        if ids:
            by_id = Criterion((PARAMETERS[type_]["_id"],), tuple(TokenValue(None, id_) for id_ in ids))
            page = await context_of(request).resources.search(caller, type_, Search((by_id,), len(ids), ()), None)
            found += page.versions
    return found


def _references(resource: dict[str, object], include: Include) -> Iterable[str]:
    """The local references, Type/id, under the parameter."""
    for value in include.parameter.values(resource):
        local = local_reference(value) if isinstance(value, str) else None
        if local and (include.target is None or local.startswith(f"{include.target}/")):
            yield local
