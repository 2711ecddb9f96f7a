"""$ins-identity: a qualified identity in every form, and nothing of any other identity in any form."""

from base64 import b64decode
from typing import Any

import httpx
import pytest
from people import (
    ADRUN,
    ADRUN_TRAITS,
    claiming,
    code,
    document_checked,
    ins_identifier,
    out,
    patient,
    reliability,
    traits,
)
from servers import SANDBOX_RIGHTS, StartServer

from fhir_ins.api.operation_input import IDENTITY, operation_definition
from fhir_ins.fhir.structure import validate
from fhir_ins.ins.datamatrix import Content, read
from fhir_ins.ins.datamatrix_photograph import payload_in
from fhir_ins.security.caller import Right

PI = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PI"}]}
PAYLOAD = (
    "IS010000000000000000000000S1275126322074974S21.2.250.1.213.1.4.8\x1dS3ZOE\x1dS4ADRUN\x1dS5FS631-12-1975S763220"
)
PICTURES = ["image/png", "image/svg+xml"]


async def qualified(fhir: httpx.AsyncClient, **elements: Any) -> str:
    created = (await fhir.post("/Patient", json=document_checked(patient(**elements)))).json()
    assert code((await fhir.post(f"/Patient/{created['id']}/$ins-fetch")).json(), "result") == "found"
    return f"/Patient/{created['id']}/$ins-identity"


async def obtained(fhir: httpx.AsyncClient) -> str:
    answer = await fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS)
    return "/" + str(out(answer.json(), "stored")[0]["valueReference"]["reference"])


def said(parameters: dict[str, Any]) -> dict[str, list[Any]]:
    """The values by the name of their parameter."""
    found: dict[str, list[Any]] = {}
    for parameter in parameters["parameter"]:
        value = next(value for name, value in parameter.items() if name.startswith("value"))
        found.setdefault(parameter["name"], []).append(value)
    return found


async def test_every_form_of_a_qualified_identity(fhir: httpx.AsyncClient) -> None:
    name = [
        {"use": "official", "family": "adrun", "given": ["zoé"]},
        {"use": "usual", "family": "Du|bois", "given": ["Zo"]},
    ]
    identifier = [{"type": PI, "use": "usual", "system": "urn:oid:1.2.3", "value": "000003"}]
    path = await qualified(fhir, name=name, identifier=identifier)
    answer = await fhir.get(path)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert "Authorization" in answer.headers["vary"]
    assert validate(answer.json()) == []
    found = said(answer.json())
    assert b64decode(found.pop("datamatrix")[0]) == PAYLOAD.encode()
    picture = found.pop("picture")[0]
    assert payload_in(b64decode(picture["data"])) == PAYLOAD.encode()
    (target,) = found.pop("recordTarget")
    assert f'<id extension="{ADRUN}" root="1.2.250.1.213.1.4.8" /><id extension="000003" root="1.2.3" />' in target
    assert '<family qualifier="CL">Du|bois</family>' in target
    assert found == {
        "matricule": [ADRUN],
        "number": [ADRUN[:13]],
        "key": ["74"],
        "oid": ["1.2.250.1.213.1.4.8"],
        "family": ["ADRUN"],
        "given": ["ZOE"],
        "gender": ["female"],
        "birthDate": ["1975-12-31"],
        "birthPlace": ["63220"],
        "cxPam": [f"{ADRUN}^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.8&ISO^INS"],
        "cxDmp": [f"{ADRUN}^^^&1.2.250.1.213.1.4.8&ISO^NH"],
        "pid": [
            f"PID|1||000003^^^&1.2.3&ISO^PI~{ADRUN}^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.8&ISO^INS||"
            rf"ADRUN^ZOE^ZOE^^^^L~Du\F\bois^Zo^^^^^D||19751231|F|||^^^^^^BDL^^63220{'|' * 21}VALI"
        ],
        "sourcePatientInfo": [
            f"PID-3|{ADRUN}^^^&1.2.250.1.213.1.4.8&ISO^NH",
            "PID-5|ADRUN^ZOE^ZOE^^^^L",
            "PID-7|19751231",
            "PID-8|F",
            "PID-11|^^^^^^BDL^^63220",
        ],
        "mssante": [f"{ADRUN}@patient.mssante.fr"],
    }


async def test_what_comes_out_is_what_the_definition_says(fhir: httpx.AsyncClient) -> None:
    found = (await fhir.get(await qualified(fhir))).json()["parameter"]
    defined = {stated["name"]: stated for stated in operation_definition(IDENTITY)["parameter"]}
    for name, stated in defined.items():
        values = [parameter for parameter in found if parameter["name"] == name]
        most = float("inf") if stated["max"] == "*" else int(stated["max"])
        assert stated["min"] <= len(values) <= most
        assert all(f"value{stated['type'][0].upper()}{stated['type'][1:]}" in value for value in values)
    assert {parameter["name"] for parameter in found} <= set(defined)


async def test_all_given_names_of_the_register(fhir: httpx.AsyncClient) -> None:
    asked = traits("ECETINSI", ["PIERRE-ALAIN"], "male", "2009-07-14")
    stored = out((await fhir.post("/Patient/$ins-fetch", json=asked)).json(), "stored")[0]["valueReference"][
        "reference"
    ]
    read_ = await fhir.get(f"/{stored}")
    await fhir.put(f"/{stored}", json=document_checked(read_.json()), headers={"If-Match": read_.headers["etag"]})
    found = said((await fhir.get(f"/{stored}/$ins-identity")).json())
    assert found["given"] == ["PIERRE-ALAIN", "MURIEL", "FLORIANT"]
    assert "ECETINSI^PIERRE-ALAIN^PIERRE-ALAIN MURIEL FLORIANT^^^^L" in found["pid"][0]
    content = read(b64decode(found["datamatrix"][0]).decode())
    assert isinstance(content, Content)
    assert content.given == ("PIERRE-ALAIN", "MURIEL", "FLORIANT")


@pytest.mark.parametrize("wanted", PICTURES)
@pytest.mark.parametrize("by", ["accept", "format"])
async def test_the_picture_itself(fhir: httpx.AsyncClient, wanted: str, by: str) -> None:
    path = await qualified(fhir)
    if by == "accept":
        answer = await fhir.get(path, headers={"Accept": wanted})
    else:
        answer = await fhir.get(path, params={"_format": wanted}, headers={"Accept": "application/fhir+json"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].split(";")[0] == wanted
    assert answer.headers["cache-control"] == "no-store"
    if wanted == "image/png":
        assert payload_in(answer.content) == PAYLOAD.encode()
    else:
        assert answer.content.startswith(b"<svg ")
        assert "INS à scanner" in answer.text
    assert ADRUN not in answer.text


@pytest.mark.parametrize(
    ("accept", "status", "type_"),
    [
        (None, 200, "application/fhir+json"),
        ("*/*", 200, "application/fhir+json"),
        ("application/fhir+json", 200, "application/fhir+json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", 200,
         "application/fhir+xml"),
        ("application/fhir+xml", 200, "application/fhir+xml"),
        ("image/avif,image/webp,image/svg+xml,image/*,*/*;q=0.8", 200, "image/png"),
        ("image/*", 200, "image/png"),
        ("image/png;q=0.5, image/svg+xml", 200, "image/svg+xml"),
        ("image/png;q=0.5, application/json;q=0.6", 200, "application/fhir+json"),
        ("image/png, application/json", 200, "application/fhir+json"),
        ("image/png;q=0, image/svg+xml;q=0", 406, "application/fhir+json"),
        ("image/png;q=x", 406, "application/fhir+json"),
        ("image/gif", 406, "application/fhir+json"),
        ("application/pdf", 406, "application/fhir+json"),
    ],
)  # fmt: skip
async def test_accept(fhir: httpx.AsyncClient, accept: str | None, status: int, type_: str) -> None:
    path = await qualified(fhir)
    answer = await fhir.get(path, headers={"Accept": accept} if accept else {})
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (status, type_)


async def test_no_other_address_answers_with_a_picture(fhir: httpx.AsyncClient) -> None:
    path = (await qualified(fhir)).removesuffix("/$ins-identity")
    assert (await fhir.get(path, headers={"Accept": "image/png"})).status_code == 406
    assert (await fhir.get(path, params={"_format": "image/png"})).status_code == 406


async def provisional(fhir: httpx.AsyncClient) -> str:
    return f"/Patient/{(await fhir.post('/Patient', json=patient())).json()['id']}"


async def supplied(fhir: httpx.AsyncClient) -> str:
    return f"/Patient/{(await fhir.post('/Patient', json=patient(identifier=[ins_identifier()]))).json()['id']}"


async def checked(fhir: httpx.AsyncClient) -> str:
    return f"/Patient/{(await fhir.post('/Patient', json=document_checked(patient()))).json()['id']}"


async def supplied_and_checked(fhir: httpx.AsyncClient) -> str:
    body = document_checked(patient(identifier=[ins_identifier()]))
    return f"/Patient/{(await fhir.post('/Patient', json=body)).json()['id']}"


async def doubtful(fhir: httpx.AsyncClient) -> str:
    path = (await qualified(fhir)).removesuffix("/$ins-identity")
    body = (await fhir.get(path)).json()
    await fhir.put(path, json=claiming(body, reliability("VALI", "2026-11-20", "CN"), reliability("DOUT")))
    return path


async def edited(fhir: httpx.AsyncClient) -> str:
    path = (await qualified(fhir)).removesuffix("/$ins-identity")
    body = (await fhir.get(path)).json()
    await fhir.put(path, json={**body, "birthDate": "1975-12-30"})
    return path


NOT_QUALIFIED = [provisional, supplied, obtained, checked, supplied_and_checked, doubtful, edited]


@pytest.mark.parametrize("made", NOT_QUALIFIED)
@pytest.mark.parametrize("accept", ["application/fhir+json", *PICTURES])
async def test_nothing_of_an_identity_that_is_not_qualified(
    fhir: httpx.AsyncClient, reference: httpx.AsyncClient, made: Any, accept: str
) -> None:
    path = f"{await made(fhir)}/$ins-identity"
    for client in (fhir, reference):
        answer = await client.get(path, headers={"Accept": accept})
        assert answer.status_code == 422
        assert answer.json()["resourceType"] == "OperationOutcome"
        assert answer.headers["cache-control"] == "no-store"
        assert not any(told in answer.text for told in (ADRUN, "ADRUN", "ZOE", "1975", "63220", "PID"))


async def test_a_refusal_tells_the_same_whether_a_matricule_is_kept_or_not(fhir: httpx.AsyncClient) -> None:
    without = [await provisional(fhir), await supplied(fhir), await obtained(fhir)]
    texts = {(await fhir.get(f"{path}/$ins-identity")).text for path in without}
    assert len(texts) == 1
    assert "$ins-fetch" in texts.pop()
    with_check = [await checked(fhir), await supplied_and_checked(fhir)]
    assert len({(await fhir.get(f"{path}/$ins-identity")).text for path in with_check}) == 1


async def test_the_right_to_read_is_needed(fhir: httpx.AsyncClient, start_server: StartServer) -> None:
    path = await qualified(fhir)
    blind = await start_server(rights=SANDBOX_RIGHTS - {Right.READ})
    for accept in ("application/fhir+json", *PICTURES):
        answer = await blind.get(path, headers={"Accept": accept})
        assert answer.status_code == 403
        assert ADRUN not in answer.text


async def test_another_tenant_has_no_such_patient(fhir: httpx.AsyncClient, start_server: StartServer) -> None:
    path = await qualified(fhir)
    assert (await (await start_server(tenant="another")).get(path)).status_code == 404


async def test_what_is_not_there(fhir: httpx.AsyncClient) -> None:
    path = await qualified(fhir)
    assert (await fhir.get("/Patient/nobody/$ins-identity")).status_code == 404
    assert (await fhir.post(path)).content == (await fhir.get(path)).content
    assert (await fhir.put(path, json={})).status_code == 405
    assert (await fhir.get("/Patient/$ins-identity")).status_code in (404, 405)
    await fhir.delete(path.removesuffix("/$ins-identity"))
    assert (await fhir.get(path)).status_code == 410
