"""JSON Patch. https://hl7.org/fhir/R4/http.html#patch, https://www.rfc-editor.org/rfc/rfc6902

An operation changes exactly the JSON it names: `_given` beside `given` is for the patch to keep in step. One thing
is added to the RFC, since FHIR has no empty arrays and objects: those that a patch empties are gone at the end, and
those that become empty thereby, so that a client may remove the only item of a list. What a patch adds is kept as it
was sent, empty or not.

Nothing is changed in place: an operation makes anew the containers on its way and shares all others.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from fhir_ins.fhir.json import MAXIMUM_DEPTH, serialise, too_deep
from fhir_ins.fhir.outcome import BadRequest, Unprocessable
from fhir_ins.fhir.patching import Json, bounded, same, still_itself
from fhir_ins.fhir.places import Place, property_of
from fhir_ins.fhir.structure import resource_types

MOST_COPIED = 1_000_000  # bytes of JSON, by all `copy` of a patch together

_MEMBERS = {
    "add": ("path", "value"),
    "remove": ("path",),
    "replace": ("path", "value"),
    "move": ("from", "path"),
    "copy": ("from", "path"),
    "test": ("path", "value"),
}

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_UNKNOWN_ESCAPE = re.compile(r"~(?![01])")
_NAME = re.compile(r"_?[A-Za-z]\w{0,39}", re.ASCII)

# What a `remove` leaves when it takes the last; told from any other empty container by identity.
_EMPTIED_OBJECT: Json = {}
_EMPTIED_ARRAY: list[Any] = []
_GONE = object()

Pointer = tuple[str, ...]


class _Operation(NamedTuple):
    op: str
    path: Pointer
    origin: Pointer  # RFC 6902 calls it `from`; empty where there is none
    value: Any


class _DoesNotApply(Exception):
    """Why an operation does not apply to the resource, and where in it."""

    def __init__(self, reason: str, at: Pointer, code: str = "processing") -> None:
        super().__init__(reason)
        self.reason = reason
        self.at = at
        self.code = code


class _Missing(Exception):
    """Nothing stands where a pointer points."""


def json_patched(resource: Json, operations: list[Any]) -> Json:
    """`resource` with the operations of a JSON Patch applied in order; `resource` itself is left as it is.

    Raises BadRequest for operations that cannot be read, and Unprocessable for one that does not apply to this
    resource or a patch that would make another resource of it. Whether the outcome is valid R4, and no larger than
    a body may be, is for the caller to judge.
    """
    bounded(len(operations))
    patched: Any = resource
    copied = 0
    for number, operation in enumerate([_read(number, sent) for number, sent in enumerate(operations, 1)], 1):
        try:
            if operation.op == "copy":
                copied += _size_of_copy(patched, operation, MOST_COPIED - copied)
            patched = _applied(patched, operation)
        except _DoesNotApply as failed:
            text = f"Operation {number} of the patch ({operation.op}) does not apply: {failed.reason}"
            raise Unprocessable(text, _expression(resource, failed.at), code=failed.code) from None
    patched = _without_emptied(still_itself(resource, patched))
    return {} if patched is _GONE else patched


# Reading


def _read(number: int, sent: Any) -> _Operation:
    named = f"Operation {number} of the patch"
    if type(sent) is not dict:
        raise BadRequest(f"{named} is no object. Send an array of objects with op and path.", code="structure")
    op = sent.get("op")
    if not isinstance(op, str) or op not in _MEMBERS:
        raise BadRequest(f"{named} has no op that RFC 6902 knows. Use one of {', '.join(_MEMBERS)}.", code="value")
    for member in _MEMBERS[op]:
        if member not in sent:
            raise BadRequest(f"{named} ({op}) needs the member {member}. Add it.", code="required")
    origin = _pointer(named, "from", sent["from"]) if "from" in _MEMBERS[op] else ()
    return _Operation(op, _pointer(named, "path", sent["path"]), origin, sent.get("value"))


def _pointer(named: str, member: str, text: Any) -> Pointer:
    """The tokens of a JSON Pointer. https://www.rfc-editor.org/rfc/rfc6901"""
    if not isinstance(text, str) or (text and text[0] != "/") or _UNKNOWN_ESCAPE.search(text):
        form = "it starts with / (unless empty), and has ~ only as ~0 for ~ and ~1 for /."
        raise BadRequest(f"{named}: its {member} is no JSON Pointer: {form}", code="value")
    tokens = text.split("/")[1:]
    if len(tokens) > MAXIMUM_DEPTH:
        raise BadRequest(f"{named} goes deeper than {MAXIMUM_DEPTH} levels: no resource is so deep.", code="structure")
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in tokens)


# Applying


def _applied(document: Any, operation: _Operation) -> Any:
    path, value = operation.path, operation.value
    match operation.op:
        case "add":
            return _added(document, path, value)
        case "remove":
            return _changed(document, path, _remove)
        case "replace":
            return _changed(document, path, lambda container, token: _with(container, token, value))
        case "copy":
            return _added(document, path, _value_at(document, operation.origin, "from"))
        case "move":
            moved = _value_at(document, operation.origin, "from")
            if len(path) > len(operation.origin) and path[: len(operation.origin)] == operation.origin:
                raise _DoesNotApply("nothing can be moved into itself. Choose another path.", path)
            return _added(_changed(document, operation.origin, _remove), path, moved)
        case _:
            if not same(_value_at(document, path, "path"), value):
                text = "the value there is another. Read the current version of the resource, and start from it."
                raise _DoesNotApply(text, path, "conflict")
            return document


def _added(document: Any, path: Pointer, value: Any) -> Any:
    if not path:
        return value
    try:
        return _rebuilt(document, path, lambda container, token: _insert(container, token, value))
    except _Missing:
        text = "what it adds to is not there, or the index is past the end. Add the parent first, or use the index -."
        raise _DoesNotApply(text, path) from None


def _changed(document: Any, path: Pointer, edit: Callable[[Any, str], Any]) -> Any:
    """`document` with `edit` applied to what stands at `path`, which must be there."""
    value = _value_at(document, path, "path")
    if not path:
        # The whole document as the only member of an object around it
        return edit({"": value}, "").get("")
    return _rebuilt(document, path, edit)


def _value_at(document: Any, pointer: Pointer, member: str) -> Any:
    try:
        for token in pointer:
            document = _child(document, token)
    except _Missing:
        text = f"nothing is at its {member}. Check it against the current version of the resource."
        raise _DoesNotApply(text, pointer) from None
    return document


def _rebuilt(container: Any, pointer: Pointer, edit: Callable[[Any, str], Any]) -> Any:
    """The container anew, with `edit` applied where the last token of `pointer` says."""
    token, rest = pointer[0], pointer[1:]
    if not rest:
        return edit(container, token)
    return _with(container, token, _rebuilt(_child(container, token), rest, edit))


def _child(container: Any, token: str) -> Any:
    if isinstance(container, dict) and token in container:
        return container[token]
    if isinstance(container, list):
        return container[_index(token, len(container) - 1)]
    raise _Missing


def _index(token: str, last: int) -> int:
    if _INDEX.fullmatch(token) and int(token) <= last:
        return int(token)
    raise _Missing


def _with(container: Any, token: str, value: Any) -> Any:
    """With another value for a member or an item that is there."""
    if isinstance(container, dict):
        return {**container, token: value}
    index = int(token)
    return [*container[:index], value, *container[index + 1 :]]


def _insert(container: Any, token: str, value: Any) -> Any:
    if isinstance(container, dict):
        return {**container, token: value}
    if isinstance(container, list):
        index = len(container) if token == "-" else _index(token, len(container))  # noqa: S105 - no password
        return [*container[:index], value, *container[index:]]
    raise _Missing


def _remove(container: Any, token: str) -> Any:
    if isinstance(container, dict):
        return {name: value for name, value in container.items() if name != token} or _EMPTIED_OBJECT
    index = int(token)
    return [*container[:index], *container[index + 1 :]] or _EMPTIED_ARRAY


def _size_of_copy(document: Any, operation: _Operation, left: int) -> int:
    """How many bytes of JSON an operation copies: copies of copies could fill the memory."""
    value = _value_at(document, operation.origin, "from")
    size = left + 1 if too_deep(value) else len(serialise(value))
    if size > left:
        text = f"the patch copies more than {MOST_COPIED} bytes. Update the whole resource instead."
        raise _DoesNotApply(text, operation.origin, "too-costly")
    return size


# The outcome


def _without_emptied(value: Any, sibling: bool = False) -> Any:
    """`value` without the containers that the patch emptied; _GONE when nothing is left by it.

    In the array of a property with _ (`sibling`), null takes the place of what goes: its items are told by position.
    """
    if value is _EMPTIED_OBJECT or value is _EMPTIED_ARRAY:
        return _GONE
    if isinstance(value, dict):
        members = {name: _without_emptied(member, name.startswith("_")) for name, member in value.items()}
        kept = {name: member for name, member in members.items() if member is not _GONE}
        return kept if kept or not members else _GONE
    if isinstance(value, list):
        items = [_without_emptied(item) for item in value]
        if _GONE not in items:
            return items
        left = [None if item is _GONE else item for item in items if sibling or item is not _GONE]
        return left if any(item is not None for item in left) else _GONE
    return value


def _expression(resource: Json, pointer: Pointer) -> str | None:
    """The place a pointer names, as FHIRPath, as far as its tokens are names and indices; None for no resource."""
    type_ = resource.get("resourceType")
    if not isinstance(type_, str) or type_ not in resource_types():
        return None
    expression, place = type_, Place(type_)
    for token in pointer:
        if _INDEX.fullmatch(token):
            expression += f"[{token}]"
        elif _NAME.fullmatch(token):
            name = token.removeprefix("_")
            found = property_of(place, name)
            expression += "." + (found.element.removesuffix("[x]") if found else name)
            place = found.place if found else Place("")
        else:
            break
    return expression
