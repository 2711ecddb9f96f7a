"""$ins-scan: what is on a label becomes what $ins-verify takes; whatever is sent, nothing is stored."""

from base64 import b64encode
from io import BytesIO
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from people import ADRUN, NIR, PATIENT_PROFILE, code, document_checked, out, stated_status
from PIL import Image
from servers import SANDBOX_RIGHTS, StartServer

from fhir_ins.api.operation_input import SCAN, operation_definition
from fhir_ins.fhir.structure import validate
from fhir_ins.ins.datamatrix import GS
from fhir_ins.ins.datamatrix_picture import png
from fhir_ins.security.caller import Right

URL = "/Patient/$ins-scan"
OID = "1.2.250.1.213.1.4.8"
HEADER = "IS010000000000000000000000"


def label(
    number: str = ADRUN, oid: str = "1.2.250.1.213.1.4.8", date: str = "31-12-1975", place: str = "S763220"
) -> str:
    separated = oid + (GS if len(oid) < 20 else "")
    return f"{HEADER}S1{number}S2{separated}S3ZOE{GS}S4ADRUN{GS}S5FS6{date}{place}"


def scanning(*parameters: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(parameters)}


def payload(data: bytes | str) -> dict[str, Any]:
    data = data.encode() if isinstance(data, str) else data
    return {"name": "payloadBase64", "valueBase64Binary": b64encode(data).decode()}


def typed(text: str) -> dict[str, Any]:
    return {"name": "payload", "valueString": text}


def picture(data: bytes, kind: str = "image/png") -> dict[str, Any]:
    return {"name": "picture", "valueAttachment": {"contentType": kind, "data": b64encode(data).decode()}}


def photograph(text: str) -> bytes:
    file = BytesIO()
    Image.open(BytesIO(png(text))).rotate(5, expand=True, fillcolor=255).save(file, "JPEG", quality=60)
    return file.getvalue()


async def scanned(fhir: httpx.AsyncClient, *parameters: dict[str, Any]) -> dict[str, Any]:
    answer = await fhir.post(URL, json=scanning(*parameters))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert validate(answer.json()) == []
    return answer.json()


def said(parameters: dict[str, Any]) -> dict[str, Any]:
    """The values by the name of their parameter; each stands once here."""
    return {
        parameter["name"]: next(value for name, value in parameter.items() if name.startswith("value"))
        for parameter in parameters["parameter"]
        if "resource" not in parameter
    }


@pytest.mark.parametrize(
    "parameter",
    [
        payload(label()),
        payload("]d1" + label() + "\r\n"),
        typed(label().replace(GS, "<GS>")),
        typed(label().replace(GS, "␝") + "\r\n"),
        typed("]d1" + label().replace(GS, "{GS}")),
        typed(label().replace(GS, "^]")),
        picture(png(label())),
        picture(photograph(label()), "image/jpeg"),
    ],
)
async def test_however_it_was_scanned(fhir: httpx.AsyncClient, parameter: dict[str, Any]) -> None:
    answer = await scanned(fhir, parameter)
    assert said(answer) == {
        "matricule": ADRUN,
        "keyIsRight": True,
        "oid": "1.2.250.1.213.1.4.8",
        "oidIsIns": True,
        "family": "ADRUN",
        "given": "ZOE",
        "gender": "female",
        "birthDate": "1975-12-31",
        "birthPlace": "63220",
    }
    patient = out(answer, "patient")[0]["resource"]
    assert patient["identifier"][0]["system"] == NIR
    assert patient["identifier"][0]["value"] == ADRUN
    assert patient["meta"]["profile"] == [PATIENT_PROFILE]
    assert stated_status(patient) == "PROV"
    assert (await fhir.get("/Patient")).json()["total"] == 0


async def test_a_scan_goes_on_to_verification_as_it_is(fhir: httpx.AsyncClient) -> None:
    patient = out(await scanned(fhir, picture(png(label()))), "patient")[0]
    answer = (await fhir.post("/Patient/$ins-verify", json=scanning(patient))).json()
    assert code(answer, "outcome") == "concordant"
    assert len(out(answer, "trait")) == 7


async def test_a_label_with_another_s_matricule_is_found_out_by_verification(fhir: httpx.AsyncClient) -> None:
    patient = out(await scanned(fhir, payload(label("180032B02040123"))), "patient")[0]
    answer = (await fhir.post("/Patient/$ins-verify", json=scanning(patient))).json()
    assert code(answer, "outcome") == "discordant"


async def test_what_ins_identity_prints_is_what_ins_scan_reads(fhir: httpx.AsyncClient) -> None:
    patient = out(await scanned(fhir, payload(label())), "patient")[0]["resource"]
    stored = (await fhir.post("/Patient", json=patient)).json()
    assert ADRUN not in str(stored)  # scanned is not verified, and not qualified
    await fhir.post(f"/Patient/{stored['id']}/$ins-verify")
    read = await fhir.get(f"/Patient/{stored['id']}")
    headers = {"If-Match": read.headers["etag"]}
    await fhir.put(f"/Patient/{stored['id']}", json=document_checked(read.json()), headers=headers)
    printed = await fhir.get(f"/Patient/{stored['id']}/$ins-identity", headers={"Accept": "image/png"})
    assert printed.status_code == 200, printed.text
    assert said(await scanned(fhir, picture(printed.content)))["matricule"] == ADRUN


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (label(date="00-00-1936"), {"birthDateIns": "1936-00-00"}),
        (label(date="00-06-1936"), {"birthDateIns": "1936-06-00"}),
        (label(place=""), {"birthPlace": None}),
        (label(place="S72B020"), {"birthPlace": "2B020"}),
        (label(oid="1.2.250.1.213.1.4.10"), {"oid": "1.2.250.1.213.1.4.10"}),
    ],
)
async def test_what_a_label_may_say(fhir: httpx.AsyncClient, text: str, expected: dict[str, Any]) -> None:
    answer = await scanned(fhir, payload(text))
    found = said(answer)
    assert {name: found.get(name) for name in expected} == expected
    assert ("birthDate" in found) is not ("birthDateIns" in found)
    assert out(answer, "patient")


async def test_a_wrong_key_is_told_and_makes_no_patient_unless_tolerated(
    fhir: httpx.AsyncClient, start_server: StartServer
) -> None:
    answer = await scanned(fhir, payload(label("275126322074975")))
    assert said(answer)["keyIsRight"] is False
    assert not out(answer, "patient")
    tolerant = await start_server(wrong_key_is_error=False)
    assert out(await scanned(tolerant, payload(label("275126322074975"))), "patient")


@pytest.mark.parametrize("oid", ["2597845632548156952", "1.2.250.1.213.1.4.13", "1.2.250.1.213.1.4.2"])
async def test_an_authority_that_is_no_ins_is_told_and_makes_no_patient(fhir: httpx.AsyncClient, oid: str) -> None:
    answer = await scanned(fhir, payload(label(oid=oid)))
    assert said(answer)["oidIsIns"] is False
    assert not out(answer, "patient")


@pytest.mark.parametrize(
    ("parameter", "place"),
    [
        (payload("DC04FR0000011E581E58B201FR"), "valueBase64Binary"),
        (payload(label()[:60]), "valueBase64Binary"),
        (payload(label().replace(GS, "")), "valueBase64Binary"),
        (payload(b"\xff\xfe\x00"), "valueBase64Binary"),
        (payload(label(date="30-02-1975")), "valueBase64Binary"),
        (typed(label().replace(GS, "")), "valueString"),
        (typed("bonjour"), "valueString"),
        (picture(b"GIF89a"), "valueAttachment"),
        (picture(png("DC04FR0000")), "valueAttachment"),
    ],
)
async def test_what_cannot_be_read_is_422_with_its_place_and_without_its_data(
    fhir: httpx.AsyncClient, parameter: dict[str, Any], place: str
) -> None:
    answer = await fhir.post(URL, json=scanning(parameter))
    assert answer.status_code == 422
    (issue,) = answer.json()["issue"]
    assert issue["expression"] == [f"Parameters.parameter[0].{place}"]
    assert not any(told in answer.text for told in (ADRUN, "ADRUN", "ZOE", "1975"))


@pytest.mark.parametrize(
    "parameters",
    [
        [],
        [payload(label()), typed("x")],
        [payload(label()), payload(label())],
        [{"name": "picture", "valueAttachment": {"url": "http://127.0.0.1/label.png"}}],
        [{"name": "payloadBase64", "valueString": "IS01"}],
        [{"name": "payload", "valueString": label()}],  # GS itself is no character of a FHIR string
        [{"name": "payloadBase64", "valueBase64Binary": "*"}],
        [{"name": "datamatrix", "valueString": "x"}],
    ],
)
async def test_what_is_no_scan_is_400(fhir: httpx.AsyncClient, parameters: list[dict[str, Any]]) -> None:
    assert (await fhir.post(URL, json=scanning(*parameters))).status_code == 400


async def test_no_body_is_400(fhir: httpx.AsyncClient) -> None:
    assert (await fhir.post(URL)).status_code == 400


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.binary(max_size=80).map(lambda rest: label().encode()[:70] + rest))
async def test_whatever_is_scanned_never_makes_a_500(fhir: httpx.AsyncClient, data: bytes) -> None:
    for parameter in (payload(data), picture(data)):
        assert (await fhir.post(URL, json=scanning(parameter))).status_code in (200, 400, 422)


async def test_insi_is_not_needed_and_the_right_to_verify_is(start_server: StartServer) -> None:
    alone = await start_server(insi_endpoint=None, rights={Right.VERIFY})
    assert said(await scanned(alone, payload(label())))["matricule"] == ADRUN
    other = await start_server(rights=SANDBOX_RIGHTS - {Right.VERIFY})
    assert (await other.post(URL, json=scanning(payload(label())))).status_code == 403


async def test_what_comes_out_is_what_the_definition_says(fhir: httpx.AsyncClient) -> None:
    found = (await scanned(fhir, payload(label())))["parameter"]
    for stated in operation_definition(SCAN)["parameter"]:
        if stated["use"] == "out":
            values = [parameter for parameter in found if parameter["name"] == stated["name"]]
            most = float("inf") if stated["max"] == "*" else int(stated["max"])
            kind = (
                "resource" if stated["type"] == "Patient" else f"value{stated['type'][0].upper()}{stated['type'][1:]}"
            )
            assert stated["min"] <= len(values) <= most
            assert all(kind in value for value in values)


async def test_blanks_that_are_not_ascii_are_no_base64(fhir: httpx.AsyncClient) -> None:
    sent = scanning({"name": "payloadBase64", "valueBase64Binary": "A A\u00a0AA"})
    assert (await fhir.post(URL, json=sent)).status_code == 400
