"""The language of what an OperationOutcome says. https://hl7.org/fhir/R4/languages.html#http

Texts are written in English where they arise; `languages/fr.json` says each of them in French, its parts in braces.
What a text quotes of published definitions stays as they have it.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from starlette.requests import Request

FRENCH, ENGLISH = "fr", "en"

_PART = re.compile(r"\{(\d*)\}")
_RANGE = re.compile(r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]{1,40})?\s*(?:;\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?")
_LISTS = ((" and for ", " et pour "), (" or ", " ou "), (" and ", " et "), (", ", ", "))


class _Said(NamedTuple):
    """One text of the catalogue: what finds it, and how it reads in French."""

    found_by: re.Pattern[str]
    french: str
    letters: int


def language_of(request: Request) -> str:
    """The language that Accept-Language prefers, of the two; English when it says neither."""
    best, quality = ENGLISH, 0.0
    for item in request.headers.get("accept-language", "").split(","):
        match = _RANGE.fullmatch(item)
        named = match[1].lower() if match else ""
        if match and named in (FRENCH, ENGLISH, "*") and float(match[2] or 1) > quality:
            best, quality = FRENCH if named == FRENCH else ENGLISH, float(match[2] or 1)
    return best


def in_french(outcome: dict[str, Any]) -> dict[str, Any]:
    """An OperationOutcome with its texts in French, and its language said."""
    issues = [
        {**issue, "details": {**issue["details"], "text": french(issue["details"]["text"])}}
        for issue in outcome["issue"]
    ]
    return {"resourceType": "OperationOutcome", "language": FRENCH, "issue": issues}


def french(text: str) -> str:
    """The text in French, its parts too where the catalogue has them; as it is where it has not."""
    return _said(text) or text


def _said(text: str) -> str | None:
    for said in _candidates(text):
        if match := said.found_by.fullmatch(text):
            parts = [_part(part) for part in match.groups()]
            numbers = iter(range(len(parts)))
            return _PART.sub(lambda named: parts[int(named[1]) - 1 if named[1] else next(numbers)], said.french)  # noqa: B023 - used at once
    return None


def _part(text: str) -> str:
    """What stands in the place of a part: a text of its own, a list of such, or a name, which no language changes."""
    core = text.strip()
    if not core:
        return text
    found = _listed(core) or _said(core) or core
    return text.replace(core, found)


def _listed(text: str) -> str | None:
    for english, french_ in _LISTS:
        items = text.split(english)
        if len(items) > 1:
            said = [_said(item) or (item if " " not in item else None) for item in items]
            return french_.join(item for item in said if item) if all(said) else None
    return None


def _candidates(text: str) -> Iterator[_Said]:
    """The texts that may be this one, those with the most letters of their own first."""
    by_start = _catalogue()
    first = text.partition(" ")[0]
    yield from sorted((*by_start.get(first, ()), *by_start.get("", ())), key=lambda said: -said.letters)


@cache
def _catalogue() -> Mapping[str, list[_Said]]:
    """The catalogue by the first word of a text, under "" where that has a part in it."""
    by_start: dict[str, list[_Said]] = {}
    for text, french_ in texts().items():
        start = text.partition(" ")[0]
        pieces = _PART.split(text)[::2]
        letters = sum(character.isalpha() for piece in pieces for character in piece)
        some = "(.*?)" if letters else r"(\S+?)"  # punctuation alone finds names, not sentences
        pattern = some.join(re.escape(piece) for piece in pieces[:-1])
        pattern += ("(.*?)" if len(pieces) > 1 else "") + re.escape(pieces[-1])
        by_start.setdefault("" if "{" in start else start, []).append(
            _Said(re.compile(pattern, re.S), french_, letters)
        )
    return by_start


@cache
def texts() -> Mapping[str, str]:
    """Every text of the catalogue and what it is in French, parts as {} or, where their order changes, {1}, {2}."""
    path = Path(__file__).with_name("languages") / "fr.json"
    packages: Mapping[str, Mapping[str, str]] = orjson.loads(path.read_bytes())
    return {text: french_ for package in packages.values() for text, french_ in package.items()}
