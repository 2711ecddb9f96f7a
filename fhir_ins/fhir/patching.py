"""What holds for a patch in any of its formats. https://hl7.org/fhir/R4/http.html#patch"""

from decimal import Decimal, InvalidOperation
from typing import Any

from fhir_ins.fhir.json import MAXIMUM_DEPTH, Number, too_deep
from fhir_ins.fhir.outcome import BadRequest, Unprocessable

MOST_OPERATIONS = 1000

Json = dict[str, Any]


def bounded(operations: int) -> None:
    """Raises BadRequest for more operations than one patch may have."""
    if operations > MOST_OPERATIONS:
        text = f"A patch has {MOST_OPERATIONS} operations at most. Send it in parts, or update the whole resource."
        raise BadRequest(text, code="too-costly")


def still_itself(resource: Json, patched: Any) -> Json:
    """`patched`, when it is the same resource as before: its type and its id are no patch's to change.

    Whether it is valid R4 is for the caller to judge, as of any resource written; so are meta.versionId and
    meta.lastUpdated, which the server sets. Raises Unprocessable.
    """
    type_ = str(resource.get("resourceType", ""))
    if type(patched) is not dict:
        raise Unprocessable("The patch leaves no resource. Delete the resource, if that is meant.", code="structure")
    if patched.get("resourceType") != resource.get("resourceType"):
        text = "A patch cannot change the type of a resource. Leave resourceType as it is, or create another resource."
        raise Unprocessable(text, type_ or None)
    if patched.get("id") != resource.get("id"):
        text = "A patch cannot change the id of a resource. Leave id as it is, or create another resource."
        raise Unprocessable(text, f"{type_}.id")
    if too_deep(patched):
        text = f"The patched resource is nested deeper than {MAXIMUM_DEPTH} levels. Flatten what the patch adds."
        raise Unprocessable(text, code="structure")
    return patched


def without_stale_narrative(before: Json, after: Json) -> Json:
    """`after`, less a narrative that the patch left as it was while it changed the data it was made of.

    Raises Unprocessable where it says more than the data. https://hl7.org/fhir/R4/http.html#patch: the narrative is
    not to be clinically unsafe after a patch.
    """
    narrative = after.get("text")
    if not isinstance(narrative, dict) or narrative != before.get("text") or after == before:
        return after
    if narrative.get("status") == "additional":
        text = "The narrative says more than the data that the patch changes: patch text as well, so that both agree."
        raise Unprocessable(text, f"{after.get('resourceType', '')}.text", code="business-rule")
    return {name: value for name, value in after.items() if name != "text"}


def same(one: Any, other: Any) -> bool:
    """Equal as https://www.rfc-editor.org/rfc/rfc6902#section-4.6 says: 1 equals 1.0, but neither true nor "1"."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if _is_number(one) and _is_number(other):
        return _number(one) == _number(other)
    return type(one) is type(other) and bool(one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: int | float) -> Decimal | str:
    literal = value.literal if isinstance(value, Number) else str(value)
    try:
        return Decimal(literal)
    except InvalidOperation:  # an exponent of more than eighteen digits
        return literal
