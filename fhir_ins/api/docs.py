"""The documentation of the API as one page: GET /docs, and / leads there.

Rendered of the same tables as /openapi.json; a request fills in its own base URL. The page needs nothing
from elsewhere, and runs no script.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fhir_ins import __version__
from fhir_ins.api.addresses import Address
from fhir_ins.api.context import base_url, context_of
from fhir_ins.api.examples import EXAMPLES, RECORDED_BASE, Example
from fhir_ins.api.interactions import HEADERS, INTERACTIONS, QUERY, STATUSES, Takes
from fhir_ins.api.negotiation import PATCHES, Format
from fhir_ins.api.openapi import path_of
from fhir_ins.api.operation_input import OPERATIONS, operation_definition
from fhir_ins.api.served import Served
from fhir_ins.frcore.search_parameters import PARAMETERS
from fhir_ins.settings import Settings

_STYLE = (Path(__file__).parent / "pages" / "docs.css").read_text()
_PAGE = (Path(__file__).parent / "pages" / "docs.html").read_text()
_BASE = "{base}"  # stands for the base URL until a request says what it is
_WIDTH = 100  # of a line of JSON that is shown
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'",
    "Cache-Control": "no-cache",
}


async def home(request: Request) -> Response:
    return RedirectResponse("docs")


async def docs(request: Request) -> Response:
    page = context_of(request).docs().replace(_BASE, escape(base_url(request)))
    return Response(page, headers=_HEADERS, media_type="text/html")


def page(routes: Iterable[Address], settings: Settings, served: Served) -> str:
    """The page about these addresses; `_BASE` in it stands for the base URL."""
    rows = list(dict.fromkeys(row for route in routes if route.formats for row in _rows(route)))
    parts = {
        "style": _STYLE,
        "version": escape(__version__),
        "fr_core": escape(settings.fr_core),
        "example_links": "".join(_link(f"example-{found.name}", found.title) for found in EXAMPLES),
        "operation_links": "".join(_link(f"operation-{name}", f"${name}") for name in OPERATIONS),
        "examples": "".join(map(_example, EXAMPLES)),
        "operations": "".join(_operation(name, rows) for name in OPERATIONS),
        "interactions": "".join(_interaction(row) for row in rows if not row.is_ours),
        "types": "".join(_type(type_, served) for type_ in served.interactions),
        "patches": ", ".join(f"<code>{escape(media)}</code>" for media in PATCHES),
        "pictures": ", ".join(f"<code>{escape(media)}</code>" for media in (Format.PNG, Format.SVG)),
        "headers": _definitions(HEADERS),
        "query": _definitions({name: text for name, text in QUERY.items() if name != "condition"}),
        "statuses": _definitions({str(status): text for status, text in STATUSES.items()}),
    }
    rendered = _PAGE
    for name, part in parts.items():
        rendered = rendered.replace(f"<!-- {name} -->", part)
    return rendered


@dataclass(frozen=True, slots=True)
class _Row:
    """What one or several methods of an address do."""

    address: str  # as the specification writes them: [base]/[type]/[id]
    methods: tuple[str, ...]
    endpoint: str

    @property
    def is_ours(self) -> bool:
        return "$ins-" in self.address


def _rows(route: Address) -> Iterator[_Row]:
    address = "[base]" + path_of(route).replace("{", "[").replace("}", "]").rstrip("/")
    for endpoint in dict.fromkeys(offer.endpoint for offer in route.offers.values()):
        methods = (method for method, offer in route.offers.items() if offer.endpoint is endpoint)
        yield _Row(address, tuple(methods), endpoint.__name__)


def _link(anchor: str, text: str) -> str:
    return f'<li><a href="#{anchor}">{escape(text)}</a></li>'


# Examples


def _example(example: Example) -> str:
    answer = _answer(example)
    shown = f"<details><summary>Answer: {example.status}</summary>{answer}</details>" if answer else ""
    return (
        f'<section class="example" id="example-{example.name}"><h3>{escape(example.title)}</h3>'
        f"<p>{escape(example.text)}</p>{_block(shell_command(example), 'Command')}{shown}</section>"
    )


def shell_command(example: Example) -> str:
    """The request as a person pastes it into a shell in which BASE is set, and PATIENT by the example that keeps it."""
    url = "/".join(["$BASE", *([example.path] if example.path else [])])
    url = url.replace("/$", "/\\$").replace("{patient}", "$PATIENT")
    implied = "GET" if example.body is None else "POST"
    lines = [f'curl -s "{url}"' + ("" if example.method == implied else f" -X {example.method}")]
    lines += [f"  -H '{name}: {value}'" for name, value in example.headers]
    if example.body is not None:
        body = _laid_out(example.body).replace("'", "'\\''")
        lines += [f"  -H 'Content-Type: {example.media}'", f"  -d '{body}'"]
    command = " \\\n".join(lines)
    if not example.keeps:
        return command
    first = 'import json, sys; print(json.load(sys.stdin)["entry"][0]["resource"]["id"])'
    return f"{command}\nPATIENT=$({command} | python3 -c '{first}')"


def _answer(example: Example) -> str:
    if example.answer is None:
        return ""
    answer = example.answer
    text = answer if isinstance(answer, str) else _laid_out(answer)
    return _block(text.strip().replace(RECORDED_BASE, _BASE), "Answer")


def _laid_out(value: Any, indent: str = "") -> str:
    """The value as JSON to be read: what fits on a line is on one."""
    line = orjson.dumps(value).decode()
    if not isinstance(value, dict | list) or len(indent) + len(line) <= _WIDTH:
        return line
    inner = indent + "  "
    if isinstance(value, list):
        return "[\n" + ",\n".join(inner + _laid_out(item, inner) for item in value) + f"\n{indent}]"
    members = (f'{inner}"{name}": {_laid_out(member, inner)}' for name, member in value.items())
    return "{\n" + ",\n".join(members) + f"\n{indent}}}"


def _block(text: str, label: str) -> str:
    """A block of code that scrolls by keyboard too."""
    return f'<pre tabindex="0" role="group" aria-label="{label}"><code>{escape(text, quote=False)}</code></pre>'


# Operations of our own


def _operation(name: str, rows: Iterable[_Row]) -> str:
    definition = operation_definition(name)
    addresses = "".join(f"<li>{_request(row)}</li>" for row in rows if row.address.endswith(f"${name}"))
    tables = "".join(
        f"<h4>{title}</h4>{_parameters(parameters)}"
        for title, use in (("Parameters in", "in"), ("Parameters out", "out"))
        if (parameters := [found for found in definition["parameter"] if found["use"] == use])
    )
    ours = [found for found in EXAMPLES if found.path.partition("?")[0].endswith(f"${name}")]
    links = ", ".join(f'<a href="#example-{found.name}">{escape(found.title)}</a>' for found in ours)
    return (
        f'<section id="operation-{name}"><h3><code>${name}</code> {escape(definition["title"])}</h3>'
        f'<ul class="requests">{addresses}</ul><p>{escape(definition["description"])}</p>'
        f"<p>{escape(definition['comment'])}</p>{tables}<p>Examples: {links}. Definition: "
        f'<a href="{_BASE}/OperationDefinition/{name}"><code>OperationDefinition/{name}</code></a></p></section>'
    )


def _parameters(parameters: Iterable[Mapping[str, Any]]) -> str:
    rows = "".join(_parameter_rows(parameters, 0))
    head = "<thead><tr><th>Name</th><th>Type</th><th>Times</th><th>What it is</th></tr></thead>"
    return f'<table class="parameters">{head}<tbody>{rows}</tbody></table>'


def _parameter_rows(parameters: Iterable[Mapping[str, Any]], depth: int) -> Iterator[str]:
    for found in parameters:
        yield (
            f'<tr class="depth-{depth}"><th scope="row"><code>{escape(found["name"])}</code></th>'
            f"<td>{escape(found.get('type', 'parts'))}</td><td>{found['min']}..{found['max']}</td>"
            f"<td>{escape(found['documentation'])}</td></tr>"
        )
        yield from _parameter_rows(found.get("part", ()), depth + 1)


# Interactions


def _interaction(row: _Row) -> str:
    about = INTERACTIONS[row.endpoint]
    takes_body = about.takes is not Takes.NOTHING and not {"GET", "DELETE"}.issuperset(row.methods)
    body = f"Body: {about.takes.value}. " if takes_body else ""
    named = [*about.headers, *about.query]
    with_ = f"With {', '.join(f'<code>{escape(name)}</code>' for name in named)}." if named else ""
    ends = " ".join(
        f'<abbr title="{escape(STATUSES[status])}">{status}</abbr>' for status in about.ends_in(*row.methods)
    )
    title = escape(about.title)
    linked = f'<a href="{escape(about.source)}">{title}</a>' if about.source else title
    return (
        f"<tr><td>{_request(row)}</td><td><strong>{linked}</strong><br>{escape(about.text)}</td>"
        f'<td>{escape(body)}{with_}</td><td class="statuses">{ends}</td></tr>'
    )


def _request(row: _Row) -> str:
    methods = " ".join(f'<span class="method {method.lower()}">{method}</span>' for method in row.methods)
    return f"{methods} <code>{escape(row.address)}</code>"


# Types


def _type(type_: str, served: Served) -> str:
    interactions = ", ".join(sorted(served.of(type_)))
    rows = "".join(
        f'<tr><th scope="row"><code>{escape(found.name)}</code></th><td>{found.kind.value}</td>'
        f"<td>{escape(found.documentation)}</td></tr>"
        for found in PARAMETERS[type_].values()
    )
    head = "<thead><tr><th>Search parameter</th><th>Kind</th><th>What it finds</th></tr></thead>"
    return (
        f'<details id="type-{type_}"><summary>{type_}</summary>'
        f'<p><a href="https://hl7.org/fhir/R4/{type_.lower()}.html">{type_} in R4</a>. {interactions}.</p>'
        f'<table class="parameters">{head}<tbody>{rows}</tbody></table></details>'
    )


def _definitions(texts: Mapping[str, str]) -> str:
    return "".join(f"<dt><code>{escape(name)}</code></dt><dd>{escape(text)}</dd>" for name, text in texts.items())
