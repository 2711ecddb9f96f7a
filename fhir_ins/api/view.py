"""How much of a resource is shown: `_summary` and `_elements`. https://hl7.org/fhir/R4/search.html#summary"""

from dataclasses import dataclass, replace

from starlette.requests import Request

from fhir_ins.fhir.json import parse, serialise
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.views import summarised, with_elements
from fhir_ins.store.versions import Version

PARAMETERS = frozenset({"_summary", "_elements"})
_MODES = ("true", "text", "data", "count", "false")


@dataclass(frozen=True, slots=True)
class View:
    """A summary (true, text, data; count is of a search), or these elements; else the whole."""

    summary: str | None = None
    elements: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        return self.summary in (None, "count") and not self.elements

    def version(self, version: Version) -> Version:
        """The version with as much of its body as is to be shown."""
        if self.whole or version.body is None:
            return version
        resource = parse(version.body)
        shown = with_elements(resource, self.elements) if self.elements else summarised(resource, self.summary or "")
        return replace(version, body=serialise(shown))


def view(pairs: list[tuple[str, str]], *, counts: bool = False) -> View:
    """The view that these parameters ask for; `counts`: `_summary=count` may be asked. Raises BadRequest."""
    summaries = {value for name, value in pairs if name == "_summary"}
    elements = tuple(
        element.strip()
        for name, value in pairs
        if name == "_elements"
        for element in value.split(",")
        if element.strip()
    )
    if len(summaries) > 1 or not summaries <= set(_MODES) or (summaries == {"count"} and not counts):
        offered = [mode for mode in _MODES if counts or mode != "count"]
        raise BadRequest(f"_summary is one of {', '.join(offered)}, once.", code="value")
    summary = next(iter(summaries - {"false"}), None)
    if summary and elements:
        raise BadRequest("Give _summary or _elements, not both.", code="value")
    return View(summary, elements)


def view_of(request: Request) -> View:
    """The view that the URL of a read asks for."""
    return view(request.query_params.multi_items())
