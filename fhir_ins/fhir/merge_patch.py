"""JSON Merge Patch, which R4 leaves to servers and many clients send. https://www.rfc-editor.org/rfc/rfc7396

What the patch names is replaced, what it gives as null is removed; arrays are values like any other. Since FHIR has no
empty objects, one that loses all its members is gone too.
"""

from typing import Any

from fhir_ins.fhir.patching import Json, still_itself


def merge_patched(resource: Json, patch: Json) -> Json:
    """`resource` with the patch merged into it; `resource` itself is left as it is.

    Raises Unprocessable for a patch that would make another resource of it. Whether the outcome is valid R4, and no
    larger than a body may be, is for the caller to judge.
    """
    return still_itself(resource, _merged(resource, patch))


def _merged(target: Any, patch: Json) -> Json | None:
    """The members after the patch; None where none is left of some."""
    before = target if isinstance(target, dict) else {}
    after = {name: value for name, value in before.items() if name not in patch}
    for name, value in patch.items():
        merged = _merged(before.get(name), value) if isinstance(value, dict) else value
        if merged is not None:
            after[name] = merged
    return after or None
