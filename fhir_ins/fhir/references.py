"""Literal references. https://hl7.org/fhir/R4/references.html#literal

A reference is local when it names a resource of this server by type and id, `Patient/123`, of a version or not.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_LITERAL = re.compile(
    r"(?P<unversioned>(?P<base>https?://\S+/)?(?P<local>(?P<type>[A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}))"
    r"(?:/_history/[A-Za-z0-9\-.]{1,64})?",
    re.ASCII,
)


def unversioned(reference: str) -> str:
    """The reference to the resource, whichever version of it is named; any other text as it is."""
    match = _LITERAL.fullmatch(reference)
    return match["unversioned"] if match else reference


def local_reference(reference: str) -> str | None:
    """`Type/id` of a local reference, without its version; None of any other."""
    match = _LITERAL.fullmatch(reference)
    return match["local"] if match and not match["base"] else None


def target_type(reference: Mapping[str, Any]) -> str | None:
    """The type a Reference tells of its target, by its address or its `type`; None where it tells none."""
    match = _LITERAL.fullmatch(reference.get("reference") or "")
    return match["type"] if match else reference.get("type")


def local_references(resource: Mapping[str, Any]) -> set[str]:
    """All local references anywhere in a resource, contained ones included, without versions."""
    return {local for address in _addresses(resource) if (local := local_reference(address))}


def made_local(resource: dict[str, Any], base: str) -> dict[str, Any]:
    """The resource with its references to resources below `base`, our own address, made local."""
    if not any(_below(address, base) for address in _addresses(resource)):
        return resource
    return {name: _made_local(child, base) for name, child in resource.items()}


def _made_local(value: Any, base: str) -> Any:
    if isinstance(value, list):
        return [_made_local(item, base) for item in value]
    if not isinstance(value, dict):
        return value
    made = {name: _made_local(child, base) for name, child in value.items()}
    if isinstance(address := value.get("reference"), str) and (local := _below(address, base)):
        made["reference"] = local
    return made


def _below(address: str, base: str) -> str | None:
    """The local reference that an absolute one below `base` is; None of any other."""
    local = address.removeprefix(base + "/")
    return local if local != address and local_reference(local) else None


def _addresses(resource: Mapping[str, Any]) -> Iterator[str]:
    """What each Reference in a resource holds as its address."""
    waiting: list[Any] = [resource]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if isinstance(address := part.get("reference"), str):
                yield address
            part = part.values()
        for value in part:
            if type(value) is dict or type(value) is list:
                waiting.append(value)
