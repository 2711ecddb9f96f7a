"""A query as an AuditEvent shows it: the names of what was asked, and in place of what may name a person a seal.

Only what cannot is shown: how many, in which order, in which format, of which type, since when. A name that is none of
a search parameter is sealed too, for it may be anything.
"""

import re
from collections.abc import Callable
from functools import cache
from urllib.parse import parse_qsl, quote

from fhir_ins.fhir.search_parameters import definitions
from fhir_ins.fhir.structure import resource_types
from fhir_ins.frcore.search_parameters import PARAMETERS

_SHOWN = frozenset(
    {
        *("_count", "_sort", "_total", "_summary", "_elements", "_format", "_pretty", "_type", "_lastUpdated"),
        *("_include", "_revinclude", "_include:iterate", "_revinclude:iterate", "_since", "_at", "mode", "profile"),
    }
)
# Words, as these parameters take them; a number that is no matricule; a moment.
_WORDS = re.compile(r"[A-Za-z_:,*./\-]*", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_MOMENT = re.compile(r"(?:eq|ne|gt|lt|ge|le|sa|eb|ap)?\d{4}(?:-\d\d(?:-\d\d(?:T[\d:.]{5,15}(?:Z|[+ -]\d\d:\d\d))?)?)?")
_MODIFIERS = frozenset(
    {
        *("exact", "contains", "missing", "not", "text", "identifier", "of-type", "above", "below", "iterate"),
        *("in", "not-in"),
    }
)


def concealed_query(query: str, conceal: Callable[[str], str]) -> str:
    """The query with each value that may name a person replaced by what `conceal` makes of it."""
    if not query:
        return ""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=False, errors="strict")
    except ValueError:
        return conceal(query)
    return "&".join(f"{_name(name, conceal)}={_value(name, value, conceal)}" for name, value in pairs)


def _name(name: str, conceal: Callable[[str], str]) -> str:
    """Each of its words is one of FHIR's: a parameter, a modifier, a type."""
    known = all(part in _known() for part in re.split(r"[:.]", name))
    return quote(name, safe=":.") if known else conceal(name)


def _value(name: str, value: str, conceal: Callable[[str], str]) -> str:
    if name in _SHOWN and any(form.fullmatch(value) for form in (_WORDS, _NUMBER, _MOMENT)):
        return quote(value, safe=":,*/")
    return conceal(value) if value else ""


@cache
def _known() -> frozenset[str]:
    names = {name for parameters in definitions()["parameters"].values() for name in parameters}
    return frozenset(
        names
        | PARAMETERS["Patient"].keys()
        | _MODIFIERS
        | _SHOWN
        | set(resource_types())
        | {"_has", "_cursor", "if-none-exist"}
    )
