"""What one resource under validation knows of itself, and where its references may point.

https://hl7.org/fhir/R4/references.html: a literal reference is relative (Type/id), an absolute URL, a urn:, or the
fragment of a contained resource. https://hl7.org/fhir/R4/http.html#trules: in a transaction also Type?criteria.
"""

import re
from collections.abc import Collection
from typing import Any

from fhir_ins.fhir.primitives import Problem

_ID = r"[A-Za-z0-9.-]{1,64}"
_RELATIVE = re.compile(rf"([A-Z][A-Za-z]+)/{_ID}(?:/_history/{_ID})?(?:#\S+)?")
_RESTFUL = re.compile(rf"https?://\S+/([A-Z][A-Za-z]+)/{_ID}(?:/_history/{_ID})?(?:#\S+)?")
_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]+)\?\S+")
_TYPED = (_RELATIVE, _RESTFUL, _CONDITIONAL)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_URN = re.compile(
    r"urn:(?:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|oid:[0-2](?:\.(?:0|[1-9][0-9]*))+)(?:#\S+)?",
    re.ASCII | re.IGNORECASE,
)

_NO_REFERENCE = Problem(
    "value",
    "The reference is none of Type/id, an absolute URL, urn:uuid:, urn:oid: or #id of a contained resource.",
)
_NO_URN = Problem("value", "The reference is no urn:uuid: with a UUID, nor urn:oid: with an OID.")
_OUTSIDE_TRANSACTION = Problem(
    "value", "A conditional reference (Type?criteria) is allowed in a transaction only. Refer to Type/id."
)


class Scope:
    """A resource, or a resource contained in it: its type, and the types of the contained ones by their id.

    `anchors` collects the fragments (#id) the resource refers to, `inner` the scopes of the contained resources
    in their order; `refers_up` tells that a contained resource refers to its container (#). `resource` is the
    %resource of FHIRPath: the contained one within a contained resource.
    """

    __slots__ = ("anchors", "contained", "inner", "inside", "refers_up", "resource", "transaction", "type")

    def __init__(self, resource: dict[str, Any], *, transaction: bool = False) -> None:
        self.resource = resource
        self.type = str(resource.get("resourceType"))
        self.transaction = transaction or (self.type == "Bundle" and resource.get("type") == "transaction")
        self.inside = False
        self.refers_up = False
        self.anchors: set[str] = set()
        self.contained: dict[str, str] = {}
        self.inner: list[Scope] = []
        contained = resource.get("contained")
        for inner in contained if type(contained) is list else ():
            if type(inner) is dict and type(inner.get("id")) is str:
                self.contained[inner["id"]] = str(inner.get("resourceType"))

    def within(self, resource: dict[str, Any]) -> "Scope":
        """The scope of a `resource` contained in this one: fragments mean the same there."""
        inner = Scope({"resourceType": self.type}, transaction=self.transaction)
        inner.resource = resource
        inner.inside, inner.anchors, inner.contained = True, self.anchors, self.contained
        self.inner.append(inner)
        return inner

    def note(self, fragment: str) -> None:
        """Remember a uri or a reference that starts with #."""
        self.anchors.add(fragment)
        if fragment == "#":
            self.refers_up = True

    def resolves(self, fragment: str) -> bool:
        return fragment[1:] in self.contained or (fragment == "#" and self.inside)

    def problem_of(self, reference: str, targets: Collection[str], known: Collection[str]) -> Problem | None:
        """What is wrong with a literal reference; `targets` empty means any type, `known` are R4's types."""
        if reference.startswith("#"):
            self.note(reference)
            named = self.type if reference == "#" else self.contained.get(reference[1:])
            # A fragment that resolves to nothing breaks ref-1, which says so.
            return None if named is None else off_target(named, targets)
        if match := _RELATIVE.fullmatch(reference):
            return off_target(match[1], targets) if match[1] in known else _NO_REFERENCE
        if (match := _CONDITIONAL.fullmatch(reference)) and match[1] in known:
            return off_target(match[1], targets) if self.transaction else _OUTSIDE_TRANSACTION
        if reference.lower().startswith(("urn:uuid:", "urn:oid:")):
            return None if _URN.fullmatch(reference) else _NO_URN
        if not _ABSOLUTE.fullmatch(reference):
            return _NO_REFERENCE
        match = _RESTFUL.fullmatch(reference)
        return off_target(match[1], targets) if match and match[1] in known else None


def named_type(reference: str) -> str | None:
    """The resource type a literal reference names, or None where it tells none (urn:, #id, another server's URL)."""
    match = next((found for form in _TYPED if (found := form.fullmatch(reference))), None)
    return match[1] if match else None


def off_target(named: str, targets: Collection[str]) -> Problem | None:
    """The problem of a reference to a resource of type `named` where only `targets` may be; empty means any."""
    if not targets or named in targets:
        return None
    return Problem("value", f"This reference is to a type it may not name. Refer to: {', '.join(sorted(targets))}.")
