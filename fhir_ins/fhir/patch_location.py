"""Where in a resource the path of a patch leads. https://hl7.org/fhir/R4/fhirpatch.html, http://hl7.org/fhirpath/N1/"""

from collections.abc import Callable
from typing import Any

from fhir_ins.fhir.element_tree import Element
from fhir_ins.fhir.json import Number
from fhir_ins.fhir.outcome import Unprocessable
from fhir_ins.fhir.patch_path import Call, Expression, Item, Literal, Operator, Path, Step
from fhir_ins.fhir.patching import same
from fhir_ins.fhir.places import ancestors, element_names, property_of
from fhir_ins.fhir.primitives import PRIMITIVES
from fhir_ins.fhir.shapes import unknown

MOST_VISITS = 1_000_000  # by all paths of a patch together: about a second

# What takes as long as to visit one element
_VISITS_OF_A_STEP = 10
_CHARACTERS_OF_A_VISIT = 500

Value = Element | str | bool | Number
Collection = list[Value]


class Location:
    """Finds the elements that paths name in the tree below `root`, as it is at the time."""

    def __init__(self, root: Element) -> None:
        self._root = root
        self._visits = 0

    def elements(self, path: Path) -> list[Element]:
        """The elements at a path, in order. Raises Unprocessable for a path that asks for what R4 does not have."""
        return [value for value in self._evaluated(path, [self._root]) if isinstance(value, Element)]

    def _evaluated(self, expression: Expression, context: Collection) -> Collection:
        self._visit(1)
        match expression:
            case Literal(value):
                return [value]
            case Operator(sign, operands):
                return self._operated(sign, operands, context)
            case Path(start, steps):
                if isinstance(start, str):
                    found: Collection = context if start == "$this" else [self._root]
                else:
                    found = self._evaluated(start, context)
                for index, step in enumerate(steps):
                    found = self._stepped(found, step, starts=index == 0 and start == "$this")
                    self._visit(len(found) + _VISITS_OF_A_STEP)
                return found

    def _stepped(self, found: Collection, step: Step | Item | Call, *, starts: bool) -> Collection:
        match step:
            case Item(index):
                return found[index : index + 1]
            case Call("where", (Literal() | Path() | Operator()) as criterion):
                return [value for value in found if _truth(self._evaluated(criterion, [value]))]
            case Call("exists", (Literal() | Path() | Operator()) as criterion):
                return [any(_truth(self._evaluated(criterion, [value])) for value in found)]
            case Call(name, argument):
                self._read(found)
                return _FUNCTIONS[name](found, argument)
            case Step(name):
                return _children([value for value in found if isinstance(value, Element)], name, starts=starts)

    def _operated(self, sign: str, operands: tuple[Expression, ...], context: Collection) -> Collection:
        if sign in ("and", "or"):
            decisive = sign == "or"
            truths = [_truth(self._evaluated(operand, context)) for operand in operands]
            if decisive in truths:
                return [decisive]
            return [] if None in truths else [not decisive]
        left, right = (self._evaluated(operand, context) for operand in operands)
        if not left or not right:
            return []
        self._read(left)
        equal = len(left) == len(right) and all(
            same(_json(one), _json(other)) for one, other in zip(left, right, strict=True)
        )
        return [equal == (sign == "=")]

    def _read(self, values: Collection) -> None:
        self._visit(sum(len(text) for text in map(_text, values) if text) // _CHARACTERS_OF_A_VISIT)

    def _visit(self, elements: int) -> None:
        self._visits += elements
        if self._visits > MOST_VISITS:
            text = "The paths of the patch look at too many elements. Name them by index, or send the patch in parts."
            raise Unprocessable(text, code="too-costly")


def _children(elements: list[Element], name: str, *, starts: bool) -> Collection:
    """The children of a name; a choice answers to its typed name too (deceasedBoolean), as clients write it.

    The first step of a path may be the type of the element itself, as in Patient.name.
    """
    if starts and any(name in ancestors(element.type) for element in elements):
        return [element for element in elements if name in ancestors(element.type)]
    found: Collection = []
    known = not elements
    for element in elements:
        defined = property_of(element.place, name)
        known = known or defined is not None or name in element_names(element.place)
        stem = defined.element.removesuffix("[x]") if defined else name
        found += [child for child in element.children.get(stem, ()) if name in (child.name, child.property)]
    if not known:
        first = elements[0]
        raise Unprocessable(unknown(str(first.place), "element", name, element_names(first.place))(), code="structure")
    return found


def _truth(values: Collection) -> bool | None:
    """A collection where true or false is expected; None for an empty one. A single element that is there is true."""
    if len(values) > 1:
        text = "A condition in the path holds for several values at once. Use exists(), or an index."
        raise Unprocessable(text, code="processing")
    if not values:
        return None
    value = values[0].value if isinstance(values[0], Element) else values[0]
    return value if isinstance(value, bool) else True


def _json(value: Value) -> Any:
    if not isinstance(value, Element):
        return value
    if value.type in PRIMITIVES:
        return value.value
    text = "The path compares an element that has elements of its own. Compare those, as in where(type.text = 'x')."
    raise Unprocessable(text, code="not-supported")


def _text(value: Value) -> str | None:
    held = value.value if isinstance(value, Element) else value
    return held if isinstance(held, str) else None


def _of_type(found: Collection, type_: str) -> Collection:
    return [value for value in found if isinstance(value, Element) and type_ in ancestors(value.type)]


def _extensions(found: Collection, url: str) -> Collection:
    return [
        extension
        for element in found
        if isinstance(element, Element)
        for extension in element.children.get("extension", ())
        if any(child.value == url for child in extension.children.get("url", ()))
    ]


def _single(found: Collection, _: None = None) -> Collection:
    if len(found) > 1:
        raise Unprocessable("single() in the path meets several elements. Narrow the path.", code="processing")
    return found


def _negated(found: Collection, _: None) -> Collection:
    truth = _truth(found)
    return [] if truth is None else [not truth]


def _compared(matches: Callable[[str, str], bool]) -> Callable[[Collection, str], Collection]:
    def function(found: Collection, sought: str) -> Collection:
        texts = [_text(value) for value in _single(found)]
        return [matches(text, sought) for text in texts if text is not None]

    return function


_FUNCTIONS: dict[str, Callable[[Collection, Any], Collection]] = {
    "ofType": _of_type,
    "as": _of_type,
    "extension": _extensions,
    "first": lambda found, _: found[:1],
    "last": lambda found, _: found[-1:],
    "single": _single,
    "tail": lambda found, _: found[1:],
    "skip": lambda found, number: found[number:],
    "take": lambda found, number: found[:number],
    "exists": lambda found, _: [bool(found)],
    "empty": lambda found, _: [not found],
    "not": _negated,
    "hasValue": lambda found, _: [
        len(found) == 1 and (not isinstance(found[0], Element) or found[0].value is not None)
    ],
    "startsWith": _compared(str.startswith),
    "endsWith": _compared(str.endswith),
    "contains": _compared(lambda text, sought: sought in text),
}
