"""What is answered along with the matches of a search: _include and _revinclude.

https://hl7.org/fhir/R4/search.html#revinclude. `_include=Observation:subject` brings what the matches refer to,
`_revinclude=Observation:subject` what refers to them; `*` means every reference; with `:iterate` what came along is
looked at again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request

from fhir_ins.api.context import context_of
from fhir_ins.api.served import PUBLISHED, WRITTEN_HERE
from fhir_ins.fhir.json import parse
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.references import local_reference
from fhir_ins.fhir.search import Criterion, Search
from fhir_ins.fhir.search_parameters import SearchParameter
from fhir_ins.fhir.search_terms import TokenValue, UriValue
from fhir_ins.fhir.search_values import Kind
from fhir_ins.fhir.structure import resource_types
from fhir_ins.frcore.search_parameters import PARAMETERS
from fhir_ins.security.caller import Caller
from fhir_ins.store.versions import Version

ITERATE = ":iterate"
_FORWARD, _REVERSE = "_include", "_revinclude"
INCLUDES = frozenset({_FORWARD, _REVERSE, _FORWARD + ITERATE, _REVERSE + ITERATE})
MOST_INCLUDED = 500
_APART = frozenset({*PUBLISHED, *WRITTEN_HERE})  # with these comes nothing, and they come with nothing

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Include:
    """What resources of type `source` refer to under these parameters; where `target` is given, only of that type.

    `reverse`: those that refer, not those referred to. `iterate`: of what has come along too.
    """

    source: str
    parameters: tuple[SearchParameter, ...]
    target: str | None
    reverse: bool
    iterate: bool


def includable(type_: str) -> list[str]:
    """What may be included with this type, as the CapabilityStatement lists it: Observation:subject."""
    return [f"{type_}:{found.name}" for found in _references_of(type_)]


def reverse_includable(type_: str, stored: Iterable[str]) -> list[str]:
    """What may come along that refers to this type, of the types that are stored."""
    if type_ in _APART:
        return []
    return [
        f"{source}:{found.name}"
        for source in stored
        for found in _references_of(source)
        if not found.targets or type_ in found.targets
    ]


def _references_of(type_: str) -> list[SearchParameter]:
    if type_ in _APART:
        return []
    return [found for found in PARAMETERS[type_].values() if found.kind is Kind.REFERENCE]


def includes(caller: Caller, pairs: Iterable[Pair], types: Sequence[str], stored: Sequence[str]) -> list[Include]:
    """What is to come along with matches of these types. Raises BadRequest, and Forbidden for a type that is named and
    that the caller may not search.
    """
    asked = [pair for pair in pairs if pair[0] in INCLUDES]
    found = [include for name, value in asked for include in _includes(name, value, types, stored)]
    for name, value in asked:
        source, _, rest = value.partition(":")
        named = source if name.startswith(_REVERSE) else rest.partition(":")[2]
        if named not in ("", "*"):
            caller.require_on("s", named)
    return found


def _includes(name: str, value: str, types: Sequence[str], stored: Sequence[str]) -> Iterable[Include]:
    reverse, iterate = name.startswith(_REVERSE), name.endswith(ITERATE)
    source, _, rest = value.partition(":")
    parameter, _, target = rest.partition(":")
    among = stored if reverse or iterate else types
    if value == "*":
        for type_ in stored:
            yield Include(type_, tuple(_references_of(type_)), None, reverse, iterate)
        return
    asked = [found for found in _references_of(source) if parameter in ("*", found.name)] if source in among else []
    if reverse and not iterate:
        asked = [found for found in asked if not found.targets or found.targets.intersection(types)]
    if not asked or (target and not any(target in (found.targets or resource_types()) for found in asked)):
        text = (
            f"{name} names a type, a reference of it, and a type of its target if need be: Observation:subject:Patient."
        )
        raise BadRequest(text, code="not-supported")
    yield Include(source, tuple(asked), target or None, reverse, iterate)


async def included(
    request: Request, caller: Caller, matches: Sequence[Version], asked: Sequence[Include]
) -> list[Version]:
    """What comes along with the matches, each once, as this caller may read it, of types it may search; none of the
    matches.

    Raises BadRequest where it is more than `MOST_INCLUDED`.
    """
    seen = {f"{version.type}/{version.id}" for version in matches}
    found: list[Version] = []
    latest, round_ = list(matches), list(asked)
    while latest and round_:
        wanted = _referred(latest, round_) - seen
        if len(wanted) + len(found) > MOST_INCLUDED:
            raise _too_many()
        new = await _read(request, caller, wanted)
        seen |= {f"{version.type}/{version.id}" for version in new}
        for version in await _referring(request, caller, latest, round_):
            reference = f"{version.type}/{version.id}"
            if reference not in seen:
                seen.add(reference)
                new.append(version)
        found += new
        if len(found) > MOST_INCLUDED:
            raise _too_many()
        latest, round_ = new, [include for include in asked if include.iterate]
    return found


def _too_many() -> BadRequest:
    text = f"With these matches more than {MOST_INCLUDED} resources would be included: ask for a smaller _count."
    return BadRequest(text, code="too-costly")


def _referred(versions: Sequence[Version], asked: Sequence[Include]) -> set[str]:
    """The local references, Type/id, of these versions under what is asked for."""
    forward = [include for include in asked if not include.reverse]
    wanted = set()
    for version in versions if forward else ():
        resource = parse(version.body) if version.body else {}
        for include in forward:
            if include.source != version.type or not resource:
                continue
            for parameter in include.parameters:
                for value in parameter.values(resource):
                    local = local_reference(value) if isinstance(value, str) else None
                    if local and (include.target is None or local.startswith(f"{include.target}/")):
                        wanted.add(local)
    return wanted


async def _read(request: Request, caller: Caller, wanted: set[str]) -> list[Version]:
    found: list[Version] = []
    for type_ in filter(partial(caller.may_on, "s"), context_of(request).served.stored):
        ids = sorted(reference.partition("/")[2] for reference in wanted if reference.startswith(f"{type_}/"))
        if ids:
            by_id = Criterion((PARAMETERS[type_]["_id"],), tuple(TokenValue(None, id_) for id_ in ids))
            page = await context_of(request).resources.search(caller, type_, Search((by_id,), len(ids), ()))
            found += page.versions
    return found


async def _referring(
    request: Request, caller: Caller, versions: Sequence[Version], asked: Sequence[Include]
) -> list[Version]:
    """What refers to these versions."""
    found: list[Version] = []
    for include in asked:
        of = [version for version in versions if include.target in (None, version.type)]
        if not include.reverse or not of or not include.parameters or not caller.may_on("s", include.source):
            continue
        references = tuple(UriValue(f"{version.type}/{version.id}") for version in of)
        search = Search((Criterion(include.parameters, references),), MOST_INCLUDED + 1, ())
        found += (await context_of(request).resources.search(caller, include.source, search)).versions
    return found
