"""The watch over the suite's logs sees what it should: by a run of pytest that must fail, and one that must not."""

import subprocess
import sys
from pathlib import Path

from identity_values import identity_values
from log_watch import offences
from people import ADRUN

HERE = Path(__file__).parent

TESTS = """
import logging
import structlog
from log_watch import gather_file
from structlog.testing import capture_logs

log = structlog.get_logger()
"""
OFFENCES = f"""
def test_request():
    log.info("request", path="/fhir/Patient?family=ADRUN")

def test_library():
    logging.getLogger("library").warning("found {ADRUN}")

def test_bound():
    log.bind(who="adrun").warning("x")

def test_captured():
    with capture_logs():
        log.info("x", name="Ecetinsi")

def test_process(tmp_path):
    (tmp_path / "log").write_text("a\\n{ADRUN[:13]}")
    gather_file(tmp_path / "log")
"""
INNOCENT = """
def test_route():
    log.info("request", route="/fhir/Patient/$ins-fetch", status=200)

def test_arguments_that_are_left_out():
    logging.getLogger("library").error("%s", "ADRUN")
"""


def ended(directory: Path, tests: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A run of pytest over these tests, with the watch."""
    (directory / "conftest.py").write_text("from log_watch import logs_name_nobody\n")
    (directory / "test_logs.py").write_text(TESTS + tests)
    settings = ["-c", "/dev/null", "--rootdir", str(directory), "-p", "no:cacheprovider", "-o", f"pythonpath={HERE}"]
    command = [sys.executable, "-m", "pytest", *settings, *options, str(directory)]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True)


def test_a_log_that_names_somebody_fails_the_run_of_several_processes(tmp_path: Path) -> None:
    run = ended(tmp_path, OFFENCES, "-n", "2")
    assert run.returncode == 1, run.stdout
    assert "5 passed" in run.stdout
    assert "logs name people" in run.stdout
    for name in ("request", "library", "bound", "captured", "process"):
        assert f"test_logs.py::test_{name} " in run.stdout


def test_a_log_that_names_nobody_does_not(tmp_path: Path) -> None:
    run = ended(tmp_path, INNOCENT)
    assert run.returncode == 0, run.stdout


def test_a_value_counts_as_a_word_of_its_own() -> None:
    assert offences([("a=ruth.", "test")], {"ruth"}) == ["'ruth' in a=ruth. (test)"]
    assert offences([("the_ruth_", "test")], {"ruth"})
    assert not offences([("truth, ruthless", "test")], {"ruth"})


def test_the_values_are_those_of_the_suite() -> None:
    values = identity_values()
    assert {ADRUN, "2751263220749", "ADRUN", "adrun", "ZOE", "1975-12-31", "D'ARTAGNAN DE L'HERAULT"} <= values
    assert {"ECETINSI", "PIERRE-ALAIN", "180032B02040123", "Gœthe-Müller", "2009-07-14"} <= values
    assert len(values) > 150
    assert not values & {"name", "provisoire", "1", "F"}
