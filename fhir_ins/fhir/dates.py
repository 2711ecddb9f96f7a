"""FHIR dates as the span of time they cover. https://hl7.org/fhir/R4/search.html#date

A partial date covers all it may mean: 1975 is the whole year. Bounds are milliseconds since 1970-01-01T00:00Z,
the end excluded; a time without zone is read in UTC. A Period that is open at one end reaches as far as time does.
"""

import re
from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d{2})(?:-(?P<day>\d{2})"
    r"(?:T(?P<time>\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(?P<zone>Z|[+-]\d{2}:\d{2})?)?)?)?",
    re.ASCII,
)
_DAY = 86_400_000
_EPOCH = date(1970, 1, 1).toordinal()

BEYOND = 10**15  # no date of the calendar is as far from 1970, either way


class Span(NamedTuple):
    """From `low` (included) to `high` (excluded)."""

    low: int
    high: int


def span_of(text: str) -> Span | None:
    """The span of a FHIR date, dateTime or instant, or None when `text` is none of the calendar's."""
    match = _DATE.fullmatch(text)
    if not match:
        return None
    year, month, day, time = int(match["year"]), match["month"], match["day"], match["time"]
    try:
        first = date(year, int(month or 1), int(day or 1))
        if time:
            return _span_of_time(first, time, match["zone"] or "Z")
        if day:
            days = 1
        elif month:
            days = monthrange(year, int(month))[1]
        else:
            days = date(year, 12, 31).toordinal() - first.toordinal() + 1
    except (ValueError, OverflowError):
        return None
    low = (first.toordinal() - _EPOCH) * _DAY
    return Span(low, low + days * _DAY)


def span_of_period(period: Mapping[str, Any]) -> Span | None:
    """The span of a Period, both its dates included; None when it has neither."""
    start, end = span_of(period.get("start") or ""), span_of(period.get("end") or "")
    if start is None and end is None:
        return None
    return Span(start.low if start else -BEYOND, end.high if end else BEYOND)


def span_of_timing(timing: Mapping[str, Any]) -> Span | None:
    """The outer limits of a Timing's events and bounds, all that a search looks at; None when it has no dates."""
    spans = [span_of(event or "") for event in timing.get("event", ())]
    spans.append(span_of_period(timing.get("repeat", {}).get("boundsPeriod", {})))
    known = [span for span in spans if span]
    if not known:
        return None
    return Span(min(span.low for span in known), max(span.high for span in known))


def approximate(span: Span) -> Span:
    """Wider by a tenth of the time between the span and now, as the specification recommends for `ap`."""
    margin = int(abs(datetime.now(UTC).timestamp() * 1000 - span.low) / 10)
    return Span(span.low - margin, span.high + margin)


def _span_of_time(day: date, time: str, zone: str) -> Span:
    seconds, _, fraction = time.partition(".")
    moment = datetime.fromisoformat(f"{day.isoformat()}T{seconds}{'+00:00' if zone == 'Z' else zone}")
    elapsed = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    low = elapsed.days * _DAY + elapsed.seconds * 1000
    if seconds.count(":") == 1:
        return Span(low, low + 60_000)
    if not fraction:
        return Span(low, low + 1000)
    low += int(fraction.ljust(3, "0")[:3])
    return Span(low, low + 1)
