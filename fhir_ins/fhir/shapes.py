"""The shapes that R4's types are checked against, and the checks of their elements.

https://hl7.org/fhir/R4/json.html. A check returns nothing while all is well, so that paths and texts are made for
errors only. No text quotes data: element names and codes under required bindings at most.
"""

import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from fhir_ins.fhir.primitives import Check
from fhir_ins.fhir.scope import Scope, off_target

MAXIMUM_FAULTS = 100

NAME = re.compile(r"[A-Za-z]\w{0,39}", re.ASCII)  # a name that may stand in a FHIRPath

Json = dict[str, Any]


class Fault(NamedTuple):
    """An issue on its way up: its path grows at each level, its text may be worked out at the end."""

    code: str
    text: str | Callable[[], str]
    path: str = ""


Faults = list[Fault] | None
ElementCheck = Callable[[Any, Json, Scope], Faults]  # the value, the object that has it, the resource around
Rule = tuple[Callable[[Any, Scope], bool], str]  # whether an invariant holds, the text when it does not


class Shape:
    """What the object of one type or backbone element may and must have."""

    __slots__ = ("choices", "elements", "invariants", "name", "required")

    def __init__(self, name: str) -> None:
        self.name = name
        self.elements: dict[str, ElementCheck] = {}
        self.choices: list[tuple[str, frozenset[str]]] = []
        self.required: list[tuple[str, frozenset[str]]] = []
        self.invariants: Sequence[Rule] = ()

    def check(self, value: Any, _owner: Json, scope: Scope) -> Faults:
        if type(value) is not dict:
            return [Fault("structure", f"An object ({self.name}) is expected here.")]
        if len(value) <= ("id" in value):
            return [Fault("invariant", "ele-1: The object is empty. Give it content or leave it out.")]
        elements = self.elements
        faults: list[Fault] = []
        for name, child in value.items():
            element = elements.get(name)
            if element is None:
                found: Faults = [Fault("structure", unknown(self.name, "element", name, elements))]
            else:
                found = element(child, value, scope)
            if found:
                step = self._step(name)
                faults += [Fault(code, text, step + path) for code, text, path in found]
                if len(faults) > MAXIMUM_FAULTS:
                    return faults
        for name, names in self.required:
            if names.isdisjoint(value):
                faults.append(Fault("required", f"{self.name} needs the element {name}. Add it."))
        for name, names in self.choices:
            present = names.intersection(value)
            if len(present) > 1 and len({key.removeprefix("_") for key in present}) > 1:
                faults.append(Fault("structure", f"{name}[x] comes in one type at a time. Keep one.", "." + name))
        if not faults:
            for holds, text in self.invariants:
                if not holds(value, scope):
                    faults.append(Fault("invariant", text))
        return faults

    def _step(self, name: str) -> str:
        """The FHIRPath element a JSON property stands for: no underscore, no type of a choice; as sent if unknown."""
        for stem, names in self.choices:
            if name in names:
                return "." + stem
        return "." + name.removeprefix("_") if name in self.elements or NAME.fullmatch(name) else ""


def unknown(owner: str, kind: str, name: str, names: Collection[str]) -> Callable[[], str]:
    """The text for a name that is none of `names`, with near misses; worked out when it is asked for."""

    def text() -> str:
        shown = _printable(name)
        near = difflib.get_close_matches(shown, [known for known in names if known[0] != "_"])
        advice = f"Did you mean {' or '.join(near)}?" if near else "Remove it or check its spelling."
        return f"{owner} has no {kind} “{shown}”. {advice}"

    return text


def _printable(text: str) -> str:
    return "".join(character for character in text[:40] if character.isprintable())


def once(check: Check) -> ElementCheck:
    def element(value: Any, _owner: Json, _scope: Scope) -> Faults:
        problem = check(value)
        return None if problem is None else [Fault(*problem)]

    return element


def uri(check: Check) -> ElementCheck:
    def element(value: Any, _owner: Json, scope: Scope) -> Faults:
        problem = check(value)
        if problem is not None:
            return [Fault(*problem)]
        if value[0] == "#":
            scope.note(value)
        return None

    return element


def coded(check: Check, valueset: str, codes: Collection[str]) -> ElementCheck:
    allowed = f" Use {', '.join(codes)}." if len(codes) <= 12 else ""
    codes = frozenset(codes)

    def element(value: Any, _owner: Json, _scope: Scope) -> Faults:
        problem = check(value)
        if problem is not None:
            return [Fault(*problem)]
        if value in codes:
            return None
        return [Fault("code-invalid", f"“{_printable(value)}” is no code of {valueset}.{allowed}")]

    return element


def concept(shape: Shape, valueset: str, systems: Mapping[str, list[str]]) -> ElementCheck:
    """A CodeableConcept under a required binding: one of its codings is of the value set."""
    pairs = {(system, code) for system, codes in systems.items() for code in codes}

    def element(value: Any, owner: Json, scope: Scope) -> Faults:
        faults = shape.check(value, owner, scope)
        if faults or ("coding" not in value and "extension" in value):
            return faults
        if any((coding.get("system"), coding.get("code")) in pairs for coding in value.get("coding", ())):
            return None
        return [Fault("code-invalid", f"No coding is of {valueset}. Add one from {' or '.join(systems)}.")]

    return element


def reference(shape: Shape, targets: frozenset[str], known: frozenset[str]) -> ElementCheck:
    """A Reference: its literal and its type agree with `targets`, the types it may name (any when empty)."""

    def element(value: Any, owner: Json, scope: Scope) -> Faults:
        faults = shape.check(value, owner, scope)
        if faults:
            return faults
        literal, named = value.get("reference"), value.get("type")
        if literal is not None and (problem := scope.problem_of(literal, targets, known)):
            return [Fault(*problem, ".reference")]
        if named in known and (problem := off_target(named, targets)):
            return [Fault(*problem, ".type")]
        return None

    return element


def ruled(one: ElementCheck, rules: Sequence[Rule]) -> ElementCheck:
    """`one`, then the invariants that are the element's own (org-2 of Organization.address)."""
    if not rules:
        return one

    def element(value: Any, owner: Json, scope: Scope) -> Faults:
        if faults := one(value, owner, scope):
            return faults
        return [Fault("invariant", text) for holds, text in rules if not holds(value, scope)]

    return element


def many(one: ElementCheck, sibling: str | None) -> ElementCheck:
    """An array of elements; `sibling` is the property that may stand in for a null (primitives only)."""

    def element(values: Any, owner: Json, scope: Scope) -> Faults:
        if type(values) is not list:
            return [Fault("structure", "This element repeats: send an array, of one value if there is one.")]
        if not values:
            return [Fault("structure", "The array is empty. Leave the element out instead.")]
        faults: list[Fault] = []
        for index, value in enumerate(values):
            if value is None and sibling is not None:
                found = None if _at(owner.get(sibling), index) else _LONE_NULL
            else:
                found = one(value, owner, scope)
            if found:
                faults += [Fault(code, text, f"[{index}]{path}") for code, text, path in found]
                if len(faults) > MAXIMUM_FAULTS:
                    break
        return faults

    return element


_LONE_NULL: Faults = [Fault("structure", "null stands only where the property with _ gives an id or extension.")]


def _at(values: Any, index: int) -> bool:
    """Whether an array has something at `index`."""
    return type(values) is list and index < len(values) and values[index] is not None


def sibling_once(shape: Shape, name: str) -> ElementCheck:
    """`_name`: the id and extensions of a primitive. https://hl7.org/fhir/R4/json.html#primitive"""

    def element(value: Any, owner: Json, scope: Scope) -> Faults:
        if type(value) is dict and len(value) == 1 and name in owner and "id" in value:
            return shape.elements["id"](value["id"], value, scope)
        return shape.check(value, owner, scope)

    return element


def sibling_many(shape: Shape, name: str) -> ElementCheck:
    """`_name` of a repeating primitive: one entry for each value, null where there is nothing to say."""

    def element(values: Any, owner: Json, scope: Scope) -> Faults:
        primitives = owner.get(name)
        if type(values) is not list or not any(value is not None for value in values):
            return [Fault("structure", f"_{name} is an array with an object at least. Correct it or leave it out.")]
        if type(primitives) is list and len(primitives) != len(values):
            return [Fault("structure", f"{name} and _{name} differ in length. Pad the shorter with null.")]
        faults: list[Fault] = []
        for index, value in enumerate(values):
            if value is None:
                # A null in both is told by the primitive itself.
                found = None if type(primitives) is list else _LONE_NULL
            elif type(value) is dict and len(value) == 1 and "id" in value and _at(primitives, index):
                found = shape.elements["id"](value["id"], value, scope)
            else:
                found = shape.check(value, owner, scope)
            faults += [Fault(code, text, f"[{index}]{path}") for code, text, path in found or ()]
            if len(faults) > MAXIMUM_FAULTS:
                break
        return faults

    return element
