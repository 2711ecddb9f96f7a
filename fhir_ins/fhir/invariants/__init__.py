"""The invariants of R4 that are Python functions, by key: those of the types served by default.

https://hl7.org/fhir/R4/conformance-rules.html#constraints. Each function takes an element whose structure is
right and the scope of its resource; it is true when the invariant holds, as its FHIRPath in definitions/r4.json.

Left out: dom-6, best practice.
"""

from collections.abc import Mapping

from fhir_ins.fhir.invariants.bundles import BUNDLES
from fhir_ins.fhir.invariants.datatypes import DATATYPES
from fhir_ins.fhir.invariants.resources import RESOURCES
from fhir_ins.fhir.invariants.terms import Invariant

INVARIANTS: Mapping[str, Invariant] = {**DATATYPES, **RESOURCES, **BUNDLES}

# ele-1, sqty-1 and dom-2 are judged with the structure, txt-1 and txt-2 with the narrative.
JUDGED_ELSEWHERE = frozenset({"ele-1", "sqty-1", "dom-2", "txt-1", "txt-2"})
