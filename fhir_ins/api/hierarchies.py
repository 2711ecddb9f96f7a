"""`:above` and `:below` of references, along what the resources of a type are part of.

https://hl7.org/fhir/R4/search.html#reference: `location:below=Location/42` is a reference to that Location or to any
that is part of it, through others too; `:above` to it or to any that it is part of.
"""

from collections.abc import Collection, Iterable

from starlette.requests import Request

from fhir_ins.api.context import base_url, context_of
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.search import HIERARCHICAL, Asked, Criterion, Search, parse
from fhir_ins.fhir.search_parameters import SearchParameter, hierarchies
from fhir_ins.fhir.search_terms import TokenValue, UriValue
from fhir_ins.fhir.search_values import Kind
from fhir_ins.frcore.search_parameters import PARAMETERS
from fhir_ins.security.caller import Caller

MOST_LEVELS = 20
MOST_MATCHES = 1000


def is_hierarchical(asked: Asked) -> bool:
    return asked.parameter.kind is Kind.REFERENCE and asked.modifier in HIERARCHICAL


async def along_hierarchy(request: Request, caller: Caller, asked: Asked, value: str) -> Criterion:
    """The references that `value` names, and those above or below each. Raises BadRequest where they are too many."""
    name = asked.parameter.name
    (named,) = parse([(name, value)], {name: asked.parameter}, lenient=False, base=base_url(request)).criteria
    texts = [reference.text for reference in named.values if isinstance(reference, UriValue)]
    found = set(texts)
    for type_ in asked.parameter.targets & hierarchies().keys() & set(context_of(request).served.stored):
        ids = {text.removeprefix(f"{type_}/") for text in texts}
        family = await _family(request, caller, type_, {id_ for id_ in ids if "/" not in id_}, asked.modifier)
        found |= {f"{type_}/{id_}" for id_ in family}
    return Criterion((asked.parameter,), tuple(UriValue(text) for text in sorted(found)))


async def _family(request: Request, caller: Caller, type_: str, ids: Collection[str], way: str) -> set[str]:
    """The ids that are above or below these, level after level, and these themselves."""
    caller.require_on("s", type_)
    resources, parameter = context_of(request).resources, PARAMETERS[type_][hierarchies()[type_]]
    seen, edge = set(ids), set(ids)
    for _ in range(MOST_LEVELS + 1):  # the last one finds nothing
        if way == "above":
            these = _search(PARAMETERS[type_]["_id"], (TokenValue(None, id_) for id_ in edge))
            found = await resources.referred(caller, type_, these, parameter, type_, MOST_MATCHES + 1)
        else:
            parts = _search(parameter, (UriValue(f"{type_}/{id_}") for id_ in edge))
            found = await resources.ids(caller, type_, parts, MOST_MATCHES + 1)
        edge = set(found) - seen
        seen |= edge
        if not edge:
            return seen
        if len(seen) > MOST_MATCHES:
            break
    raise BadRequest(
        f"More than {MOST_MATCHES} resources, or {MOST_LEVELS} levels, are above or below: name what is nearer.",
        code="too-costly",
    )


def _search(parameter: SearchParameter, values: Iterable[TokenValue | UriValue]) -> Search:
    return Search((Criterion((parameter,), tuple(values)),), 0, ())
