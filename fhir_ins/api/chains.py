"""Search parameters that something else is searched for first: along references, against them, up and down them.

`subject:Patient.family=adrun` is a reference to any Patient that `family=adrun` finds for this caller, and
`_has:Observation:patient:code=weight` the id of any that an Observation of `code=weight` refers to. Either may go on
with the other. https://hl7.org/fhir/R4/search.html#chaining
"""

from collections.abc import Sequence

from starlette.requests import Request

from fhir_ins.api.context import base_url, context_of
from fhir_ins.api.hierarchies import along_hierarchy, is_hierarchical
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.search import Asked, Criterion, Search, asked_for, parse
from fhir_ins.fhir.search_terms import TokenValue, UriValue
from fhir_ins.fhir.search_values import Kind
from fhir_ins.frcore.search_parameters import PARAMETERS
from fhir_ins.security.caller import Caller

MOST_LINKS = 4
MOST_MATCHES = 1000
MOST_SEARCHES = 100
_MADE = "fhir_ins.chain_searches"  # the key of a request's scope under which they are counted
HAS = "_has:"

Pair = tuple[str, str]


async def chained(
    request: Request, caller: Caller, type_: str, pairs: Sequence[Pair], *, lenient: bool = False, links: int = 1
) -> dict[Pair, Criterion]:
    """What each chained one of these parameters of a type comes to; names that are no chain are left out.

    Raises BadRequest for a chain that leads nowhere (unless lenient: it is left out), has more than `MOST_LINKS`, or
    matches more than `MOST_MATCHES`; and where all those of a request need more than `MOST_SEARCHES`.
    """
    found: dict[Pair, Criterion] = {}
    for name, value in pairs:
        if name.startswith(HAS):
            criterion = await _reversed(request, caller, type_, (name, value), links)
        elif (asked := asked_for(name, PARAMETERS[type_])) and is_hierarchical(asked):
            criterion = await along_hierarchy(request, caller, asked, value)
        elif asked := _link(type_, name):
            rest = name.partition(".")[2]
            criterion = await _forward(request, caller, asked, (rest, value), links)
        else:
            continue
        if criterion:
            found[name, value] = criterion
        elif not lenient:
            text = "The chain leads nowhere: what it refers to here has no such search parameter."
            raise BadRequest(text, code="not-supported", message="MSG_PARAM_CHAINED")
    return found


def _link(type_: str, name: str) -> Asked | None:
    """The reference that a chain begins with; None of any other name."""
    first, dot, _ = name.partition(".")
    asked = asked_for(first, PARAMETERS[type_]) if dot else None
    return asked if asked and asked.parameter.kind is Kind.REFERENCE and not asked.modifier else None


async def _forward(request: Request, caller: Caller, asked: Asked, rest: Pair, links: int) -> Criterion | None:
    """The references to what the rest of a chain finds; None where no type it may be of has such a parameter."""
    named = {asked.target} if asked.target else asked.parameter.targets
    stored = context_of(request).served.stored
    types = [type_ for type_ in stored if (not named or type_ in named) and _goes_on(type_, rest[0])]
    if not types:
        return None
    if not asked.target:
        types = [*caller.among("s", types)]
    references: list[UriValue] = []
    for type_ in types:
        search = await _search(request, caller, type_, rest, links)
        ids = await context_of(request).resources.ids(caller, type_, search, MOST_MATCHES + 1)
        references += [UriValue(f"{type_}/{id_}") for id_ in ids]
    _require_few(references)
    return Criterion((asked.parameter,), tuple(references))


def _goes_on(type_: str, rest: str) -> bool:
    return rest.startswith(HAS) or rest.partition(".")[0].partition(":")[0] in PARAMETERS[type_]


async def _reversed(request: Request, caller: Caller, type_: str, pair: Pair, links: int) -> Criterion | None:
    """The ids of what is referred to; None where the reference or what follows it is unknown."""
    parts = pair[0].split(":", 3)
    if len(parts) < 4:
        raise BadRequest(
            "_has names a type, its reference and a parameter: _has:Observation:patient:code.", code="value"
        )
    _, source, name, rest = parts
    if source not in context_of(request).served.stored or not _goes_on(source, rest):
        return None
    parameter = PARAMETERS[source].get(name)
    if parameter is None or parameter.kind is not Kind.REFERENCE or type_ not in (parameter.targets or {type_}):
        return None
    search = await _search(request, caller, source, (rest, pair[1]), links)
    resources = context_of(request).resources
    ids = await resources.referred(caller, source, search, parameter, type_, MOST_MATCHES + 1)
    _require_few(ids)
    return Criterion((PARAMETERS[type_]["_id"],), tuple(TokenValue(None, id_) for id_ in ids))


async def _search(request: Request, caller: Caller, type_: str, rest: Pair, links: int) -> Search:
    """The rest of a chain as a search of a type, what follows in it being searched for first."""
    if links > MOST_LINKS:
        raise BadRequest(f"A chain has {MOST_LINKS} links at most: shorten it.", code="too-costly")
    request.scope[_MADE] = made = request.scope.get(_MADE, 0) + 1
    if made > MOST_SEARCHES:
        text = f"The chains lead along more than {MOST_SEARCHES} ways: name the types they go through, subject:Patient."
        raise BadRequest(text, code="too-costly")
    caller.require_on("s", type_)
    further = await chained(request, caller, type_, [rest], links=links + 1)
    return parse([rest], PARAMETERS[type_], lenient=False, base=base_url(request), chained=further)


def _require_few(found: Sequence[object]) -> None:
    if len(found) > MOST_MATCHES:
        text = f"A link of the chain matches more than {MOST_MATCHES} resources: search for something narrower."
        raise BadRequest(text, code="too-costly")
