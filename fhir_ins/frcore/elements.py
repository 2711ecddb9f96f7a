"""Reaching into FHIR elements held as JSON values that base validation has passed."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Json = dict[str, Any]


def extensions(element: Mapping[str, Any], url: str) -> Iterator[Json]:
    """The extensions of `element` with this URL."""
    return (extension for extension in element.get("extension", ()) if extension.get("url") == url)


def extension_value(element: Mapping[str, Any], url: str, kind: str) -> Any | None:
    """The `value{kind}` of the first extension with this URL, or None."""
    return next((extension.get(f"value{kind}") for extension in extensions(element, url)), None)


def with_list(element: Json, name: str, items: list[Any]) -> Json:
    """A copy of `element` whose list `name` holds `items`; FHIR knows no empty list, so the name goes with the last."""
    copy = {key: value for key, value in element.items() if key != name}
    return {**copy, name: items} if items else copy


def filtered(element: Json, name: str, keep: Callable[[Any], bool]) -> Json:
    """A copy of `element` with those items of its list `name` that `keep` accepts."""
    if name not in element:
        return element
    return with_list(element, name, [item for item in element[name] if keep(item)])


def with_extension(element: Json, extension: Json | None, url: str) -> Json:
    """A copy of `element` where `extension` stands for every one with this URL (None: without any)."""
    others = [found for found in element.get("extension", ()) if found.get("url") != url]
    rest = {key: value for key, value in element.items() if key != "extension"}
    kept = [*others, extension] if extension else others
    return {"extension": kept, **rest} if kept else rest
