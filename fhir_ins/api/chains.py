"""Chained search parameters. https://hl7.org/fhir/R4/search.html#chaining

`subject:Patient.family=adrun` is a reference to any Patient that `family=adrun` finds for this caller: those are
searched for first.
"""

from collections.abc import Sequence

from starlette.requests import Request

from fhir_ins.api.context import base_url, context_of
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.search import Asked, Criterion, UriValue, asked_for, parse
from fhir_ins.fhir.search_values import Kind
from fhir_ins.frcore.search_parameters import PARAMETERS
from fhir_ins.security.caller import Caller

MOST_LINKS = 3
MOST_MATCHES = 500

Pair = tuple[str, str]


async def chained(
    request: Request, caller: Caller, type_: str, pairs: Sequence[Pair], *, lenient: bool = False, links: int = 1
) -> dict[Pair, Criterion]:
    """What each chained one of these parameters of a type comes to; names that are no chain are left out.

    Raises BadRequest for a chain that leads nowhere (unless lenient: it is left out), has more than `MOST_LINKS`, or
    matches more than `MOST_MATCHES`.
    """
    found: dict[Pair, Criterion] = {}
    for name, value in pairs:
        first, dot, rest = name.partition(".")
        asked = asked_for(first, PARAMETERS[type_]) if dot else None
        if asked is None or asked.parameter.kind is not Kind.REFERENCE:
            continue
        if links > MOST_LINKS:
            raise BadRequest(f"A chain has {MOST_LINKS} links at most: shorten it.", code="too-costly")
        types = _types(request, asked, rest)
        if types:
            matching = await _matching(request, caller, types, (rest, value), links)
            found[name, value] = Criterion((asked.parameter,), tuple(UriValue(reference) for reference in matching))
        elif not lenient:
            text = f"The chain leads nowhere: what {asked.parameter.name} refers to here has no such search parameter."
            raise BadRequest(text, code="not-supported", message="MSG_PARAM_CHAINED")
    return found


def _types(request: Request, asked: Asked, rest: str) -> list[str]:
    """The types the reference may be to that have the next parameter of the chain."""
    named = {asked.target} if asked.target else asked.parameter.targets
    following = rest.partition(".")[0].partition(":")[0]
    stored = context_of(request).served.stored
    return [type_ for type_ in stored if (not named or type_ in named) and following in PARAMETERS[type_]]


async def _matching(request: Request, caller: Caller, types: Sequence[str], rest: Pair, links: int) -> list[str]:
    """The references to what the rest of a chain finds."""
    references: list[str] = []
    for type_ in types:
        further = await chained(request, caller, type_, [rest], links=links + 1)
        search = parse([rest], PARAMETERS[type_], lenient=False, base=base_url(request), chained=further)
        ids = await context_of(request).resources.ids(caller, type_, search, MOST_MATCHES + 1)
        references += [f"{type_}/{id_}" for id_ in ids]
    if len(references) > MOST_MATCHES:
        text = f"A link of the chain matches more than {MOST_MATCHES} resources: search for something narrower."
        raise BadRequest(text, code="too-costly")
    return references
