"""Resources of any R4 type with all their elements, made from the definitions: two items of what repeats.

One after the other has the next type of each choice, the next code of each binding, the next kind of reference.
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from typing import Any

from fhir_ins.fhir.places import Place, property_of, repeats
from fhir_ins.fhir.structure import definitions, elements_of

Json = dict[str, Any]

REFERENCES = (
    "Patient/1",
    "Practitioner/2/_history/3",
    "Location/4",
    "http://a/fhir/Patient/5",
    "urn:uuid:6",
    "#7",
    "RelatedPerson/8",
)
DATES = ("1975", "1975-12", "1975-12-31", "2020-02-03T04:05:06+01:00")
DEPTH = 4
_LEAVES: Json = {"date": "1975-12-31", "instant": "2020-02-03T04:05:06.789Z", "integer": 1, "decimal": 1.5}
_LEAVES |= {"positiveInt": 1, "unsignedInt": 1, "time": "01:02:03", "base64Binary": "AAAA", "xhtml": "<div/>"}


def filled(type_: str) -> Iterator[Json]:
    """Resources of a type without end, each other than the one before."""
    filling = _Filling()
    while True:
        yield {"resourceType": type_, **filling.object(Place(type_), DEPTH)}


class _Filling:
    def __init__(self) -> None:
        self.numbers: defaultdict[tuple[Place, str], Iterator[int]] = defaultdict(count)

    def object(self, place: Place, depth: int) -> Json:
        found = {}
        for element in _names(place):
            if element.endswith("[x]"):
                types = _element(place, element)["types"]
                type_ = types[next(self.numbers[place, element]) % len(types)]
                name = element[:-3] + type_[0].upper() + type_[1:]
            else:
                name = element
            value = self.value(place, name, depth)
            if value is not None:
                found[name] = value
        return found

    def value(self, place: Place, name: str, depth: int) -> Any:
        found = property_of(place, name)
        if found is None or found.type in ("Extension", "Resource", "Narrative", "Meta") or name == "id":
            return None
        count_ = 2 if repeats(place, found.element) else 1
        codes = definitions()["valuesets"].get(_element(place, found.element).get("codes"))
        numbers = self.numbers[place, name]
        items = [self.one(found.type, found.place, codes, depth, next(numbers)) for _ in range(count_)]
        if any(item in (None, {}) for item in items):
            return None
        return items if repeats(place, found.element) else items[0]

    def one(self, type_: str, place: Place, codes: dict[str, list[str]] | None, depth: int, number: int) -> Any:
        if type_ == "Reference":
            return {"reference": REFERENCES[number % len(REFERENCES)]}
        if type_ in _LEAVES:
            return _LEAVES[type_]
        if type_ == "dateTime":
            return DATES[number % len(DATES)]
        if type_ == "boolean":
            return number % 2 == 0
        if type_ == "code" and codes:
            known = next(iter(codes.values()))
            return known[number % len(known)]
        if type_ not in definitions()["types"] and type_ != "BackboneElement":
            return f"urn:{type_}:{number}" + ("|1" if type_ == "canonical" and number % 2 else "")
        return self.object(place, depth - 1) if depth else None


def _names(place: Place) -> Iterator[str]:
    """The elements right below a place."""
    start = f"{place.path}." if place.path else ""
    for path in elements_of(place.type):
        if path.startswith(start) and "." not in path[len(start) :]:
            yield path[len(start) :]


def _element(place: Place, element: str) -> Json:
    path = f"{place.path}.{element}" if place.path else element
    found: Json = elements_of(place.type).get(path, {})
    return found
