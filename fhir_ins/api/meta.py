"""$meta, $meta-add and $meta-delete: profiles, security labels and tags, of a resource, a type, the server.

https://hl7.org/fhir/R4/resource-operations.html. Adding and deleting write the current version otherwise, without a new
one, as the specification has it; the rules of the type judge what comes of it.
"""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.auditing import disclosed
from fhir_ins.api.body import resource_body
from fhir_ins.api.conditional import expected_version, require_version
from fhir_ins.api.context import caller_of, context_of, source_of
from fhir_ins.api.patients import gone, over_current, without_server_elements
from fhir_ins.api.responses import resource_response
from fhir_ins.api.type_rules import drafted
from fhir_ins.fhir.json import parse
from fhir_ins.fhir.operations import Parameter, answer, arguments, part
from fhir_ins.fhir.outcome import BadRequest, NotFound
from fhir_ins.frcore.elements import Json, with_list
from fhir_ins.store.versions import readable

_IN = {"meta": Parameter("meta", "Meta", 1, 1, {})}
_LISTS = ("profile", "security", "tag")


async def meta(request: Request) -> Response:
    """GET|POST [base]/[type]/[id]/$meta"""
    caller, type_ = caller_of(request), request.path_params["type"]
    version = await source_of(request, type_).read(caller, type_, request.path_params["id"])
    if version.body is None:
        raise gone(version.updated)
    disclosed(version)
    return _answer(parse(version.body).get("meta", {}))


async def meta_of_type(request: Request) -> Response:
    """GET|POST [base]/[type]/$meta"""
    return await _in_use(request, (request.path_params["type"],))


async def meta_of_system(request: Request) -> Response:
    """GET|POST [base]/$meta"""
    return await _in_use(request, caller_of(request).among("s", context_of(request).served.stored))


async def meta_add(request: Request) -> Response:
    """POST [base]/[type]/[id]/$meta-add"""
    return await _changed(request, _with)


async def meta_delete(request: Request) -> Response:
    """POST [base]/[type]/[id]/$meta-delete"""
    return await _changed(request, _without)


async def _changed(request: Request, change: Callable[[Json, Json], Json]) -> Response:
    caller, context = caller_of(request), context_of(request)
    target = (request.path_params["type"], request.path_params["id"])
    caller.require_on("r", target[0])  # the answer tells what there is
    expected = expected_version(request)
    given = arguments(await resource_body(request, "Parameters"), _IN)["meta"][0].value
    if wrong := given.keys() - {*_LISTS, "id", "extension"}:
        text = f"Only profiles, security labels and tags are added or deleted: leave {', '.join(sorted(wrong))} out."
        raise BadRequest(text, "Parameters.parameter[0].value", code="value")

    async def attempt() -> Json:
        current = await context.resources.current(caller, *target)
        if current is None:
            raise NotFound(f"There is no such {target[0]}: check its id, or search for it.")
        require_version(expected, current.number)
        shown = readable(current.document, caller)
        if shown.body is None:
            raise gone(shown.updated)
        resource = parse(shown.body)
        body = without_server_elements(resource | {"meta": change(resource["meta"], given)})
        draft = drafted(request, caller, body, current, version_known=False)
        after = await context.resources.amend(caller, current, draft)
        disclosed(after)
        return parse(after.body)["meta"] if after.body else {}

    return _answer(await over_current(attempt))


def _with(own: Json, given: Json) -> Json:
    """https://hl7.org/fhir/R4/resource-operation-meta-add.html: each once; a label of the same code is replaced."""
    for name in _LISTS:
        kept = [item for item in own.get(name, ()) if _key(item) not in {_key(new) for new in given.get(name, ())}]
        own = with_list(own, name, [*kept, *{_key(new): new for new in given.get(name, ())}.values()])
    return own


def _without(own: Json, given: Json) -> Json:
    """https://hl7.org/fhir/R4/resource-operation-meta-delete.html"""
    for name in _LISTS:
        gone_ = {_key(item) for item in given.get(name, ())}
        own = with_list(own, name, [item for item in own.get(name, ()) if _key(item) not in gone_])
    return own


def _key(item: Json | str) -> tuple[str | None, str | None]:
    """What makes a profile or a label the same as another."""
    return (None, item) if isinstance(item, str) else (item.get("system"), item.get("code"))


async def _in_use(request: Request, types: tuple[str, ...]) -> Response:
    """What the resources of these types carry that the caller may read."""
    found = await context_of(request).resources.labels(caller_of(request), types)
    listed: Json = {}
    for name, items in found.items():
        listed = with_list(listed, name, items)
    return _answer(listed)


def _answer(found: Json) -> Response:
    return resource_response(answer(part("return", "Meta", found)) if found else {"resourceType": "Parameters"})
