"""Reads the FHIRPath that search parameters are defined by. https://hl7.org/fhir/R4/fhirpath.html

The part of the grammar (https://hl7.org/fhirpath/N1/grammar.html) that the parameters we offer use: paths, calls with
one argument at most, `as`, `is`, `=`, `!=`, `and`, `|`, parentheses, and literal strings and booleans.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r"\s*(?:(?P<string>'(?:[^'\\]|\\.)*')|(?P<name>%?[A-Za-z_]\w*)|(?P<sign>!=|[.()|=]))", re.ASCII)
_BOOLEANS = {"true": True, "false": False}


class NotReadable(ValueError):
    """An expression, or a part of one, is beyond this grammar; the text says where."""


@dataclass(frozen=True, slots=True)
class Name:
    """A member of what stands before it; at the start of an expression, of the context, or the context's type.

    `%resource` at the start is the resource the context is in.
    """

    of: "Expression | None"
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function of what stands before it; an argument that names a type is a Name."""

    of: "Expression | None"
    function: str
    argument: "Expression | None"


@dataclass(frozen=True, slots=True)
class Typed:
    """`as` or `is`, and the type."""

    of: "Expression"
    operator: str
    type: str


@dataclass(frozen=True, slots=True)
class Binary:
    """`|`, `=`, `!=` or `and` between two expressions."""

    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: str | bool


Expression = Name | Call | Typed | Binary | Literal


def read(text: str) -> Expression:
    """The tree of an expression. Raises NotReadable."""
    reader = _Reader(text)
    expression = reader.binary(0)
    reader.require_end()
    return expression


# Binary operators, the loosest first; `as` and `is` bind tighter than `=`, and `|` tighter than they do.
_LEVELS = (("and",), ("=", "!="), ("as", "is"), ("|",))


class _Reader:
    """Walks over the tokens of one expression, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: Sequence[tuple[str, str]] = list(_tokens(text))
        self._at = 0

    def require_end(self) -> None:
        if self._at < len(self._tokens):
            raise self._surprise()

    def binary(self, level: int) -> Expression:
        """Operands between operators of this level, each of the levels that bind tighter."""
        if level == len(_LEVELS):
            return self._invocations()
        left = self.binary(level + 1)
        while (operator := self._peek()) in _LEVELS[level]:
            self._at += 1
            if operator in ("as", "is"):
                left = Typed(left, operator, self._take("name"))
            else:
                left = Binary(operator, left, self.binary(level + 1))
        return left

    def _invocations(self) -> Expression:
        """A term, and all that is invoked on it with dots."""
        found = self._term()
        while self._skip("."):
            found = self._member(found)
        return found

    def _term(self) -> Expression:
        if self._skip("("):
            inner = self.binary(0)
            self._require(")")
            return inner
        kind, text = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        if kind == "string":
            self._at += 1
            return Literal(re.sub(r"\\(.)", r"\1", text[1:-1]))
        if text in _BOOLEANS:
            self._at += 1
            return Literal(_BOOLEANS[text])
        return self._member(None)

    def _member(self, of: Expression | None) -> Expression:
        name = self._take("name")
        if not self._skip("("):
            return Name(of, name)
        argument = None if self._peek() == ")" else self.binary(0)
        self._require(")")
        return Call(of, name, argument)

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _skip(self, sign: str) -> bool:
        found = self._peek() == sign
        self._at += found
        return found

    def _require(self, sign: str) -> None:
        if not self._skip(sign):
            raise self._surprise()

    def _take(self, kind: str) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] != kind:
            raise self._surprise()
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _surprise(self) -> NotReadable:
        return NotReadable(f"Token {self._at + 1} of {self._text!r} is not expected there.")


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at, text = [], 0, text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise NotReadable(f"Character {at + 1} of {text!r} starts nothing known.")
        tokens.append((str(match.lastgroup), str(match[str(match.lastgroup)])))
        at = match.end()
    return tokens
