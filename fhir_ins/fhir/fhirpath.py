"""Invariants in FHIRPath, for those that have no function of ours. https://hl7.org/fhir/R4/fhirpath.html

They are slow (a millisecond each), so nothing that is judged for every request may rest on them.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import orjson

from fhir_ins.fhir.json import serialise

Json = dict[str, Any]

_WHOLE = re.compile(r"%(root)?resource")  # to make it plain for each of a thousand elements would cost seconds


class NotEvaluable(Exception):
    """The expression uses what the evaluator does not have (memberOf, conformsTo, resolve…)."""


def holds(expression: str, value: Any, place: str, root: Json) -> bool | None:
    """Whether an invariant holds for `value`, standing at `place` (Patient.contact, HumanName); None: it is empty.

    `root` is %resource. Raises NotEvaluable.
    """
    from fhirpathpy.engine.nodes import ResourceNode  # not needed, hence not loaded, by most servers

    try:
        evaluate = _compiled(expression)
        resource = _plain(root) if _WHOLE.search(expression) else {}
        plain = _plain(value)
        if not (isinstance(plain, dict) and "resourceType" in plain):  # in a node it is not found by Patient.name
            plain = ResourceNode(plain, place)  # type: ignore[no-untyped-call]
        result = evaluate(plain, {"resource": resource, "rootResource": resource})
    except RecursionError:
        raise
    except Exception as error:
        raise NotEvaluable(str(error)) from error
    if not result:
        return None
    return result != [False]


@cache
def _compiled(expression: str) -> Callable[..., list[Any]]:
    from fhirpathpy import compile as compiled
    from fhirpathpy.models import models

    evaluate: Callable[..., list[Any]] = compiled(
        expression, models["r4"], {"traceFn": _silent, "userInvocationTable": _ADDED}
    )
    return evaluate


def _plain(value: Any) -> Any:
    """Numbers as the evaluator knows them, and nothing of ours that it could change."""
    return orjson.loads(serialise({"value": value}))["value"]


def _silent(*_: Any) -> None:
    """trace() says nothing: what is traced may identify a patient."""


def _has_value(inputs: list[Any]) -> bool:
    return len(inputs) == 1 and isinstance(inputs[0], str | int | float)


def _extension(inputs: list[Any], url: str) -> list[Any]:
    """All extensions with this url: the evaluator's own function stops at the first."""
    from fhirpathpy.engine.nodes import ResourceNode

    held = (found for element in inputs if isinstance(element, dict) for found in element.get("extension", ()))
    return [ResourceNode(found, "Extension") for found in held if found["url"] == url]  # type: ignore[no-untyped-call]


_ADDED = {
    "hasValue": {"fn": _has_value, "arity": {0: []}},
    "extension": {"fn": _extension, "arity": {1: ["String"]}},
}
