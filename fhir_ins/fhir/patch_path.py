"""The FHIRPath of a patch: which elements of a resource an expression names.

https://hl7.org/fhir/R4/fhirpatch.html, http://hl7.org/fhirpath/N1/. The full engine gives values without saying where
they stand, and what a client writes could keep it busy for ever (regular expressions, repeat()). So this is the part of
the language that names elements: steps, indexers, where() and the functions of `FUNCTIONS`; =, !=, and, or, as;
strings, numbers and booleans. All else is refused by name. No text quotes an expression: it may hold an identity.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

from fhir_ins.fhir.json import Number
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.primitives import PRIMITIVES
from fhir_ins.fhir.shapes import unknown
from fhir_ins.fhir.structure import definitions

LONGEST_PATH = 1000
MOST_STEPS = 64  # as deep as JSON may be nested
DEEPEST = 16  # parentheses within parentheses

# What a function takes: an expression for each element, a type, a string, a whole number, or nothing
FUNCTIONS: Mapping[str, str] = {
    "where": "criterion",
    "ofType": "type",
    "as": "type",
    "extension": "string",
    "first": "nothing",
    "last": "nothing",
    "single": "nothing",
    "tail": "nothing",
    "skip": "number",
    "take": "number",
    "exists": "criterion",  # or nothing
    "empty": "nothing",
    "not": "nothing",
    "hasValue": "nothing",
    "startsWith": "string",
    "endsWith": "string",
    "contains": "string",
}
# Those that give elements; the others give true or false
SELECTING = frozenset(("where", "ofType", "as", "extension", "first", "last", "single", "tail", "skip", "take"))

_TOKEN = re.compile(
    r"(?P<string>'(?:[^'\\]|\\.)*')|(?P<number>[0-9]+(?:\.[0-9]+)?)|`(?P<quoted>[^`\\]+)`"
    r"|(?P<name>[$%]?[A-Za-z_]\w*)|(?P<mark>!=|[().,\[\]=])|(?P<space>\s+)|(?P<unknown>.)",
    re.ASCII | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Literal:
    value: str | bool | Number


@dataclass(frozen=True, slots=True)
class Step:
    """The children of this name, of all elements there are."""

    name: str


@dataclass(frozen=True, slots=True)
class Item:
    """[index], from 0."""

    index: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function of FUNCTIONS with its argument; a type goes by its name."""

    function: str
    argument: "Expression | str | int | None" = None


@dataclass(frozen=True, slots=True)
class Path:
    """Steps from `start`: $this and %resource by their names."""

    start: "Expression | str"
    steps: tuple[Step | Item | Call, ...]


@dataclass(frozen=True, slots=True)
class Operator:
    """`=` and `!=` with two operands, `and` and `or` with two or more."""

    sign: str
    operands: tuple["Expression", ...]


Expression = Literal | Path | Operator


def parse_path(text: str) -> Path:
    """A path to elements. Raises BadRequest for what is none, or is beyond the part above (code `not-supported`)."""
    if len(text) > LONGEST_PATH:
        raise BadRequest(f"The path is longer than {LONGEST_PATH} characters. Shorten it.", code="too-long")
    reader = _Reader(text)
    path = reader.expression()
    reader.expect("end")
    if isinstance(path, Path) and _selects(path):
        return path
    raise BadRequest("The path gives a value, not an element of the resource. End it with an element.")


def _selects(path: Path) -> bool:
    if not path.steps:
        return isinstance(path.start, str)
    last = path.steps[-1]
    return not isinstance(last, Call) or last.function in SELECTING


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        kind = str(match.lastgroup)
        if kind == "unknown":
            reason = "no FHIRPath starts so, or what it starts is not offered in a patch"
            raise BadRequest(f"Character {match.start() + 1} of the path is unexpected: {reason}.")
        if kind != "space":
            yield _Token(kind, match[kind], match.start() + 1)
    yield _Token("end", "", len(text) + 1)


class _Reader:
    """Recursive descent, one method for each level of precedence."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._next = 0
        self._depth = 0

    def expression(self) -> Expression:
        self._depth += 1
        if self._depth > DEEPEST:
            raise BadRequest(f"The path nests more than {DEEPEST} parentheses. Simplify it.", code="too-costly")
        found = self._joined("or", self._conjunction)
        self._depth -= 1
        return found

    def expect(self, kind: str, text: str = "") -> _Token:
        token = self._tokens[self._next]
        if token.kind != kind or (text and token.text != text):
            self._unexpected(token)
        self._next += kind != "end"
        return token

    def _conjunction(self) -> Expression:
        return self._joined("and", self._equality)

    def _joined(self, word: str, operand: Callable[[], Expression]) -> Expression:
        operands = [operand()]
        while self._takes("name", word):
            operands.append(operand())
        return operands[0] if len(operands) == 1 else Operator(word, tuple(operands))

    def _equality(self) -> Expression:
        left = self._typed()
        for sign in ("=", "!="):
            if self._takes("mark", sign):
                return Operator(sign, (left, self._typed()))
        return left

    def _typed(self) -> Expression:
        left = self._path()
        return Path(left, (Call("as", self._type()),)) if self._takes("name", "as") else left

    def _path(self) -> Expression:
        token = self._tokens[self._next]
        start: Expression | str = "$this"
        steps: list[Step | Item | Call] = []
        if token.kind in ("string", "number") or (token.kind == "name" and token.text in _BOOLEANS):
            self._next += 1
            start = _literal(token)
        elif self._takes("mark", "("):
            start = self.expression()
            self.expect("mark", ")")
        elif token.kind == "name" and token.text[0] in "$%":
            if token.text not in ("$this", "%resource"):
                self._not_offered(token)
            self._next += 1
            start = token.text
        else:
            steps.append(self._invocation())
        while True:
            if self._takes("mark", "."):
                steps.append(self._invocation())
            elif self._takes("mark", "["):
                steps.append(Item(self._whole_number()))
                self.expect("mark", "]")
            else:
                break
        if len(steps) > MOST_STEPS:
            raise BadRequest(f"The path has more than {MOST_STEPS} steps: no resource is so deep.", code="too-costly")
        return Path(start, tuple(steps)) if steps or isinstance(start, str) else start

    def _invocation(self) -> Step | Call:
        token = self._tokens[self._next]
        if token.kind not in ("name", "quoted") or token.text[0] in "$%":
            self._unexpected(token)
        self._next += 1
        if not self._takes("mark", "("):
            return Step(token.text)
        if token.kind == "quoted" or token.text not in FUNCTIONS:
            self._not_offered(token)
        kind = FUNCTIONS[token.text]
        if self._takes("mark", ")"):
            if kind == "nothing" or token.text == "exists":
                return Call(token.text)
            raise BadRequest(f"The function at character {token.position} of the path needs a {kind}.")
        if kind == "nothing":
            raise BadRequest(f"The function at character {token.position} of the path takes nothing.")
        argument = self._argument(kind)
        self.expect("mark", ")")
        return Call(token.text, argument)

    def _argument(self, kind: str) -> Expression | str | int:
        match kind:
            case "type":
                return self._type()
            case "number":
                return self._whole_number()
            case "string":
                return str(_literal(self.expect("string")).value)
            case _:
                return self.expression()

    def _whole_number(self) -> int:
        token = self.expect("number")
        if not token.text.isdigit() or len(token.text) > 9:
            raise BadRequest(f"Character {token.position} of the path starts no whole number within reason.")
        return int(token.text)

    def _type(self) -> str:
        """A type's name, without its namespace (FHIR.Quantity)."""
        name = self.expect("name").text
        if name in ("FHIR", "System") and self._takes("mark", "."):
            name = self.expect("name").text
        if name not in definitions()["types"] and name not in PRIMITIVES:
            raise BadRequest(unknown("R4", "type", name, definitions()["types"])(), code="not-supported")
        return name

    def _takes(self, kind: str, text: str) -> bool:
        token = self._tokens[self._next]
        taken = token.kind == kind and token.text == text
        self._next += taken
        return taken

    def _unexpected(self, token: _Token) -> NoReturn:
        if token.kind == "end":
            raise BadRequest("The path ends too early. Complete it.")
        raise BadRequest(
            f"Character {token.position} of the path is unexpected: the expression is wrong there, or uses what is not"
            " offered in a patch. Use element names, indices and where()."
        )

    def _not_offered(self, token: _Token) -> NoReturn:
        offered = ", ".join(FUNCTIONS)
        text = f"Character {token.position} of the path starts a function or variable that is not offered in a patch."
        raise BadRequest(f"{text} These functions are: {offered}; and $this and %resource.", code="not-supported")


def _literal(token: _Token) -> Literal:
    if token.kind == "number":
        return Literal(Number(token.text))
    if token.kind == "name":
        return Literal(_BOOLEANS[token.text])
    return Literal(_ESCAPE.sub(lambda match: _character(match[1], match[2]), token.text[1:-1]))


def _character(code: str | None, escaped: str) -> str:
    return chr(int(code, 16)) if code else _ESCAPED.get(escaped, escaped)
