"""Is this a well-formed R4 resource? https://hl7.org/fhir/R4/validation.html

The table of definitions (see `compile_definitions`) becomes shapes, once: one for each type and backbone element.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from fhir_ins.fhir import shapes
from fhir_ins.fhir.invariants import INVARIANTS, JUDGED_ELSEWHERE
from fhir_ins.fhir.invariants.published import NOT_EVALUATED, published
from fhir_ins.fhir.outcome import Issue
from fhir_ins.fhir.primitives import PRIMITIVES
from fhir_ins.fhir.scope import Scope
from fhir_ins.fhir.shapes import MAXIMUM_FAULTS, ElementCheck, Fault, Faults, Json, Rule, Shape


def validate(resource: Json, *, transaction: bool = False) -> list[Issue]:
    """Every way in which `resource` breaks R4, with FHIRPath expressions; empty when it is well-formed.

    `transaction`: it is an entry's of one, where references may be conditions. At most 100 faults are listed; the
    invariants of an element are judged once its structure is right.
    """
    named = _known(resource)
    return _issues(lambda: _whole(resource, transaction=transaction), named if isinstance(named, str) else "")


def _issues(judge: Callable[[], Faults], root: str) -> list[Issue]:
    """The faults that `judge` finds below `root`, as issues."""
    try:
        faults = judge() or []
    except RecursionError:
        text = "The resource is nested too deeply. Flatten it, or send it in parts."
        return [Issue("structure", text, root if "." in root else None)]
    issues = [
        Issue(code, text if isinstance(text, str) else text(), (root + path).lstrip(".") or None)
        for code, text, path in faults[:MAXIMUM_FAULTS]
    ]
    if len(faults) > MAXIMUM_FAULTS:
        more = "There are more errors: correct these first."
        issues.append(Issue("informational", more, severity="information"))
    return issues


@cache
def definitions() -> Mapping[str, Any]:
    """The table of R4's constraints; `compile_definitions` says how to read it."""
    path = Path(__file__).with_name("definitions") / "r4.json"
    table: Mapping[str, Any] = orjson.loads(path.read_bytes())
    return table


@cache
def resource_types() -> frozenset[str]:
    """The names of R4's concrete resource types."""
    types = definitions()["types"]
    return frozenset(name for name in types if not types[name].get("abstract") and "Resource" in _ancestry(name))


def _known(resource: Any) -> str | Fault:
    """The type of a resource, or why it has none."""
    if type(resource) is not dict:
        return Fault("structure", "A resource is expected here: an object with its resourceType.")
    named = resource.get("resourceType")
    if type(named) is not str:
        return Fault("required", "A resource needs its resourceType, a string. Add it.")
    if named in resource_types():
        return named
    return Fault("structure", shapes.unknown("R4", "resource type", named, resource_types()))


def _resource(resource: Any, _owner: Json, around: Scope | None) -> Faults:
    """A resource in a Bundle or Parameters."""
    return _whole(resource, transaction=around is not None and around.transaction)


def _whole(resource: Any, *, transaction: bool) -> Faults:
    """A resource on its own, or in another that lets it be so: a scope begins."""
    named = _known(resource)
    if isinstance(named, Fault):
        return [named]
    scope = Scope(resource, transaction=transaction)
    return _shapes()[named].check(resource, {}, scope)


def _contained(resource: Any, _owner: Json, scope: Scope) -> Faults:
    """https://hl7.org/fhir/R4/references.html#contained"""
    named = _known(resource)
    if isinstance(named, Fault):
        return [named]
    if "contained" in resource:
        return [Fault("invariant", "dom-2: A contained resource contains another. Contain both in the outer one.")]
    return _shapes()[named].check(resource, {}, scope.within(resource))


def _judged(_value: Any, _owner: Json, _scope: Scope) -> Faults:
    """The type of a resource, and the entries of `_envelope`: nothing is left to say of them."""
    return None


def _ancestry(name: str) -> list[str]:
    """A type and those it specialises, the root first."""
    base = definitions()["types"][name].get("base")
    return [*(_ancestry(base) if base else ()), name]


@cache
def elements_of(name: str) -> dict[str, Json]:
    """The elements of a type by their path below it, inherited ones too."""
    types = definitions()["types"]
    return {path: element for type_ in _ancestry(name) for path, element in types[type_]["elements"].items()}


def choice_property(stem: str, type_: str) -> str:
    """The JSON property of a choice `stem[x]` in one of its types; a profiled Quantity is spelt Quantity."""
    profiled = definitions()["types"].get(type_, {})
    suffix: str = profiled["base"] if profiled.get("profile") else type_
    return stem + suffix[0].upper() + suffix[1:]


@cache
def _shapes() -> Mapping[str, Shape]:
    """By type, or type and path of a backbone element: `Patient`, `Patient.contact`."""
    types = definitions()["types"]
    made: dict[str, Shape] = {}
    parts: list[tuple[Shape, str, dict[str, Json]]] = []
    for name in types:
        elements = elements_of(name)
        keys = [key for type_ in _ancestry(name) for key in types[type_].get("invariants", ())]
        levels: dict[str, dict[str, Json]] = {"": {}}
        for path, element in elements.items():
            parent, _, leaf = path.rpartition(".")
            levels.setdefault(parent, {})[leaf] = element
        for parent, children in levels.items():
            backbone = elements[parent] if parent else {"types": [], "invariants": keys}
            inherited = elements_of(backbone["types"][0]) if parent else {}
            shape = made[f"{name}.{parent}".rstrip(".")] = Shape(f"{name}.{parent}".rstrip("."))
            shape.invariants = _rules(backbone, shape.name)
            parts.append((shape, name, inherited | children))
        if "Resource" in _ancestry(name):
            made[name].elements["resourceType"] = _judged
    for shape, name, children in parts:
        _fill(shape, name, children, made)
    return made


def _rules(element: Json, place: str) -> list[Rule]:
    """The invariants of a type, backbone element or element, which stands at `place` (Patient.contact)."""
    rules = []
    for key in element.get("invariants", ()):
        if key in JUDGED_ELSEWHERE or key in NOT_EVALUATED:
            continue
        invariant = INVARIANTS.get(key) or published(key, definitions()["invariants"][key], place)
        rules.append((invariant.holds, f"{key.partition(':')[0]}: {invariant.text}"))
    return rules


def _fill(shape: Shape, type_: str, children: Mapping[str, Json], made: Mapping[str, Shape]) -> None:
    for leaf, element in children.items():
        if element.get("max") == "0":
            continue
        checks: dict[str, ElementCheck] = {}
        stem = leaf.removesuffix("[x]")
        for named in element.get("types", ("",)):
            property_ = leaf if stem == leaf else choice_property(stem, named)
            inside = f"{shape.name}.{leaf}" if "types" in element else f"{type_}.{element['content']}"
            nested = made.get(inside) or made.get(named)
            rules = [] if inside in made else _rules(element, f"{shape.name}.{leaf}")
            checks |= _checks(property_, named, element, nested, made, rules)
        shape.elements |= checks
        if stem != leaf:
            shape.choices.append((stem, frozenset(checks)))
        if element.get("min"):
            shape.required.append((leaf, frozenset(checks)))


def _checks(
    name: str, type_: str, element: Json, nested: Shape | None, made: Mapping[str, Shape], rules: Sequence[Rule]
) -> dict[str, ElementCheck]:
    """The check of one property, and of its sibling with an underscore when it is a primitive.

    `rules` are the invariants that the element has beside those of its type.
    """
    repeats = element.get("base_max", element.get("max")) == "*"
    primitive = type_.removeprefix("@")
    if primitive not in PRIMITIVES:
        one = shapes.ruled(_object_check(name, type_, element, nested), rules)
        return {name: shapes.many(one, None) if repeats else one}
    check = PRIMITIVES[primitive]
    if "codes" in element:
        systems = definitions()["valuesets"][element["codes"]]
        one = shapes.coded(check, element["codes"], list(chain(*systems.values())))
    else:
        one = (shapes.uri if primitive in ("uri", "url", "canonical") else shapes.once)(check)
    one = shapes.ruled(one, rules)
    if type_ != primitive or primitive == "xhtml":
        return {name: one}
    sibling = "_" + name
    if repeats:
        return {name: shapes.many(one, sibling), sibling: shapes.sibling_many(made["Element"], name)}
    return {name: one, sibling: shapes.sibling_once(made["Element"], name)}


def _object_check(name: str, type_: str, element: Json, nested: Shape | None) -> ElementCheck:
    if type_ == "Resource":
        return _contained if name == "contained" else _resource
    if nested is None:
        raise LookupError(f"the table of definitions has no type {type_}")
    if type_ == "Reference":
        return shapes.reference(nested, frozenset(element.get("targets", ())), resource_types())
    if type_ == "CodeableConcept" and "codes" in element:
        return shapes.concept(nested, element["codes"], definitions()["valuesets"][element["codes"]])
    return nested.check
