"""FHIRPath Patch. https://hl7.org/fhir/R4/fhirpatch.html

A patch is a Parameters resource; each of its parameters is named `operation` and has the parts of PARTS.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple, NoReturn

from fhir_ins.fhir.element_tree import Element, resource_of, tree_of
from fhir_ins.fhir.outcome import BadRequest, FhirError, Unprocessable
from fhir_ins.fhir.patch_location import Location
from fhir_ins.fhir.patch_path import Path, parse_path
from fhir_ins.fhir.patch_value import add, element_from
from fhir_ins.fhir.patching import Json, bounded, still_itself
from fhir_ins.fhir.structure import validate

# Beside its type, what an operation has: neither less nor more
PARTS = {
    "add": ("path", "name", "value"),
    "insert": ("path", "index", "value"),
    "delete": ("path",),
    "replace": ("path", "value"),
    "move": ("path", "source", "destination"),
}


class _Operation(NamedTuple):
    type: str
    path: Path
    parts: dict[str, Element]

    def refuse(self, part: str, text: str, code: str = "processing") -> NoReturn:
        raise Unprocessable(text, self.parts[part].expression, code=code)


def fhirpath_patched(resource: Json, parameters: Json) -> Json:
    """`resource` (valid R4) with the operations of a FHIRPath Patch applied in order; `resource` is left as it is.

    `parameters` is any JSON object: it is judged here, its #fragments as those of `resource`. Raises BadRequest for
    Parameters that are no valid R4 or no patch, and Unprocessable for an operation that does not apply to this
    resource or a patch that would make another resource of it; both at the part in question.
    Whether the outcome is valid R4, and no larger than a body may be, is for the caller to judge.
    """
    if parameters.get("resourceType") != "Parameters":
        text = "A FHIRPath Patch is a Parameters resource. Send one, or a JSON Patch as application/json-patch+json."
        raise BadRequest(text, "resourceType", code="structure")
    # ref-1 (a #fragment is contained) is to hold where the value will stand, not in the Parameters.
    if issues := [issue for issue in validate(parameters) if not issue.text.startswith("ref-1:")]:
        raise BadRequest(issues)
    sent = tree_of(parameters).children.get("parameter", [])
    bounded(len(sent))
    root = tree_of(resource)
    location = Location(root)
    for operation in [_read(parameter) for parameter in sent]:
        with _at(operation.parts["path"]):
            found = location.elements(operation.path)
        _APPLY[operation.type](operation, found)
    return still_itself(resource, resource_of(root))


# Reading


def _read(parameter: Element) -> _Operation:
    if parameter.children["name"][0].value != "operation":
        text = "Each parameter of a FHIRPath Patch is named “operation”. Rename this one, or remove it."
        raise BadRequest(text, parameter.expression, code="value")
    parts: dict[str, Element] = {}
    for part in parameter.children.get("part", []):
        name = part.children["name"][0].value
        if name in parts:
            raise BadRequest("The operation has a part of this name already. Keep one.", part.expression)
        parts[name] = part
    if "type" not in parts:
        raise BadRequest("The operation needs the part type. Add it.", parameter.expression, code="required")
    stated = parts.pop("type")
    type_ = _text(stated)
    if type_ not in PARTS:
        raise BadRequest(f"No operation is of this type. Use {', '.join(PARTS)}.", stated.expression, code="value")
    for name in PARTS[type_]:
        if name not in parts:
            text = f"The operation {type_} needs the part {name}. Add it."
            raise BadRequest(text, parameter.expression, code="required")
    for name, part in parts.items():
        if name not in PARTS[type_]:
            text = f"The operation {type_} has the parts {', '.join(('type', *PARTS[type_]))}. Remove this one."
            raise BadRequest(text, part.expression, code="value")
        if name == "name":
            _text(part)
        elif name in ("index", "source", "destination"):
            _number(part)
    with _at(parts["path"]):
        return _Operation(type_, parse_path(_text(parts["path"])), parts)


def _text(part: Element) -> str:
    for value in part.children.get("value", ()):
        if isinstance(value.value, str):
            return value.value
    raise BadRequest("This part holds a string. Send it as valueString, or valueCode for the type.", part.expression)


def _number(part: Element) -> int:
    for value in part.children.get("value", ()):
        if type(value.value) is int and value.value >= 0:
            return value.value
    raise BadRequest("This part holds a whole number from 0. Send it as valueInteger.", part.expression, code="value")


@contextmanager
def _at(part: Element) -> Iterator[None]:
    """Errors raised inside are about this part, where they name no place themselves."""
    try:
        yield
    except FhirError as error:
        error.issues = tuple(replace(issue, expression=issue.expression or part.expression) for issue in error.issues)
        raise


# Applying: `found` are the elements at the path


def _add(operation: _Operation, found: list[Element]) -> None:
    parent = _one(operation, found)
    name = _text(operation.parts["name"])
    add(parent, element_from(operation.parts["value"], parent.place, name), operation.parts["name"])


def _insert(operation: _Operation, found: list[Element]) -> None:
    parent, first = _list(operation, found)
    index = _number(operation.parts["index"])
    if index > len(found):
        text = f"The list has {len(found)} elements: insert at an index from 0 to {len(found)}."
        operation.refuse("index", text)
    parent.insert(element_from(operation.parts["value"], parent.place, first.name), index)


def _delete(operation: _Operation, found: list[Element]) -> None:
    if found:
        _inner(operation, _one(operation, found))[1].detach()


def _replace(operation: _Operation, found: list[Element]) -> None:
    parent, element = _inner(operation, _one(operation, found))
    element.replace(element_from(operation.parts["value"], parent.place, element.name))


def _move(operation: _Operation, found: list[Element]) -> None:
    parent, _ = _list(operation, found)
    for name in ("source", "destination"):
        if _number(operation.parts[name]) >= len(found):
            text = f"The list has {len(found)} elements: move from and to an index from 0 to {len(found) - 1}."
            operation.refuse(name, text)
    moved = found[_number(operation.parts["source"])]
    moved.siblings.remove(moved)
    parent.insert(moved, _number(operation.parts["destination"]))


_APPLY: dict[str, Callable[[_Operation, list[Element]], None]] = {
    "add": _add,
    "insert": _insert,
    "delete": _delete,
    "replace": _replace,
    "move": _move,
}


def _one(operation: _Operation, found: list[Element]) -> Element:
    if not found:
        text = "Nothing is at the path. Check it against the current version of the resource; add the parent first."
        operation.refuse("path", text)
    if len(found) > 1:
        text = f"{len(found)} elements are at the path, where one is meant. Narrow it by an index or where()."
        operation.refuse("path", text, "multiple-matches")
    return found[0]


def _inner(operation: _Operation, element: Element) -> tuple[Element, Element]:
    """The parent and the element, which is not the whole resource."""
    if element.parent is None:
        text = f"The path is the whole resource. Use update or delete for that, or name an element of {element.type}."
        operation.refuse("path", text)
    return element.parent, element


def _list(operation: _Operation, found: list[Element]) -> tuple[Element, Element]:
    """The parent and the first element of a list that is at the path in its whole length."""
    if not found:
        operation.refuse("path", "Nothing is at the path. Check it, or use add for the first element of a list.")
    parent, first = _inner(operation, found[0])
    if not first.is_repeated or found != first.siblings:
        text = "The path is not a list in its whole length. End it with the name of an element that repeats."
        operation.refuse("path", text)
    return parent, first
