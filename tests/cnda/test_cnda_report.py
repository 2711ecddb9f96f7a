"""The report as a directory: frames byte for byte, one report at a time, nothing else touched."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cnda.frames_of_calls import TRANSIENT, frames

from fhir_ins.cnda.cases import chosen
from fhir_ins.cnda.play import Played
from fhir_ins.cnda.report import NotOurs, Report, write
from fhir_ins.cnda.verdict import Result, Verdict

(CORSE,), (NIA,) = chosen(["2.08-c1"]), chosen(["2.05"])
ODD = b"\xef\xbb\xbf<?xml version='1.0'?>\r\n<a>|</a>\n\n"


def report(*played: Played) -> Report:
    return Report({"Played": "2026-01-02", "Endpoint": "https://x | <y>"}, played)


def failed(**changes: object) -> Played:
    sent = frames(CORSE, "ANTHONY", TRANSIENT)
    return Played(
        CORSE, Verdict(Result.FAILED, ("It was\n<wrong> | odd.",)), (replace(sent, **changes),), TRANSIENT, 0.5
    )  # type: ignore[arg-type]


def test_frames_are_written_byte_for_byte(tmp_path: Path) -> None:
    write(report(failed(request=ODD, answer=ODD[::-1])), tmp_path / "deep" / "report")
    folder = tmp_path / "deep" / "report" / "frames" / "2.08-c1"
    assert (folder / "1-request.xml").read_bytes() == ODD
    assert (folder / "1-answer.xml").read_bytes() == ODD[::-1]


def test_a_call_without_an_answer_has_one_frame(tmp_path: Path) -> None:
    page = write(report(failed(answer=None)), tmp_path).read_text("utf-8")
    assert [file.name for file in tmp_path.rglob("*.xml")] == ["1-request.xml"]
    assert "1-request.xml" in page
    assert "1-answer.xml" not in page
    (case,) = json.loads((tmp_path / "report.json").read_text("utf-8"))["cases"]
    assert case["calls"][0]["frames"] == ["frames/2.08-c1/1-request.xml"]


def test_texts_break_neither_tables_nor_lines(tmp_path: Path) -> None:
    page = write(report(failed()), tmp_path).read_text("utf-8")
    assert "It was &lt;wrong> \\| odd." in page
    assert "| Endpoint | https://x \\| &lt;y> |" in page


def test_a_later_report_replaces_an_earlier_one(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(NotOurs, match="something else than a report"):
        write(report(failed()), tmp_path)
    (tmp_path / "notes.txt").unlink()
    write(report(failed()), tmp_path)
    (tmp_path / "notes.txt").touch()
    write(report(Played(NIA, Verdict(Result.PASSED), (frames(NIA, "MATRICULE", TRANSIENT),))), tmp_path)
    assert [folder.name for folder in (tmp_path / "frames").iterdir()] == ["2.05"]
    assert (tmp_path / "notes.txt").exists()


def test_the_count_names_every_result() -> None:
    two = report(failed(), Played(NIA, Verdict(Result.NOT_APPLICABLE)))
    assert two.count == "1 FAILED, 1 not applicable"
    assert two.failed
    assert not report(Played(NIA, Verdict(Result.PASSED))).failed
