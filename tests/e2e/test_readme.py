"""The README and the getting-started page, pasted as they stand into a shell beside a running sandbox."""

import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from e2e.sandbox import running
from lasting import lasting

from fhir_ins.ins.datamatrix_photograph import payload_in

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(sh|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str]]:
    return BLOCK.findall((ROOT / page).read_text())


def pasted(command: str, directory: Path) -> str:
    done = subprocess.run(["bash", "-c", command], cwd=directory, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def shell(tmp_path: Path):
    with running(tmp_path) as sandbox:

        def run(command: str) -> str:
            here = command.replace("127.0.0.1:8080", f"127.0.0.1:{sandbox.port}")
            return pasted(here, tmp_path).replace(f"127.0.0.1:{sandbox.port}", "127.0.0.1:8080")

        yield run


def test_the_readme_examples_answer_what_it_says(shell) -> None:
    found = blocks("README.md")
    examples = [(command, answer) for (_, command), (kind, answer) in pairwise(found) if kind == "json"]
    assert len(examples) == 4
    for command, answer in examples:
        assert lasting(shell(command)) == lasting(answer)


def test_the_getting_started_page_qualifies_and_withdraws(shell, tmp_path: Path) -> None:
    """After the README's first example, in one shell, as a reader would."""
    shell(next(command for _, command in blocks("README.md") if "$ins-fetch" in command))
    commands = [command for kind, command in blocks("docs/getting-started.md") if kind == "sh"]
    answers = shell("\n".join(f"{command}\necho '<<>>'" for command in commands)).split("<<>>")
    qualified, found, identity, withdrawn = answers[:4]
    assert '"value":"275126322074974"' in qualified
    assert '"code":"VALI"' in qualified
    assert '"total":1' in found
    assert '"valueString":"275126322074974^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.8&ISO^INS"' in identity
    assert b"275126322074974" in payload_in((tmp_path / "ins.png").read_bytes())
    assert "275126322074974" not in withdrawn.partition('"resourceType":"Bundle"')[0]
    assert '"total":0' in withdrawn


def test_the_examples_of_the_search_page_are_answered(shell) -> None:
    commands = "".join(command for kind, command in blocks("docs/search.md") if kind == "sh").splitlines()
    assert len(commands) == 5
    assert all('"resourceType":"Bundle"' in shell(command) for command in commands)
