"""Markdown, as much of it as the report and the table of cases need."""

from collections.abc import Iterator


def text(written: str) -> str:
    """On one line, as Markdown shows it unaltered."""
    return " ".join(written.split()).replace("<", "&lt;").replace("|", "\\|")


def row(*cells: str) -> str:
    return f"| {' | '.join(map(text, cells))} |"


def heading(*cells: str) -> Iterator[str]:
    """The first two lines of a table."""
    yield row(*cells)
    yield row(*["---"] * len(cells))
