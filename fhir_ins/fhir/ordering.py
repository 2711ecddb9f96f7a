"""The order of a resource's elements, as its definition lists them. https://hl7.org/fhir/R4/json.html

JSON needs no order, but people read it.
"""

from functools import cache
from typing import Any

from fhir_ins.fhir.structure import definitions

_LAST = 1000


def in_order(resource: dict[str, Any]) -> dict[str, Any]:
    """The resource with its own elements (not those inside) in the order of its type's definition."""
    type_ = resource["resourceType"]
    return dict(sorted(resource.items(), key=lambda item: _rank(type_, item[0])))


@cache
def _rank(type_: str, name: str) -> int:
    order = ["resourceType", *_elements(type_)]
    plain = name.removeprefix("_")
    for rank, element in enumerate(order):
        stem = element.removesuffix("[x]")
        if plain == element or (stem != element and plain.startswith(stem)):
            return rank
    return _LAST


def _elements(type_: str) -> list[str]:
    """The names of the elements directly under a type, those it inherits first."""
    definition = definitions()["types"][type_]
    inherited = _elements(definition["base"]) if definition.get("base") else []
    return [*inherited, *(name for name in definition.get("elements", {}) if "." not in name)]
