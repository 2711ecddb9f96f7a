"""Fixed values and patterns. https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.fixed_x_

A fixed value is the value exactly, with nothing missing and nothing more. A pattern is what the value has at least:
each element of the pattern, recursively, and for each item of an array some item of the value.
"""

from collections.abc import Callable
from typing import Any

from fhir_ins.fhir.invariants.terms import number

Test = Callable[[Any], bool]


def fixed(expected: Any) -> Test:
    """Whether a value is the expected one."""
    if isinstance(expected, str):
        return lambda value: type(value) is str and value == expected
    return lambda value: same(value, expected)


def same(value: Any, expected: Any) -> bool:
    if isinstance(expected, dict):
        alike = isinstance(value, dict) and value.keys() == expected.keys()
        return alike and all(same(value[name], expected[name]) for name in expected)
    if isinstance(expected, list):
        alike = isinstance(value, list) and len(value) == len(expected)
        return alike and all(map(same, value, expected))
    if isinstance(expected, str | bool) or isinstance(value, str | bool | dict | list) or value is None:
        return type(value) is type(expected) and bool(value == expected)
    return number(value) == number(expected)


def pattern(expected: Any) -> Test:
    """Whether a value has what the pattern has; made once, for it runs for each item of what is sliced."""
    if isinstance(expected, dict):
        return _object(tuple((name, pattern(wanted)) for name, wanted in expected.items()))
    if isinstance(expected, list):
        return _array(tuple(pattern(wanted) for wanted in expected))
    return fixed(expected)


def _object(members: tuple[tuple[str, Test], ...]) -> Test:
    def test(value: Any) -> bool:
        if type(value) is not dict:
            return False
        for name, holds in members:  # noqa: SIM110 - a generator costs as much again
            if name not in value or not holds(value[name]):
                return False
        return True

    return test


def _array(items: tuple[Test, ...]) -> Test:
    def test(value: Any) -> bool:
        return type(value) is list and all(any(map(holds, value)) for holds in items)

    return test


def shown(expected: Any) -> str:
    """A fixed value or pattern as a text can name it; definitions hold no identity data."""
    if isinstance(expected, str):
        return f"“{expected}”"
    if isinstance(expected, dict):
        inside = (f"{name} {shown(value)}" for name, value in expected.items())
        return ", ".join(inside)
    if isinstance(expected, list):
        return "; ".join(map(shown, expected))
    return str(expected).lower() if isinstance(expected, bool) else str(expected)
