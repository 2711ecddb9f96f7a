"""Whatever is sent to whichever address, the server answers, and never that it failed.

For every address of the server hypothesis makes up requests: methods, ids, queries, headers and bodies from what a
client would send, wrong turns of it, and noise. FHIR_INS_FUZZ sets how many for each address.
"""

import asyncio
import gzip
import os
import re
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import orjson
import pytest
from any_resource import resources
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from people import ADRUN, ADRUN_TRAITS, patient

from fhir_ins.api.context import BASE
from fhir_ins.api.interactions import INTERACTIONS
from fhir_ins.api.routes import ROUTES
from fhir_ins.api.served import TYPES
from fhir_ins.fhir.json import serialise
from fhir_ins.fhir.xml import serialise_xml

Json = dict[str, Any]

EXAMPLES = int(os.environ.get("FHIR_INS_FUZZ", "25"))
ADDRESSES = [route.path for route in ROUTES]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"]
# Made by the first request of each test, under this identifier: what the fuzzing meets when it names something real.
KNOWN = patient(identifier=[{"system": "urn:oid:1.2.250.1.999.1", "value": "F"}])


def one_of(words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(words.split())


NOISE = st.text(max_size=12)
TYPE = st.sampled_from([*TYPES, *TYPES[:1] * 20, "AuditEvent", "ValueSet", "Account", "Bundle", "Spaceship"])
IDS = st.sampled_from(["known"] * 6 + ["unknown", "1", "$x", "a" * 64, "a" * 65, "_history", ".."]) | NOISE
NUMBERS = st.sampled_from(["1", "2", "0", "-1", "01", "1e3", "9" * 15, "9" * 30, "x"]) | NOISE
MOMENTS = st.sampled_from(["2026-01-31T09:00:00Z", "2026", "2026-02-30", "0000-00-00", "9999-12-31T23:59:60+14:00", ""])
WORDS = st.sampled_from(
    ["true", "false", "json", "xml", "data", "text", "count", "id", "minimal", "*", "Patient", "a|b"]
)
QUERIES = st.lists(
    st.tuples(
        one_of(
            "identifier family birthdate _id _lastUpdated subject patient:Patient code _count _cursor _since _at _type "
            "_format _pretty _summary _elements mode profile _total _sort _include given:exact name:missing "
            "family:contains gender:not identifier:of-type identifier:text birthdate:missing link:identifier "
            "_revinclude organization:below _include:iterate _has:Observation:patient:code patient.family "
            "subject:Patient.birthdate address near"
        )
        | NOISE,
        WORDS
        | NUMBERS
        | MOMENTS
        | NOISE
        | st.sampled_from(["urn:oid:1.2.250.1.999.1|F", "ge2000,lt2001", "Patient/1"]),
    ),
    max_size=4,
)
MEDIA = one_of(
    "application/fhir+json application/fhir+xml application/json application/json-patch+json text/xml json */* "
    "application/x-www-form-urlencoded image/png image/svg+xml application/fhir+json;fhirVersion=4.0;q=0.5 "
    "application/fhir+json;charset=latin-1 text/html ;;, application/fhir+turtle"
)
ETAGS = st.sampled_from(['W/"1"', '"1"', "1", 'W/"2", W/"3"', "*", 'W/"x"', 'W/"' + "9" * 40 + '"'])
DATES = st.sampled_from(["Mon, 23 Nov 2026 10:00:00 GMT", "Mon, 99 Nov 2026 10:00:00 GMT", "2026-11-23", "now"])
VISIBLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=12)
HEADERS: Json = {
    "Accept": MEDIA,
    "Content-Type": MEDIA,
    "Content-Encoding": st.sampled_from(["gzip", "br", "identity"]),
    "Accept-Encoding": st.sampled_from(["gzip", "*;q=0"]),
    "Accept-Language": st.sampled_from(["fr", "fr;q=x", "*"]),
    "If-Match": ETAGS,
    "If-None-Match": ETAGS,
    "If-Modified-Since": DATES,
    "If-None-Exist": st.sampled_from(
        ["identifier=urn:oid:1.2.250.1.999.1|F", "", "?", "nickname=x", "%ff", "family=a"]
    ),
    "Prefer": st.sampled_from(["return=minimal", "return=OperationOutcome", "handling=lenient", "return", ";=,"]),
}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
PLACES = st.sampled_from(
    ["/gender", "/name/0", "/name/-", "/identifier/9", "", "gender", "/~2", "/id", "/resourceType"]
)
PATHS = st.sampled_from(
    ["Patient", "Patient.gender", "Patient.name[0]", "Patient.name.where(use='official')", "Patient."]
)
JSON_PATCH = st.lists(
    st.fixed_dictionaries(
        {"op": one_of("add remove replace move copy test grow"), "path": PLACES},
        optional={"from": PLACES, "value": JSON_VALUES},
    ),
    max_size=3,
)
PARTS = st.fixed_dictionaries(
    {"name": one_of("operation patient family given gender birthDate traits resource mode payload meta")},
    optional={
        "valueString": NOISE | st.just(ADRUN),
        "valueCode": WORDS,
        "valueDate": MOMENTS,
        "resource": st.just(KNOWN),
        "valueMeta": st.just({"tag": [{"code": "a"}]}),
        "part": st.lists(
            st.fixed_dictionaries({"name": st.sampled_from(["type", "path", "value"]), "valueString": PATHS})
        ),
    },
)
PARAMETERS = st.lists(PARTS, max_size=4).map(lambda parts: {"resourceType": "Parameters", "parameter": parts})
RESOURCES = resources(depth=2) | st.just(KNOWN) | st.just(ADRUN_TRAITS) | PARAMETERS
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "fullUrl": st.sampled_from(
            ["urn:uuid:0c3201bd-1cbf-4d64-b04d-cd9187a4c6e0", "urn:uuid:x", "http://a/Patient/1"]
        ),
        "resource": RESOURCES,
        "request": st.fixed_dictionaries(
            {
                "method": st.sampled_from(METHODS),
                "url": one_of(
                    "Patient Patient/known Patient?family=a Patient/known/_history $meta ../x _history?_count=1 "
                    "Patient/$ins-fetch Patient/known?_format=xml Patient/known/$ins-identity metadata"
                )
                | NOISE,
            },
            optional={"ifMatch": ETAGS, "ifNoneExist": HEADERS["If-None-Exist"], "ifModifiedSince": MOMENTS},
        ),
    },
)
BUNDLES = st.builds(
    lambda kind, entries: {"resourceType": "Bundle", "type": kind, "entry": entries},
    st.sampled_from(["batch", "transaction", "document"]),
    st.lists(ENTRIES, max_size=4),
)
JSON_BODIES = (JSON_VALUES | JSON_PATCH | RESOURCES | BUNDLES).map(serialise)
XML_BODIES = (RESOURCES | BUNDLES).map(lambda resource: in_xml(resource))
FORMS = QUERIES.map(lambda pairs: urlencode(pairs).encode())
WHOLE = JSON_BODIES | XML_BODIES | FORMS | st.binary(max_size=40)
BODIES = (
    st.none()
    | WHOLE
    | WHOLE.map(gzip.compress)
    | st.tuples(WHOLE, st.integers(1, 200)).map(lambda cut: cut[0][: cut[1]])
)


def in_xml(resource: Json) -> bytes:
    """The resource in XML; in JSON, where it has no such form."""
    try:
        return serialise_xml(resource)
    except (AttributeError, KeyError, TypeError, ValueError):
        return serialise(resource)


@st.composite
def requests(draw: st.DrawFn, address: str) -> Json:
    """A request to this address: method, url, headers and content."""
    parts = {"type": TYPE, "compartment": TYPE, "id": IDS, "vid": NUMBERS}

    def filled(found: re.Match[str]) -> str:
        return quote(draw(parts[found[1]]), safe="$") or "x"

    query = draw(QUERIES.map(urlencode) | NOISE.map(quote)) if draw(st.booleans()) else ""
    headers = draw(st.fixed_dictionaries({}, optional=HEADERS))
    if draw(st.booleans()):
        headers[draw(st.sampled_from(sorted(HEADERS)))] = draw(VISIBLE)
    return {
        "method": draw(st.sampled_from(METHODS)),
        "url": re.sub(r"\{(\w+)(?::\w+)?\}", filled, address).removeprefix(BASE) + (f"?{query}" if query else ""),
        "headers": [(name, value.encode("latin-1").strip()) for name, value in headers.items()],
        "content": draw(BODIES),
    }


@pytest.mark.parametrize("address", ADDRESSES)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
async def test_every_request_is_answered(fhir: httpx.AsyncClient, address: str, data: st.DataObject) -> None:
    found = await fhir.post(
        "/Patient",
        json=KNOWN,
        headers={"If-None-Exist": "identifier=urn:oid:1.2.250.1.999.1|F", "Prefer": "return=minimal"},
    )
    known = found.headers["location"].split("/")[-3] if found.is_success else "known"
    asked = data.draw(requests(address))
    url = asked["url"].replace("known", known)
    if not address.startswith(BASE):
        url = f"{str(fhir.base_url).removesuffix(BASE + '/')}{asked['url']}"
    content = asked["content"] and asked["content"].replace(b"/known", f"/{known}".encode())
    async with asyncio.timeout(30):
        answer = await fhir.request(asked["method"], url, headers=asked["headers"], content=content)
    assert answer.status_code < 500, answer.text
    assert answer.status_code in stated(asked["method"], answer.request.url.path), answer.text
    if answer.status_code >= 400 and asked["method"] != "HEAD" and address.startswith(BASE):
        assert is_outcome(answer), answer.text


def stated(method: str, path: str) -> set[int]:
    """What a request may end in, by the description of the API; an address that is none, or not so, is told as that."""
    route = next((route for route in ROUTES if route.path_regex.match(path.removesuffix("/"))), None)
    offer = route.offers.get("GET" if method == "HEAD" else method) if route else None
    about = INTERACTIONS[offer.endpoint.__name__] if offer else None
    return {404, 405, *([204] if method == "OPTIONS" else []), *(about.ends_in(method) if about else ())}


def is_outcome(answer: httpx.Response) -> bool:
    if answer.headers["content-type"].startswith("application/fhir+xml"):
        return str(etree.fromstring(answer.content).tag) == "{http://hl7.org/fhir}OperationOutcome"
    return bool(orjson.loads(answer.content)["resourceType"] == "OperationOutcome")
