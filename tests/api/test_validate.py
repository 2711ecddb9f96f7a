"""$validate through a real server. https://hl7.org/fhir/R4/resource-operation-validate.html"""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from ins_patients import COUNTRIES, INS, ins_patient, insee_code
from people import PATIENT_PROFILE, patient, traits
from profile_tables import URL, definition, element
from servers import StartServer

from fhir_ins.app import application
from fhir_ins.security.caller import Right
from fhir_ins.settings import Settings

Json = dict[str, Any]

TYPE_LEVEL = "/Patient/$validate"
UNKNOWN = "http://example.org/StructureDefinition/unknown"


def parameters(resource: Any = None, **values: str) -> Json:
    given = [{"name": "resource", "resource": resource}] if resource is not None else []
    kinds = {"mode": "valueCode", "profile": "valueUri"}
    return {
        "resourceType": "Parameters",
        "parameter": [*given, *({"name": name, kinds[name]: value} for name, value in values.items())],
    }


def told(response: httpx.Response) -> list[tuple[str, str | None]]:
    """The issues of a 200 as (severity, expression)."""
    assert response.status_code == 200, response.text
    outcome = response.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert all(issue["details"]["text"] for issue in outcome["issue"])
    return [(issue["severity"], (issue.get("expression") or [None])[0]) for issue in outcome["issue"]]


WELL: list[tuple[str, str | None]] = [("information", None)]
ABROAD = ins_patient()
ABROAD["extension"][0]["valueAddress"]["extension"] = [insee_code("99109", COUNTRIES)]
BIRTH_PLACE = "Patient.extension[0].value.extension[0].value"
# What an EHR's Patient lacks of the INS profile: birth place and extension, identifier; the list of given names.
LACKING = [*[("error", "Patient")] * 3, *[("error", "Patient.name[0]")] * 2]
FEMALE_ONLY = definition("Patient", element("Patient.gender", min=1, fixedCode="female"))


async def stored(fhir: httpx.AsyncClient, resource: Json) -> str:
    created = await fhir.post("/Patient", json=resource, headers={"Content-Type": "application/fhir+json"})
    assert created.status_code == 201, created.text
    return f"/Patient/{created.json()['id']}"


# What is sent, and the issues of the answer.
QUESTIONS: dict[str, tuple[Any, str, list[tuple[str, str | None]]]] = {
    "a good Patient": (patient(), "", WELL),
    "a good INS Patient": (ins_patient(), "", WELL),
    "in Parameters": (parameters(ins_patient()), "", WELL),
    "base R4 broken": (
        {"resourceType": "Patient", "gender": "M"},
        "",
        [("error", "Patient.gender"), ("information", None)],
    ),
    "base R4 broken in Parameters": (
        parameters({"resourceType": "Patient", "foo": 1}),
        "",
        [("error", "Patient.foo"), ("information", None)],
    ),
    "no resource type": ({"name": []}, "", [("error", None), ("information", None)]),
    "a claimed profile broken": (patient(meta={"profile": [INS]}), "", LACKING),
    "a profile asked for in the query": (patient(), f"?profile={INS}|2.2.0", LACKING),
    "a profile asked for in Parameters": (parameters(patient(), profile=INS), "", LACKING),
    "the profile asked for only, not the claimed one": (
        patient(meta={"profile": [INS]}),
        f"?profile={PATIENT_PROFILE}",
        WELL,
    ),
    "a claimed profile that is unknown": (
        patient(meta={"profile": [UNKNOWN]}),
        "",
        [("warning", "Patient.meta.profile[0]")],
    ),
    "an extension": (
        patient(extension=[{"url": insee_code("1")["url"], "valueString": "x"}]),
        "",
        [("error", "Patient.extension[0]"), ("error", "Patient.extension[0].value")],
    ),
    "another type": ({"resourceType": "Basic", "code": {"text": "x"}}, "", [("error", None)]),
    "born abroad": (ABROAD, "", [("error", BIRTH_PLACE)]),
    "born abroad, to create": (ABROAD, "?mode=create", [("warning", BIRTH_PLACE)]),
    "to create, in Parameters": (parameters(patient(), mode="create"), "", WELL),
    "to create what a rule refuses": (
        patient(identifier=[{"system": "urn:oid:1.2.250.1.213.1.4.8", "value": "275126322074975"}]),
        "?mode=create",
        [("error", "Patient.identifier[0].value")],
    ),
    "to update without id": (patient(), "?mode=update", [("error", "Patient.id")]),
}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_the_answer_to_a_question(fhir: httpx.AsyncClient, question: str) -> None:
    body, query, issues = QUESTIONS[question]
    assert told(await fhir.post(TYPE_LEVEL + query, json=body)) == issues


@pytest.mark.parametrize(
    ("body", "query", "expression"),
    [
        ('{"resourceType":', "", None),
        ("[]", "", None),
        ("", "", None),
        (parameters(patient(), profile=UNKNOWN), "", "Parameters.parameter"),
        (patient(), f"?profile={INS}|9", "Parameters.parameter"),
        (patient(), "?mode=nothing", "Parameters.parameter"),
        (patient(), "?mode=profile", "Parameters.parameter"),
        (patient(), "?mode=delete", "Parameters.parameter"),
        (patient(), "?profil=x", None),
        (parameters(patient(), mode="create"), "?mode=update", "Parameters.parameter"),
        (
            {"resourceType": "Parameters", "parameter": [{"name": "other", "valueCode": "x"}]},
            "",
            "Parameters.parameter[0].name",
        ),
        (
            {"resourceType": "Parameters", "parameter": [{"name": "mode", "valueString": "x"}]},
            "",
            "Parameters.parameter[0]",
        ),
        ({"resourceType": "Parameters", "parameter": [None]}, "", "Parameters.parameter[0]"),
        ({"resourceType": "Parameters", "parameter": {}}, "", "Parameters.parameter"),
    ],
)
async def test_a_question_that_cannot_be_read_is_a_400(
    fhir: httpx.AsyncClient, body: Any, query: str, expression: str | None
) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    answer = await fhir.post(TYPE_LEVEL + query, content=content, headers={"Content-Type": "application/fhir+json"})
    assert answer.status_code == 400, answer.text
    assert answer.json()["issue"][0].get("expression", [None])[0] == expression


async def test_a_stored_patient_is_judged_as_it_is_read(fhir: httpx.AsyncClient) -> None:
    address = await stored(fhir, patient())
    for answer in (await fhir.get(f"{address}/$validate"), await fhir.post(f"{address}/$validate")):
        assert told(answer) == WELL
    assert told(await fhir.get(f"{address}/$validate", params={"profile": INS})) == LACKING
    assert (
        told(await fhir.post(f"{address}/$validate", json=parameters(mode="profile", profile=PATIENT_PROFILE))) == WELL
    )


async def test_an_identity_of_insi_is_one_of_the_profile(fhir: httpx.AsyncClient) -> None:
    """What is conveyed of a qualified identity follows the profile it claims."""
    asked = traits("ADRUN", ["ZOE"], "female", "1975-12-31")
    found = (await fhir.post("/Patient/$ins-fetch", json=asked)).json()["parameter"]
    shown = next(part["resource"] for part in found if part["name"] == "patient")
    assert INS in shown["meta"]["profile"][0]
    assert all(severity != "error" for severity, _ in told(await fhir.post(TYPE_LEVEL, json=shown)))


async def test_an_update_is_tried_on_what_is_stored(fhir: httpx.AsyncClient) -> None:
    address = await stored(fhir, patient())
    other = {**patient(), "id": address.rpartition("/")[2]}
    assert told(await fhir.post(f"{address}/$validate?mode=update", json=other)) == WELL
    assert told(await fhir.post(f"{address}/$validate?mode=update", json=patient())) == [("error", "Patient.id")]
    assert (await fhir.get(address)).json()["meta"]["versionId"] == "1"


async def test_whether_it_could_be_deleted(fhir: httpx.AsyncClient, start_server: StartServer) -> None:
    address = await stored(fhir, patient())
    assert told(await fhir.get(f"{address}/$validate?mode=delete")) == WELL
    reader = await start_server(rights=frozenset({Right.READ}))
    assert told(await reader.get(f"{address}/$validate?mode=delete")) == [("error", None)]
    assert (await fhir.get(address)).status_code == 200
    await fhir.delete(address)
    assert (await fhir.get(f"{address}/$validate")).status_code == 410


async def test_it_takes_the_right_to_read(start_server: StartServer) -> None:
    writer = await start_server(rights=frozenset({Right.WRITE}))
    assert (await writer.post(TYPE_LEVEL, json=patient())).status_code == 403
    assert (await writer.post(TYPE_LEVEL, content="{")).status_code == 403


@pytest.mark.parametrize(
    "path", ["/Patient/unknown/$validate", "/MedicationRequest/$validate", "/patient/$validate", "/Unknown/1/$validate"]
)
async def test_what_is_not_there_is_a_404(fhir: httpx.AsyncClient, path: str) -> None:
    assert (await fhir.get(path)).status_code == 404


async def test_the_capability_statement_tells_of_it(fhir: httpx.AsyncClient) -> None:
    operations = (await fhir.get("/metadata")).json()["rest"][0]["resource"][0]["operation"]
    expected = {"name": "validate", "definition": "http://hl7.org/fhir/OperationDefinition/Resource-validate"}
    assert expected in operations


def package(path: Path, *artifacts: Json, manifest: Json | None = None) -> Path:
    """A FHIR package of these artifacts."""
    files = {f"StructureDefinition-{index}.json": found for index, found in enumerate(artifacts)}
    with tarfile.open(path, "w:gz") as tar:
        for name, content in {"package.json": manifest or {"name": "x"}, **files}.items():
            data = json.dumps(content).encode()
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


async def test_an_operators_package_is_judged_by(start_server: StartServer, tmp_path: Path) -> None:
    server = await start_server(ig_packages=str(package(tmp_path / "ours.tgz", FEMALE_ONLY)))
    claiming = patient(meta={"profile": [URL + "p"]})
    assert told(await server.post(TYPE_LEVEL, json=claiming)) == WELL
    assert told(await server.post(TYPE_LEVEL, json={**claiming, "gender": "male"})) == [("error", "Patient.gender")]


NO_PATH = {**FEMALE_ONLY, "differential": {"element": [{"id": "Patient"}]}}
NO_NUMBER = definition("Patient", element("Patient.name", max="many"))


@pytest.mark.parametrize("bad", ["missing", "text", "cut", "no manifest", "no path", "no number"])
def test_a_bad_package_stops_the_start_and_is_named(settings: Settings, tmp_path: Path, bad: str) -> None:
    file = tmp_path / f"{bad.replace(' ', '-')}.tgz"
    if bad == "text":
        file.write_text("no archive")
    elif bad == "cut":
        file.write_bytes(package(file, FEMALE_ONLY).read_bytes()[:-40])
    elif bad == "no manifest":
        with tarfile.open(file, "w:gz"):
            pass
    elif bad != "missing":
        package(file, NO_PATH if bad == "no path" else NO_NUMBER)
    with pytest.raises(ValueError, match=str(file)):
        application(settings.model_copy(update={"ig_packages": (file,)}))
