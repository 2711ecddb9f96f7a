"""The invariants that have no function: evaluated from their published FHIRPath.

https://hl7.org/fhir/R4/conformance-rules.html#constraints. They stand on types that are seldom written
(StructureDefinition, Questionnaire, TestScript…), since one costs a millisecond where a function costs one thousandth.
"""

from collections.abc import Mapping

from fhir_ins.fhir import fhirpath
from fhir_ins.fhir.invariants.terms import Element, Holds, Invariant
from fhir_ins.fhir.scope import Scope

# Keys, and why their FHIRPath is not evaluated.
NOT_EVALUATED: Mapping[str, str] = {
    "ctm-1": "resolve() asks for other resources",
    "eld-11": "as published it holds for whatever has a type, and for whatever has none",
}
# Keys, and a FHIRPath that means the same and that the evaluator reads right.
_READ_AS: Mapping[str, str] = {
    "que-7": "operator = 'exists' implies (answer is boolean)",  # it takes no FHIR boolean for a Boolean
}


def published(key: str, expression: str, place: str) -> Invariant:
    """The invariant `key`, as published, of elements that stand at `place` (Questionnaire.item).

    It holds where FHIRPath gives nothing, and where the evaluator fails on what the element carries.
    """
    return Invariant(
        _holds(_READ_AS.get(key, expression), place), f"This does not hold: {expression}. Correct the element."
    )


def _holds(expression: str, place: str) -> Holds:
    def holds(element: Element, scope: Scope) -> bool:
        try:
            return fhirpath.holds(expression, element, place, scope.resource) is not False
        except fhirpath.NotEvaluable:
            return True

    return holds
