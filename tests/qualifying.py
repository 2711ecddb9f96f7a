"""A Patient whose identity is qualified, by the steps an EHR takes."""

import httpx
from people import ADRUN_TRAITS, document_checked, out


async def qualified(fhir: httpx.AsyncClient) -> str:
    """The address of ADRUN ZOE's Patient, its INS obtained and a document checked."""
    fetched = (await fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS)).json()
    path = "/" + out(fetched, "stored")[0]["valueReference"]["reference"]
    read = await fhir.get(path)
    checked = await fhir.put(path, json=document_checked(read.json()), headers={"If-Match": read.headers["etag"]})
    assert checked.status_code == 200, checked.text
    return path
