"""What a resource points at by an address: its references, elements that hold one, links in its narrative.

https://hl7.org/fhir/R4/http.html#trules: what a transaction replaces is Reference.reference, elements of the types uri,
url, oid and uuid, and href and src in narratives; a canonical, or a string that only looks like an address, stays.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from html import escape, unescape
from typing import Any, NamedTuple

from fhir_ins.fhir.structure import definitions, elements_of

Json = dict[str, Any]
Replace = Callable[[str], str]

_ADDRESSES = frozenset({"uri", "url", "oid", "uuid"})
_IN_NARRATIVE = re.compile(r"""(\b(?:href|src)\s*=\s*)("[^"]*"|'[^']*')""")


class _Inside(NamedTuple):
    """What a property leads to: a link, a narrative, or an object of a type or at a path of a type."""

    link: bool = False
    narrative: bool = False
    type: str = ""
    path: str = ""


def relinked(resource: Json, replace: Replace) -> Json:
    """The valid resource with `replace` applied to every address in it, contained resources included."""
    return _object(resource, resource["resourceType"], "", replace)


def _object(value: Json, type_: str, path: str, replace: Replace) -> Json:
    inside = _properties(type_, path)
    return {name: _value(child, inside.get(name), replace) for name, child in value.items()}


def _value(value: Any, inside: _Inside | None, replace: Replace) -> Any:
    if inside is None or value is None:
        return value
    if isinstance(value, list):
        return [_value(item, inside, replace) for item in value]
    if inside.link:
        return replace(value)
    if inside.narrative:
        return _IN_NARRATIVE.sub(lambda found: _attribute(found, replace), value)
    if inside.type == "Resource":
        return relinked(value, replace)
    return _object(value, inside.type, inside.path, replace)


def _attribute(found: re.Match[str], replace: Replace) -> str:
    before = unescape(found[2][1:-1])
    after = replace(before)
    return found[0] if after == before else f'{found[1]}"{escape(after)}"'


@cache
def _properties(type_: str, path: str) -> Mapping[str, _Inside]:
    """What the properties of an object lead to, by name; those that hold nothing of interest are left out."""
    elements = elements_of(type_)
    prefix = f"{path}." if path else ""
    base = elements[path]["types"][0] if path else ""
    made = dict(_properties(base, "")) if base else {}
    for whole, element in elements.items():
        leaf = whole.removeprefix(prefix)
        if not whole.startswith(prefix) or "." in leaf:
            continue
        for named in element.get("types", ("",)):
            name = leaf.removesuffix("[x]")
            if name != leaf:
                name += named[0].upper() + named[1:]
            if found := _inside(type_, whole, element, named):
                made[name] = found
                if found.link:
                    made["_" + name] = _Inside(type="Element")
    return made


def _inside(type_: str, path: str, element: Mapping[str, Any], named: str) -> _Inside | None:
    if "content" in element:
        return _Inside(type=type_, path=element["content"])
    if named.removeprefix("@") in _ADDRESSES or (type_, path) == ("Reference", "reference"):
        return None if (type_, path) == ("Extension", "url") else _Inside(link=True)
    if named == "xhtml":
        return _Inside(narrative=True)
    types = definitions()["types"]
    if named == "Resource":
        return _Inside(type="Resource")
    if named not in types:
        return None
    if any(other.startswith(path + ".") for other in elements_of(type_)):
        return _Inside(type=type_, path=path)
    profiled = types[named].get("profile")
    return _Inside(type=types[named]["base"] if profiled else named)
