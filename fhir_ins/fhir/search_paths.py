"""Search parameter expressions as plain functions: compiled once, against R4's definitions, so that they run fast.

Each alternative of an expression becomes a way through the JSON of a resource, whose every step (array or not, which of
the types of a choice) and last type are known beforehand. Source: https://hl7.org/fhir/R4/search.html#xpath
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

from fhir_ins.fhir.places import Place, Property, ancestors, property_of, repeats
from fhir_ins.fhir.references import target_type
from fhir_ins.fhir.search_expressions import Binary, Call, Expression, Literal, Name, NotReadable, Typed, read
from fhir_ins.fhir.search_values import LASTING, SPECIAL_VALUES, STRINGS_OF, Kind, Put, Token, Value, values_of
from fhir_ins.fhir.structure import definitions, elements_of

Json = Mapping[str, Any]
Extractor = Callable[[Json], list[Value]]
Test = Callable[[Any], bool]


# The primitive types that are another one too. https://hl7.org/fhir/R4/datatypes.html
_SPECIALISED = {
    **dict.fromkeys(("canonical", "oid", "url", "uuid"), "uri"),
    **dict.fromkeys(("code", "id", "markdown"), "string"),
    **dict.fromkeys(("positiveInt", "unsignedInt"), "integer"),
}


@dataclass(frozen=True, slots=True)
class _Step:
    """Into the JSON property `name`, each item of it where it `repeats`; on to those that stand the `test`."""

    name: str
    repeats: bool
    test: Test | None = None


@dataclass(frozen=True, slots=True)
class _Way:
    """From a resource to elements of one type: `place` is where their own elements are defined.

    `systems` is the code system of each code they are bound to.
    """

    steps: tuple[_Step, ...]
    type: str
    place: Place
    systems: Mapping[str, str]


Leaf = tuple[_Step, ...]


@dataclass(frozen=True, slots=True)
class Component:
    """A part of a composite, from each of the elements that the composite's own expression leads to."""

    expression: str
    kind: Kind


def extractor(expression: str, type_: str, kind: Kind, *, but: frozenset[Leaf] = frozenset()) -> Extractor:
    """The values of a resource of a type under an expression, but for those that these leaves have.

    Raises NotReadable when it cannot be compiled.
    """
    tree = read(expression)
    if _is_boolean(tree):
        holds = _condition(tree, type_)
        return lambda resource: [Token(SPECIAL_VALUES, "true" if holds(resource) else "false")]
    ways = _ends(expression, type_, kind)
    if not ways:
        raise NotReadable(f"{expression} leads to nothing that a {kind.value} parameter can find.")
    return _extractor([way for way in ways if way.steps not in but], partial(_put, kind=kind))


def composite_extractor(expression: str, components: Sequence[Component], type_: str) -> Extractor:
    """The values of a composite: for each of its elements every choice of one value of each component."""
    walks = [_composite(way, components, type_) for way in _ways(read(expression), _start(type_))]

    def values(resource: Json) -> list[Value]:
        found: list[Value] = []
        for walk in walks:
            walk(resource, found)
        return found

    return values


def further_extractor(expression: str, type_: str, put_of: Callable[[str], Put | None]) -> Extractor | None:
    """What `put_of` finds in the elements an expression leads to, by their type; None where no type has any."""
    tree = read(expression)
    if _is_boolean(tree):
        return None
    ways = [way for way in _ways(tree, _start(type_)) if put_of(way.type)]
    return _extractor(ways, lambda way: put_of(way.type)) if ways else None


def leaves(expression: str, type_: str, kind: Kind) -> frozenset[Leaf]:
    """The ways of an expression to its values; empty when some of them choose among elements.

    One expression's values are among another's when its leaves are.
    """
    tree = read(expression)
    ways = [] if _is_boolean(tree) else _ends(expression, type_, kind)
    free = not any(step.test for way in ways for step in way.steps)
    return frozenset(way.steps for way in ways) if free else frozenset()


def may_last(expression: str, type_: str) -> bool:
    """Whether some of the dates an expression leads to are Periods or Timings, which may last for years."""
    return any(way.type in LASTING for way in _ways(read(expression), _start(type_)))


def _ends(expression: str, type_: str, kind: Kind) -> list[_Way]:
    """The ways to all elements that have values of a kind; a name or an address is found by each of its strings."""
    ways = _ways(read(expression), _start(type_))
    if kind is Kind.STRING:
        ways = [end for way in ways for end in _strings(way)]
    return [way for way in ways if _put(way, kind)]


def _strings(way: _Way) -> list[_Way]:
    names = STRINGS_OF.get(way.type)
    return [child for name in names for child in _children(way, name)] if names else [way]


def _extractor(ways: Sequence[_Way], put_of: Callable[[_Way], Put | None]) -> Extractor:
    walks = [_walk(way.steps, put) for way in ways if (put := put_of(way))]
    if len(walks) == 1:
        return partial(_walked, walks[0])
    return partial(_all_walked, walks)


def _walked(walk: Put, resource: Json) -> list[Any]:
    found: list[Any] = []
    walk(resource, found)
    return found


def _all_walked(walks: Sequence[Put], resource: Json) -> list[Any]:
    found: list[Any] = []
    for walk in walks:
        walk(resource, found)
    return found


_RESOURCE = "%resource."


def _composite(way: _Way, components: Sequence[Component], type_: str) -> Put:
    """One way to the elements of a composite, and from each of them to the values of its components."""
    elements = partial(_walked, _walk(way.steps, lambda element, found: found.append(element)))
    parts = [_component(way, component, type_) for component in components]

    def put(resource: Any, found: list[Any]) -> None:
        for element in elements(resource):
            found.extend(product(*(part(resource, element) for part in parts)))

    return put


def _component(way: _Way, component: Component, type_: str) -> Callable[[Any, Any], list[Any]]:
    """The values of a component; one that starts from %resource does not depend on the element."""
    of_resource = component.expression.startswith(_RESOURCE)
    start = _start(type_) if of_resource else replace(way, steps=())
    ways = _ways(read(component.expression.removeprefix(_RESOURCE)), start)
    if component.kind is Kind.STRING:
        ways = [end for found in ways for end in _strings(found)]
    values = _extractor(ways, partial(_put, kind=component.kind))
    return lambda resource, element: values(resource if of_resource else element)


# From expressions to ways


def _start(type_: str) -> _Way:
    """At the resource itself."""
    return _Way((), type_, Place(type_), {})


def _ways(tree: Expression, start: _Way) -> list[_Way]:
    """The ways an expression means, from a resource or from an element of one."""
    match tree:
        case Binary("|", left, right):
            return _ways(left, start) + _ways(right, start)
        case Name(None, name):
            return [start] if not start.steps and name in ancestors(start.place.type) else _children(start, name)
        case Name(of, name) if of is not None:
            return [child for way in _ways(of, start) for child in _children(way, name)]
        case Typed(of, "as", wanted) | Call(of, "as" | "ofType", Name(None, wanted)) if of is not None:
            return [way for way in _ways(of, start) if _is_a(way.type, wanted)]
        case Call(of, "where", test) if of is not None and test is not None:
            return [_tested(way, _test(test, way)) for way in _ways(of, start)]
        case Call(of, "extension", Literal(str() as url)) if of is not None:
            ways = [child for way in _ways(of, start) for child in _children(way, "extension")]
            return [_tested(way, partial(_has, "url", url)) for way in ways]
    raise NotReadable(f"{tree} leads nowhere.")


def _is_a(type_: str, wanted: str) -> bool:
    """A composite's component of R4 says DateTime for dateTime."""
    of = (*ancestors(type_), _SPECIALISED.get(type_))
    return wanted in of or wanted[0].lower() + wanted[1:] in of


def _children(way: _Way, name: str) -> list[_Way]:
    """The ways on to a member; to each of its types where it is a choice."""
    members = {name: property_of(way.place, name)}
    if members[name] is None:
        path = ".".join(part for part in (way.place.path, f"{name}[x]") if part)
        types = elements_of(way.place.type).get(path, {}).get("types", ())
        members = {(member := name + type_[0].upper() + type_[1:]): property_of(way.place, member) for type_ in types}
    if not members:
        raise NotReadable(f"{way.place} has no {name}.")
    return [_child(way, json_name, found) for json_name, found in members.items() if found]


def _child(way: _Way, json_name: str, found: Property) -> _Way:
    step = _Step(json_name, repeats(way.place, found.element))
    return _Way((*way.steps, step), found.type, found.place, _systems(way.place, found.element))


def _systems(place: Place, element: str) -> Mapping[str, str]:
    """The code system of each code an element is bound to, as far as R4 enumerates them."""
    elements = elements_of(place.type)
    path = f"{place.path}.{element}" if place.path else element
    bound = definitions()["valuesets"].get(elements.get(path, {}).get("codes"), {})
    return {code: system for system, codes in bound.items() for code in codes}


def _tested(way: _Way, test: Test) -> _Way:
    """The way, as far as those of its elements that stand a test; it takes one test a step."""
    *before, last = way.steps
    if last.test:
        raise NotReadable(f"{way.place} is tested twice.")
    return replace(way, steps=(*before, replace(last, test=test)))


def _test(tree: Expression, way: _Way) -> Test:
    """What where() asks of an element."""
    match tree:
        case Binary("=", Name(None, name), Literal(value)) if property_of(way.place, name):
            if not repeats(way.place, name):
                return partial(_has, name, value)
        case Typed(Call(None, "resolve", None), "is", wanted) if way.type == "Reference":
            return lambda reference: target_type(reference) == wanted
        case Call(None, "hasExtension", Literal(url)):
            return lambda element: any(found.get("url") == url for found in element.get("extension", ()))
    raise NotReadable(f"{tree} is no test of {way.place} that can be made.")


def _has(name: str, value: str | bool, element: Any) -> bool:
    return bool(element.get(name) == value)


# From ways to functions


def _walk(steps: tuple[_Step, ...], put: Put) -> Put:
    """The function that goes these steps, made from the last to the first, and puts what it comes to."""
    for step in reversed(steps):
        put = _stepping(step, _asking(step.test, put) if step.test else put)
    return put


def _stepping(step: _Step, onward: Put) -> Put:
    """A step: an item of an array of primitives may be null, where it has extensions only."""
    name = step.name

    def into_one(element: Any, found: list[Any]) -> None:
        value = element.get(name)
        if value is not None:
            onward(value, found)

    def into_each(element: Any, found: list[Any]) -> None:
        for value in element.get(name, ()):
            if value is not None:
                onward(value, found)

    return into_each if step.repeats else into_one


def _asking(test: Test, onward: Put) -> Put:
    def if_it_stands(element: Any, found: list[Any]) -> None:
        if test(element):
            onward(element, found)

    return if_it_stands


def _put(way: _Way, kind: Kind) -> Put | None:
    """How the elements at the end of a way give values; an extension gives those of its value.

    None where they have none of this kind: some types of a choice that an expression leaves open (a date in words).
    """
    if way.type != "Extension":
        return values_of(kind, way.type, way.systems)
    here = replace(way, steps=())
    walks = [_walk(value.steps, put) for value in _children(here, "value") if (put := values_of(kind, value.type, {}))]

    def put_value(extension: Any, found: list[Any]) -> None:
        for walk in walks:
            walk(extension, found)

    return put_value


# Expressions that are true or false


def _is_boolean(tree: Expression) -> bool:
    match tree:
        case Binary("and" | "=" | "!=", _, _) | Call(_, "exists", None):
            return True
    return False


def _condition(tree: Expression, type_: str) -> Callable[[Json], bool]:
    """Whether a resource is as an expression says."""
    match tree:
        case Binary("and", left, right):
            one, other = _condition(left, type_), _condition(right, type_)
            return lambda resource: one(resource) and other(resource)
        case Call(of, "exists", None) if of is not None:
            elements = _elements(of, type_)
            return lambda resource: bool(elements(resource))
        case Binary("!=", of, Literal(value)):
            elements = _elements(of, type_)
            return lambda resource: (found := elements(resource)) != [] and found != [value]
    raise NotReadable(f"{tree} is no condition that can be told.")


def _elements(tree: Expression, type_: str) -> Callable[[Json], list[Any]]:
    """The elements an expression leads to, as JSON has them."""
    walks = [_walk(way.steps, lambda element, found: found.append(element)) for way in _ways(tree, _start(type_))]
    return partial(_all_walked, walks)
