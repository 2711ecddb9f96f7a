"""The page at /docs: self-contained, and true: its commands are pasted into a shell, beside a running server."""

import asyncio
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from subprocess import PIPE

import httpx
import orjson
import pytest
from lasting import lasting
from lxml import html
from servers import StartServer

from fhir_ins.api.examples import EXAMPLES, RECORDED_BASE
from fhir_ins.fhir.structure import resource_types


def beside(fhir: httpx.AsyncClient, path: str) -> str:
    return str(fhir.base_url).replace("/fhir/", path)


async def page(fhir: httpx.AsyncClient, **headers: str) -> html.HtmlElement:
    answer = await fhir.get(beside(fhir, "/docs"), headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return html.fromstring(answer.text)


async def pasted(commands: list[str], directory: Path) -> list[str]:
    """What each of these commands prints, in one shell."""
    script = "\n".join(f"{command}\necho '<<>>'" for command in commands)
    shell = await asyncio.create_subprocess_exec("bash", "-c", script, cwd=directory, stdout=PIPE, stderr=PIPE)
    printed, complaints = await shell.communicate()
    assert shell.returncode == 0, complaints
    return printed.decode().split("<<>>\n")[:-1]


async def test_its_commands_answer_what_it_shows(fhir: httpx.AsyncClient, tmp_path: Path) -> None:
    shown = await page(fhir)
    commands = [block.text_content() for block in shown.iterfind(".//pre[@aria-label='Command']")]
    base = str(fhir.base_url).rstrip("/")
    assert commands[0] == f"BASE={base}"
    _, *answers = await pasted(commands, tmp_path)
    assert len(answers) == len(EXAMPLES)
    for example, answer in zip(EXAMPLES, answers, strict=True):
        here = answer.replace(base, RECORDED_BASE)
        if example.answer is None:
            assert here.startswith("<svg")
        elif isinstance(example.answer, str):
            assert lasting(here) == lasting(example.answer)
        else:
            expected = orjson.dumps(example.answer).decode()
            assert lasting(orjson.dumps(orjson.loads(here)).decode()) == lasting(expected), example.name


async def test_it_needs_nothing_from_elsewhere_and_runs_nothing(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.get(beside(fhir, "/docs"))
    shown = html.fromstring(answer.text)
    (style,) = shown.iterfind(".//style")
    digest = b64encode(sha256((style.text or "").encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert f"style-src 'sha256-{digest}'" in policy
    assert "url(" not in (style.text or "")
    assert "@import" not in (style.text or "")
    assert not shown.xpath(
        "//script | //link | //img | //iframe | //@style | //@src | //*[starts-with(@href, 'javascript')]"
    )


async def test_its_links_lead_somewhere(fhir: httpx.AsyncClient) -> None:
    shown = await page(fhir)
    identifiers = shown.xpath("//@id")
    assert len(identifiers) == len(set(identifiers))
    targets = set(shown.xpath("//@href"))
    assert {target[1:] for target in targets if target.startswith("#")} <= set(identifiers)
    ours = [target for target in targets if not target.startswith(("#", "https://hl7.org/fhir/R4/"))]
    assert len(ours) == 6
    for target in ours:
        assert (await fhir.get(httpx.URL(beside(fhir, "/docs")).join(target))).status_code == 200
    assert all(found.text for found in shown.iterfind(".//title"))


@pytest.mark.parametrize("further", [[], ["MedicationRequest"]])
async def test_it_follows_the_settings(start_server: StartServer, further: list[str]) -> None:
    shown = await page(await start_server(further_types=further, fr_core="2.2.0"))
    types = {found.removeprefix("type-") for found in shown.xpath("//details/@id")}
    assert types <= resource_types()
    assert ("MedicationRequest" in types) is bool(further)


async def test_a_host_cannot_write_into_it(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.get(beside(fhir, "/docs"), headers={"Host": "a<b>.example"})
    assert "a<b>" not in answer.text


async def test_the_root_leads_there(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.get(beside(fhir, "/"), follow_redirects=True)
    assert answer.url.path == "/docs"
    assert re.search("fhir-ins", answer.text)
