"""`fhir-ins cnda run`: every case through the real command line, real SOAP over real mTLS."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cnda.command import command
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import NoEncryption, pkcs12
from cryptography.x509.oid import NameOID
from lxml import etree

from fhir_ins.cnda.case import Reading
from fhir_ins.cnda.cases import CASES, chosen
from fhir_ins.cnda.play import Played, Production, play, refuse_production
from fhir_ins.cnda.verdict import Result
from fhir_ins.configured_insi import insi_configurations
from fhir_ins.insi.assertion_ps import Signer, SoftwareSigner
from fhir_ins.insi.certificate import ClientCertificate
from fhir_ins.insi.soap import SoapConfiguration
from fhir_ins.settings import Settings

WSA = "{http://www.w3.org/2005/08/addressing}"


def environment_of(settings: Settings) -> dict[str, str]:
    return {
        "FHIR_INS_INSI_ENDPOINT": str(settings.insi_endpoint),
        "FHIR_INS_INSI_PKCS12": str(settings.insi_pkcs12),
        "FHIR_INS_INSI_PKCS12_PASSPHRASE": settings.insi_pkcs12_passphrase.get_secret_value(),
        "FHIR_INS_INSI_TRUST": str(settings.insi_trust),
        "FHIR_INS_INSI_IDAM": settings.insi_idam,
    }


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    """A professional's card of nobody, with a key of its own."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "00B0000000")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    file = tmp_path / "card.p12"
    file.write_bytes(pkcs12.serialize_key_and_certificates(None, key, certificate, None, NoEncryption()))
    return SoftwareSigner(file, "")


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The report of all cases against the simulator that the command starts, and what it printed."""
    directory = tmp_path_factory.mktemp("cnda") / "report"
    done = command("run", "--report", str(directory))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return directory, done.stdout


def test_every_case_passes_against_the_simulator(handed_in: tuple[Path, str]) -> None:
    directory, printed = handed_in
    *lines, last = printed.splitlines()
    assert [line.split()[:2] for line in lines] == [[case.name, "passed"] for case in CASES]
    assert last == f"{len(CASES)} passed: {directory / 'report.md'}"


def test_the_report_has_every_call_with_its_frames(handed_in: tuple[Path, str]) -> None:
    directory, _ = handed_in
    report = json.loads((directory / "report.json").read_text("utf-8"))
    told = {case["case"]: case for case in report["cases"]}
    assert list(told) == [case.name for case in CASES]
    page = (directory / "report.md").read_text("utf-8")
    listed = set()
    for case in CASES:
        calls = told[case.name]["calls"]
        assert [(call["given"], call["code"]) for call in calls] == list(case.expected.calls)
        for call in calls:
            request, answer = (directory / name for name in call["frames"])
            assert request.read_bytes().count(b"<Assertion ") == (2 if isinstance(case.asked, Reading) else 0)
            assert etree.parse(str(request)).findtext(f".//{WSA}MessageID") == call["messageId"]
            etree.parse(str(answer))
            assert f"({request.relative_to(directory)})" in page
            assert call["messageId"] in page
            listed |= {request, answer}
    assert listed == set((directory / "frames").rglob("*.xml"))
    assert "<!--" not in page
    assert page.count("\n## ") == len(CASES)


def test_a_case_that_fails_is_told_and_fails_the_command(settings: Settings, tmp_path: Path) -> None:
    environment = {**environment_of(settings), "FHIR_INS_INSI_IDAM": "UNKNOWN"}
    done = command("run", "--report", str(tmp_path / "new"), "--case", "2.06", **environment)
    assert done.returncode == 1
    assert "2.06-c1  FAILED" in done.stdout
    assert "desir_550" in done.stdout
    assert "2 FAILED" in done.stdout.splitlines()[-1]


def test_what_the_qualification_environment_cannot_answer_is_told_apart(settings: Settings, tmp_path: Path) -> None:
    environment = environment_of(settings)
    endpoint = f"{environment.pop('FHIR_INS_INSI_ENDPOINT')}?unknown=insi_102"
    done = command("run", "--report", str(tmp_path / "new"), "--endpoint", endpoint, **environment)
    assert done.returncode == 0, done.stdout
    told = {line[:8].strip(): line[9:25].strip() for line in done.stdout.splitlines() if line[:1].isdigit()}
    assert {name for name, result in told.items() if result == "injected"} == {"2.03-c3", "2.07-c1", "2.07-c2"}
    assert {name for name, result in told.items() if result == "not applicable"} == {
        case.name for case in CASES if isinstance(case.asked, Reading)
    }
    assert "a file to inject" in done.stdout


NOBODY = "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=500"


@pytest.mark.parametrize(
    ("words", "environment", "told"),
    [
        (("run", "--case", "9.99"), {}, "There is no case 9.99."),
        (("run", "--endpoint", "https://localhost:1/lps"), {}, "FHIR_INS_INSI_PKCS12 is needed"),
        (("run", "--endpoint", "ldap://x"), {}, "FHIR_INS_INSI_ENDPOINT: "),
        (("run", "--report", "/dev/null/report"), {}, "/dev/null/report cannot hold a report: Not a directory"),
        (("run", "--report", "/usr"), {}, "/usr holds something else than a report"),
        (("run",), {"FHIR_INS_INSI_TENANTS": "/missing.toml"}, "/missing.toml: there is no such file"),
        (("export",), {}, "set FHIR_INS_INSI_EVIDENCE_KEY"),
        (("export",), {"FHIR_INS_INSI_EVIDENCE_KEY": "c2hvcnQ="}, "32 random bytes in base64"),
        (
            ("export",),
            {
                "FHIR_INS_INSI_EVIDENCE_KEY": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU=",
                "FHIR_INS_MONGODB_URI": NOBODY,
                "FHIR_INS_MONGODB_TIMEOUT": "1",
            },
            "MongoDB does not answer",
        ),
    ],
)
def test_what_cannot_be_done_is_told_in_plain_words(
    words: tuple[str, ...], environment: dict[str, str], told: str, tmp_path: Path
) -> None:
    done = command(*words, **environment)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr


async def played(settings: Settings, name: str, *, signer: Signer | None = None, **changes: object) -> Played:
    configuration = insi_configurations(settings)[settings.tenant]
    assert configuration
    cases = [replace(case, **changes) for case in chosen([name])]  # type: ignore[arg-type]
    (one,) = [one async for one in play(cases, configuration, settings.tenant, injects=False, signer=signer)]
    return one


@pytest.mark.parametrize("name", ["1.02-c1", "1.03"])
async def test_a_card_that_must_not_be_asked_for_is_refused(settings: Settings, signer: Signer, name: str) -> None:
    one = await played(settings, name, signer=signer)
    assert one.verdict.result is Result.PASSED
    assert one.frames == ()


async def test_a_card_just_young_enough_is_asked_for(settings: Settings, signer: Signer) -> None:
    case = chosen(["1.02-c1"])[0]
    young = Reading(case.asked.card, age=timedelta(minutes=19, seconds=30))  # type: ignore[union-attr]
    one = await played(settings, "1.02-c1", signer=signer, asked=young)
    assert one.verdict.result is Result.FAILED
    assert [sent.assertions for sent in one.frames] == [2]  # the professional's and the card's


async def test_without_a_card_its_cases_are_not_applicable(settings: Settings) -> None:
    one = await played(settings, "1.10")
    assert one.verdict.result is Result.NOT_APPLICABLE
    assert "fhir-ins cnda export" in one.verdict.reasons[0]


async def test_a_wrong_expectation_fails(settings: Settings) -> None:
    right = chosen(["2.05"])[0].expected
    assert (await played(settings, "2.05")).verdict.result is Result.PASSED
    for wrong in ({"ins": "1090763220888 36"}, {"oid": "1.2.250.1.213.1.4.8"}, {"calls": (("MATRICULE", "01"),)}):
        one = await played(settings, "2.05", expected=replace(right, **wrong))  # type: ignore[arg-type]
        assert one.verdict.result is Result.FAILED
        assert one.verdict.reasons


async def test_traits_that_cannot_be_sent_are_refused_before_any_call(settings: Settings) -> None:
    case = chosen(["2.03-c3"])[0]
    one = await played(settings, "2.03-c3", asked=replace(case.asked, family="Æ☃"))
    assert one.verdict.result is Result.FAILED
    assert "no call" in one.verdict.reasons[0]
    assert one.frames == ()


@pytest.mark.parametrize(
    "host",
    [
        "services-ps-tlsm.ameli.fr",
        "SERVICES-PS.ameli.fr:443",
        "services-ps.ameli.fr.",
        "10.services-ps-tlsm.ameli.fr",
        "ameli.fr",
    ],
)
def test_production_is_refused(settings: Settings, host: str) -> None:
    with pytest.raises(Production, match="qualification only"):
        refuse_production(towards(settings, host))


@pytest.mark.parametrize(
    "host",
    ["qualiflps-services-ps-tlsm.ameli.fr", "qualiflps.services-ps.ameli.fr:443", "localhost:8443", "notameli.fr"],
)
def test_the_test_environments_are_not(settings: Settings, host: str) -> None:
    refuse_production(towards(settings, host))


def test_a_certificate_of_production_is_refused_whatever_the_host(settings: Settings) -> None:
    configuration = towards(settings, "proxy.example")
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "AC IGC-SANTE ELEMENTAIRE ORGANISATIONS")])
    now = datetime.now(UTC)
    issued = (
        x509.CertificateBuilder(issuer, issuer, key.public_key(), 1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    with pytest.raises(Production, match="AC IGC-SANTE ELEMENTAIRE ORGANISATIONS"):
        refuse_production(replace(configuration, certificate=ClientCertificate(key, issued, ())))


def towards(settings: Settings, host: str) -> SoapConfiguration:
    configuration = insi_configurations(settings)[settings.tenant]
    assert configuration
    return replace(configuration, endpoint=f"https://{host}/lps")
