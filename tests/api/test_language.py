"""The language of outcomes. https://hl7.org/fhir/R4/languages.html#http"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fhir_ins.api.language import french, texts

FHIR_INS = Path(__file__).parents[2] / "fhir_ins"
PATIENT = {"resourceType": "Patient", "nickname": "Zoé"}

# What reads like a text of an outcome, and never is in one: of the command line, of start-up, of stored Tasks, of logs.
ELSEWHERE = {
    "api/deferred_worker.py",  # in Tasks, which are stored
    "api/docs.py",
    "api/interactions.py",
    "api/openapi.py",
    "api/served.py",
    "fhir/compile_definitions.py",
    "fhir/compile_profiles.py",
    "fhir/compile_search.py",
    "fhir/packages.py",
    "fhir/search_expressions.py",
    "fhir/search_parameters.py",
    "fhir/search_paths.py",
    "security/keyring.py",  # at the start, but for one
    "fhir/invariants/published.py",
    "frcore/search_parameters.py",
    "security/access_file.py",  # at start-up
    "security/audit/checkpoints.py",
    "security/sealing_keys.py",
    "security/tls.py",
}


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("fr", "fr"),
        ("fr-FR,fr;q=0.9,en;q=0.8", "fr"),
        ("FR-CA", "fr"),
        ("de, fr;q=0.2", "fr"),
        ("en-GB;q=0.8, fr", "fr"),
        ("fr;q=0, *", "en"),
        ("en, fr", "en"),
        ("fr;q=0.5, en;q=0.7", "en"),
        ("*", "en"),
        ("de", "en"),
        ("", "en"),
        ("fr;q=2", "en"),
        ("français", "en"),
    ],
)
async def test_an_outcome_is_in_the_language_accept_language_prefers(
    fhir: httpx.AsyncClient, header: str, language: str
) -> None:
    answer = await fhir.get("/Patient/unknown", headers={"Accept-Language": header.encode()})
    assert answer.status_code == 404
    assert answer.headers.get("content-language", "en") == language
    assert answer.json().get("language", "en") == language
    assert answer.json()["issue"][0]["details"]["text"].startswith("Ce" if language == "fr" else "There")
    assert "Accept-Language" in answer.headers["vary"]


async def test_the_entries_of_a_batch_speak_the_language_of_the_batch(fhir: httpx.AsyncClient) -> None:
    entry = {"request": {"method": "GET", "url": "Patient/unknown?_format=xml"}}
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    for accept in ("application/fhir+json", "application/fhir+xml"):
        answer = await fhir.post("/?_pretty=true", json=batch, headers={"Accept-Language": "fr", "Accept": accept})
        assert answer.status_code == 200
        assert "Ce Patient n'existe pas" in answer.text


async def test_what_validation_finds_is_said_in_french(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.post("/Patient/$validate", json=PATIENT, headers={"Accept-Language": "fr"})
    text = answer.json()["issue"][0]["details"]["text"]
    assert text.startswith("Patient ne connaît pas « nickname » (élément).")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("This address answers in image/png or image/svg+xml: use _format=png.", "image/png ou image/svg+xml"),
        ("The AssertionPS was not sent, and INSi not asked: it is not signed.", "L'AssertionPS n'a pas été envoyée"),
        ("The datamatrix lacks S3 (the given names), S4 (the birth name); x.", "S3 (les prénoms), S4 (le nom"),
        ("fr-core-patient needs identifier 2 times here. Add it.", "doit avoir ici identifier 2 fois"),
        ("A value of type boolean is true or false. Correct the value (line 1, column 3).", "true ou false"),
        ("1 resource deleted.", "1 ressource supprimée."),
        ("2 resources deleted.", "2 ressources supprimées."),
    ],
)
def test_the_parts_of_a_text_are_said_in_french_too(text: str, said: str) -> None:
    assert said in french(text)


def test_a_text_that_the_catalogue_does_not_have_stays_as_it_is() -> None:
    assert french("dom-6") == "dom-6"


def test_the_catalogue_has_every_sentence_of_the_server_and_no_other() -> None:
    written = {text for path in sorted(FHIR_INS.rglob("*.py")) for text in _texts(path)}
    sentences = {
        text
        for package in ("api", "fhir", "frcore", "ins", "security")
        for path in sorted((FHIR_INS / package).rglob("*.py"))
        if path.relative_to(FHIR_INS).as_posix() not in ELSEWHERE
        for text in _texts(path)
        if _is_sentence(text)
    }
    assert sentences - texts().keys() == set()
    assert texts().keys() - written == set()


def test_a_translation_has_the_parts_of_its_text() -> None:
    for text, said in texts().items():
        named = re.findall(r"\{(\d*)\}", said)
        if named and named[0]:
            assert {int(number) for number in named} <= set(range(1, text.count("{}") + 1)), text
        else:
            assert len(named) == text.count("{}"), text


def _is_sentence(text: str) -> bool:
    """At least three words that begin as a sentence does and end like one."""
    return len(text.split()) >= 3 and text[0] in "{“" + "".join(map(chr, range(65, 91))) and text[-1] == "."


def _texts(path: Path) -> Iterator[str]:
    """The strings of a module as the catalogue writes them: their parts as {}, no white space around, no docstrings."""
    tree = ast.parse(path.read_text())
    described = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    pieces = {id(piece) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for piece in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
            yield "".join(str(part) for part in parts).strip()
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in described | pieces:
            yield node.value.strip()
