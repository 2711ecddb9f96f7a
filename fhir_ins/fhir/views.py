"""Parts of a resource in its place: `_summary` and `_elements`.

https://hl7.org/fhir/R4/search.html#summary and https://hl7.org/fhir/R4/search.html#elements

The resource is a well-formed R4 one and is left as it is; the view shares its values. A view bears the tag SUBSETTED,
so that it is not taken for the whole and sent back as an update. In a summary of a Bundle or Parameters each resource
inside is seen in its own summary, with its own tag. Beyond what the specification lists, a view keeps

- modifier elements, `modifierExtension` among them: what remains must not be read without them;
- the contained resources that what remains refers to, without which its references break ref-1.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.places import Place, Property, children_of, property_of
from fhir_ins.fhir.structure import resource_types

SUBSETTED: Mapping[str, str] = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}

Json = dict[str, Any]
View = Callable[[Json], Json]


def summarised(resource: dict[str, Any], mode: str) -> dict[str, Any]:
    """The summary of a resource: `true` its summary elements, `text` its narrative and mandatory elements, `data` all
    but its narrative. Raises BadRequest on another mode (`count` and `false` are no view of a resource).
    """
    view = _MODES.get(mode)
    if view is None:
        raise BadRequest("_summary of a resource is one of true, text and data.", code="value")
    return _subsetted(view(resource))


def with_elements(resource: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The elements of the root that `names` tells, a choice as `value` or `value[x]`; mandatory ones always.

    Raises BadRequest, telling the names there are, when one of `names` is not an element of the resource's root.
    """
    type_ = resource["resourceType"]
    names = [name for name in names if name != "resourceType"]  # which is always there
    known = frozenset(name.removesuffix("[x]") for name in children_of(Place(type_)))
    for position, name in enumerate(names, 1):
        if name not in known and name not in children_of(Place(type_)):
            # What was sent is not quoted: it may be anything, an identity's data too.
            text = f"Name {position} of _elements is no element of {type_}'s root. Use {', '.join(sorted(known))}."
            raise BadRequest(text, code="value")
    view = _selected(resource, {name.removesuffix("[x]") for name in names})
    return _subsetted(view if "contained" in names else _with_contained(resource, view, dict))


def is_subsetted(resource: Mapping[str, Any]) -> bool:
    """Whether a valid resource says of itself, by its tag, that it is not whole."""
    return any(SUBSETTED.items() <= tag.items() for tag in resource.get("meta", {}).get("tag", ()))


def _subsetted(view: Json) -> Json:
    """The view with its tag; a `meta` that is new stands where R4 has it, after the id."""
    meta = view.get("meta", {})
    if not is_subsetted(view):
        meta = meta | {"tag": [*meta.get("tag", []), dict(SUBSETTED)]}
    first: Json = {name: view[name] for name in ("resourceType", "id") if name in view}
    return {**first, "meta": meta, **{name: value for name, value in view.items() if name not in (*first, "meta")}}


def _with_contained(resource: Json, view: Json, inner: View) -> Json:
    """The view with the contained resources it refers to, through one another too; each seen through `inner`."""
    unseen = {contained["id"]: inner(contained) for contained in resource.get("contained", ()) if "id" in contained}
    kept: set[str] = set()
    reached = list(_fragments(view))
    while reached:
        if (id_ := reached.pop()) in unseen.keys() - kept:
            kept.add(id_)
            reached += _fragments(unseen[id_])
    return view | {"contained": [seen for id_, seen in unseen.items() if id_ in kept]} if kept else view


def _fragments(value: Any) -> Iterator[str]:
    """What the local references inside a value name. https://hl7.org/fhir/R4/references.html#contained"""
    if isinstance(value, str):
        if value.startswith("#"):
            yield value[1:]
    elif isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _fragments(child)


def _selected(resource: Json, stems: Collection[str]) -> Json:
    """Some elements of the root, whole, by their names without `[x]`, besides those that no view is without."""
    place, stems = Place(resource["resourceType"]), {*stems, "id", "meta"}
    shown = {"resourceType": resource["resourceType"]}
    for name, value in resource.items():
        found = property_of(place, name.removeprefix("_"))
        if found and (found.element.removesuffix("[x]") in stems or _indispensable(place, found.element)):
            shown[name] = value
    return shown


@cache
def _indispensable(place: Place, element: str) -> bool:
    """Whether an element is mandatory or a modifier."""
    return not children_of(place)[element].keys().isdisjoint(("min", "modifier"))


def _text(resource: Json) -> Json:
    return _with_contained(resource, _selected(resource, ("text",)), _text)


def _data(resource: Json) -> Json:
    return {
        name: [_data(contained) for contained in value] if name == "contained" else _data_of(value)
        for name, value in resource.items()
        if name != "text"
    }


def _data_of(value: Any) -> Any:
    if isinstance(value, list):
        return [_data_of(item) for item in value]
    if not isinstance(value, dict):
        return value
    return summarised(value, "data") if "resourceType" in value else {name: _data_of(v) for name, v in value.items()}


def _summary(resource: Json) -> Json:
    named = resource["resourceType"]
    view = {"resourceType": named, **_summary_at(resource, Place(named))}
    return _with_contained(resource, view, _summary)


def _summary_at(value: Json, place: Place) -> Json:
    """The summary elements of an object. One that would end up empty is left out, or whole if it is mandatory."""
    shown = {}
    for name, child in value.items():
        found = property_of(place, name.removeprefix("_"))
        if found is None or not _in_summary(place, found.element):
            continue
        seen = child if name.startswith("_") else _summary_of(child, found)
        if seen or seen == child:
            shown[name] = seen
        elif "min" in children_of(place)[found.element]:
            shown[name] = child
    return shown


def _summary_of(value: Any, element: Property) -> Any:
    if isinstance(value, list):
        seen = [(item, _summary_of(item, element)) for item in value]
        return [shown for item, shown in seen if shown or not isinstance(item, dict)]
    if not isinstance(value, dict) or element.type == "Extension":
        return value
    if "resourceType" in value:
        return summarised(value, "true")
    return _summary_at(value, element.place)


@cache
def _in_summary(place: Place, element: str) -> bool:
    """Whether the summary has an element of a place. What a datatype has of Element refines it and stays."""
    refines = place.type not in resource_types() and element in ("id", "extension")
    return refines or "summary" in children_of(place)[element] or _indispensable(place, element)


_MODES: Mapping[str, View] = {"true": _summary, "text": _text, "data": _data}
