"""The report of conformity cases: a directory to hand in, with the frames byte for byte.

`report.md` for people, `report.json` for machines, `frames/<case>/<n>-request.xml` and `<n>-answer.xml`.
"""

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fhir_ins.cnda.case import Case
from fhir_ins.cnda.frames import Frames
from fhir_ins.cnda.markdown import heading, row, text
from fhir_ins.cnda.play import Played
from fhir_ins.cnda.verdict import Result
from fhir_ins.cnda.wording import asked_in_words, expectation_in_words, outcome_in_words

_PAGE, _TABLE = "report.md", "report.json"


class NotOurs(Exception):
    """The directory holds something else than an earlier report."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was done, where and by which software (`about`, in order), and the cases."""

    about: Mapping[str, str]
    played: Sequence[Played]

    @property
    def failed(self) -> bool:
        return any(played.verdict.result is Result.FAILED for played in self.played)

    @property
    def count(self) -> str:
        """How many cases had each result."""
        counted = Counter(played.verdict.result for played in self.played)
        return ", ".join(f"{counted[result]} {result.value}" for result in Result if counted[result]) or "no case"


def make_room(directory: Path) -> None:
    """Make the directory of a report, before what it is to tell is done. Raises NotOurs."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        ours = not any(directory.iterdir()) or (directory / _TABLE).is_file()
    except OSError as error:
        raise NotOurs(f"{directory} cannot hold a report: {error.strerror}. Name another directory.") from error
    if not ours:
        raise NotOurs(f"{directory} holds something else than a report: name another directory.")


def write(report: Report, directory: Path) -> Path:
    """Write the report in place of an earlier one; answers the page to read. Raises NotOurs, OSError."""
    make_room(directory)
    shutil.rmtree(directory / "frames", ignore_errors=True)
    for played in report.played:
        for number, frames in enumerate(played.frames, 1):
            for name, content in _files(played.case, number, frames).items():
                file = directory / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
    (directory / _TABLE).write_text(json.dumps(_document(report), ensure_ascii=False, indent=2) + "\n", "utf-8")
    page = directory / _PAGE
    page.write_text("\n".join(_page(report)) + "\n", "utf-8")
    return page


def _files(case: Case, number: int, frames: Frames) -> dict[str, bytes]:
    """The frames of one call by their place in the directory, the request first."""
    files = {"request": frames.request, "answer": frames.answer}
    return {
        f"frames/{case.name}/{number}-{kind}.xml": content for kind, content in files.items() if content is not None
    }


def _document(report: Report) -> dict[str, Any]:
    return {"about": dict(report.about), "cases": [_case_document(played) for played in report.played]}


def _case_document(played: Played) -> dict[str, Any]:
    case = played.case
    return {
        "case": case.name,
        "title": case.title,
        "operation": case.operation.value,
        "result": played.verdict.result.value,
        "reasons": list(played.verdict.reasons),
        "asked": asked_in_words(case.asked),
        "expected": expectation_in_words(case.expected),
        "came": _came(played),
        "milliseconds": None if played.seconds is None else round(played.seconds * 1000),
        "calls": [
            {
                "messageId": frames.call.message_id,
                "at": _time(frames.at),
                "operator": frames.operator,
                "given": frames.asked.get("Prenom", ""),
                "code": frames.call.code,
                "frames": list(_files(case, number, frames)),
            }
            for number, frames in enumerate(played.frames, 1)
        ],
    }


def _page(report: Report) -> list[str]:
    lines = ["# Conformity cases of the téléservice INSi", "", *heading("", "")]
    lines += [row(name, said) for name, said in report.about.items()]
    lines += ["", f"{report.count}.", "", *heading("Case", "Result", "Asked", "Came", "Calls", "ms")]
    lines += [
        row(
            f"[{played.case.name}](#{_anchor(played.case)})",
            played.verdict.result.value,
            asked_in_words(played.case.asked),
            _came(played),
            str(len(played.frames)),
            "" if played.seconds is None else f"{played.seconds * 1000:.0f}",
        )
        for played in report.played
    ]
    for played in report.played:
        lines += _section(played)
    return lines


def _section(played: Played) -> list[str]:
    case = played.case
    lines = ["", f'<a id="{_anchor(case)}"></a>', "", f"## {case.name} {case.title}", ""]
    lines += [f"**{played.verdict.result.value}**" + "".join(f"  \n{text(why)}" for why in played.verdict.reasons), ""]
    sent = ", ".join(f"{name} {said}" for name, said in case.elements.items())
    must_send = "nothing" if case.expected.refused else sent
    for name, said in (
        ("Operation", case.operation.value),
        ("Asked", asked_in_words(case.asked)),
        ("To be sent", must_send),
        ("Expected", expectation_in_words(case.expected)),
        ("Came", _came(played)),
        ("Source", case.source),
    ):
        lines.append(f"- {name}: {text(said)}")
    if played.frames:
        lines += ["", *heading("", "Prenom", "Code", "MessageID", "Time", "Operator", "Frames")]
    for number, frames in enumerate(played.frames, 1):
        links = (f"[{Path(name).stem.partition('-')[2]}]({name})" for name in _files(case, number, frames))
        cells = (
            str(number),
            frames.asked.get("Prenom", ""),
            frames.call.code,
            frames.call.message_id,
            _time(frames.at),
            frames.operator,
            " ".join(links),
        )
        lines.append(row(*cells))
    return lines


def _came(played: Played) -> str:
    return outcome_in_words(played.outcome) if played.outcome else ""


def _anchor(case: Case) -> str:
    return f"case-{case.name.replace('.', '-')}"


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
