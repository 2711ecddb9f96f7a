"""Pages of several types as one: each type is searched from the same mark on, and what comes first is shown.

Resources that are alike in all they are sorted by and in their id come in the order of their types' names.
"""

from collections.abc import Mapping
from functools import cmp_to_key
from typing import Any

from bson.decimal128 import Decimal128

from fhir_ins.fhir.search import Search
from fhir_ins.store.finding import Found, Page, Start, last_key, order_of


def start_of(type_: str, marked: str, start: Start) -> Start:
    """Where the page of a type starts, when a resource of type `marked` stands at the mark."""
    inclusive = type_ < marked if start.back else type_ > marked
    return Start(start.mark, start.back, inclusive)


def merged(pages: Mapping[str, Page], search: Search, start: Start | None) -> Page:
    """The page of all these types, which have been searched for as many as a page holds each."""
    order = order_of(search)
    descending = [*(key.descending for key in order), last_key(order)[1]]

    def compared(one: Found, other: Found) -> int:
        values = zip(_places(one), _places(other), descending, strict=True)
        for mine, theirs, down in values:
            if mine != theirs:
                return 1 if (mine > theirs) is not down else -1
        return (one.version.type > other.version.type) - (one.version.type < other.version.type)

    found = sorted((found for page in pages.values() for found in page.found), key=cmp_to_key(compared))
    if start and start.back:
        shown = found[-search.count :]
        return Page(
            tuple(shown), before=len(found) > len(shown) or any(page.before for page in pages.values()), after=True
        )
    shown = found[: search.count]
    more = len(found) > len(shown) or any(page.after for page in pages.values())
    return Page(tuple(shown), before=start is not None, after=more)


def _places(found: Found) -> list[tuple[bool, bool, Any]]:
    """The values as MongoDB orders them: what is missing before all else, what is no text before what is.

    Of two types a parameter may have values of two kinds: `start` is a name in one and a date in another.
    """
    values = [*found.mark.values, found.mark.id]
    plain = [value.to_decimal() if isinstance(value, Decimal128) else value for value in values]
    return [(value is not None, isinstance(value, str), 0 if value is None else value) for value in plain]
