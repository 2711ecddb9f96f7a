"""Who asks too often is told when to come again."""

import httpx
import pytest
from people import ADRUN_TRAITS, patient
from servers import StartServer
from starlette.requests import Request

from fhir_ins.api.rates import Rates, address_of, count_failure, require_few_failures, require_rate
from fhir_ins.fhir.outcome import TooManyRequests
from fhir_ins.security.caller import Caller
from fhir_ins.settings import Settings

PROXY = {"trusted_proxies": "127.0.0.0/8"}


def throttled(answer: httpx.Response) -> bool:
    """Whether it is the refusal it should be, if it is one."""
    if answer.status_code != 429:
        return False
    assert answer.json()["issue"][0]["code"] == "throttled"
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    return True


async def test_one_client_may_ask_so_often_a_minute(start_server: StartServer) -> None:
    fhir = await start_server(rate_per_minute=3)
    answers = [await fhir.get("/Patient/unknown") for _ in range(5)]
    assert [throttled(answer) for answer in answers] == [False, False, False, True, True]
    for path in ("/Patient", "/metadata"):
        assert throttled(await fhir.get(path))
    assert throttled(await fhir.post("/Patient", json=patient()))
    base = str(fhir.base_url).removesuffix("/fhir/")
    assert throttled(await fhir.get(f"{base}/metrics"))
    assert (await fhir.get(f"{base}/health/live")).status_code == 200
    assert (await fhir.get(f"{base}/health/ready")).status_code == 200


async def test_clients_behind_a_trusted_proxy_are_counted_each(start_server: StartServer) -> None:
    fhir = await start_server(rate_per_minute=1, **PROXY)
    for address in ("203.0.113.1", "203.0.113.2", "2001:db8::1"):
        headers = {"X-Forwarded-For": address}
        assert not throttled(await fhir.get("/metadata", headers=headers))
        assert throttled(await fhir.get("/metadata", headers=headers))
    assert throttled(await fhir.get("/metadata", headers={"X-Forwarded-For": "2001:db8::ffff:2"}))
    untrusting = await start_server(rate_per_minute=1)
    assert not throttled(await untrusting.get("/metadata", headers={"X-Forwarded-For": "203.0.113.1"}))
    assert throttled(await untrusting.get("/metadata", headers={"X-Forwarded-For": "203.0.113.2"}))


async def test_a_bundle_is_one_request(start_server: StartServer) -> None:
    fhir = await start_server(rate_per_minute=1)
    entries = [{"request": {"method": "GET", "url": "Patient?family=x"}}] * 5
    answer = await fhir.post("", json={"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert [entry["response"]["status"] for entry in answer.json()["entry"]] == ["200"] * 5


async def test_what_asks_insi_has_a_rate_of_its_own(start_server: StartServer) -> None:
    fhir = await start_server(insi_rate_per_minute=2)
    answers = [await fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS) for _ in range(3)]
    assert [throttled(answer) for answer in answers] == [False, False, True]
    assert throttled(await fhir.post("/Patient/$ins-verify", json={}))
    assert (await fhir.get("/Patient")).status_code == 200


async def test_no_limit_is_no_limit(start_server: StartServer) -> None:
    fhir = await start_server(rate_per_minute=0)
    assert not any([throttled(await fhir.get("/metadata")) for _ in range(50)])
    none = Rates.of(Settings(rate_per_minute=0, failed_authentications_per_minute=0))
    assert none == Rates(None, None, None)


def test_a_client_that_is_known_is_counted_by_its_name_in_its_tenant() -> None:
    rates = Rates.of(Settings(rate_per_minute=1))
    ehr = Caller("one", "ehr", frozenset())
    require_rate(rates, of("192.0.2.1"), ehr)
    with pytest.raises(TooManyRequests):
        require_rate(rates, of("192.0.2.2"), ehr)
    require_rate(rates, of("192.0.2.1"), Caller("one", "other", frozenset()))
    require_rate(rates, of("192.0.2.1"), Caller("two", "ehr", frozenset()))


def test_authentications_may_fail_so_often_of_one_address() -> None:
    rates = Rates.of(Settings(failed_authentications_per_minute=2))
    guessing, other = of("2001:db8::1"), of("192.0.2.1")
    for _ in range(2):
        require_few_failures(rates, guessing)
        count_failure(rates, guessing)
    for request in (guessing, of("2001:db8::2")):
        with pytest.raises(TooManyRequests) as caught:
            require_few_failures(rates, request)
        assert caught.value.headers == {"Retry-After": "30"}
    require_few_failures(rates, other)
    assert address_of(guessing) == "2001:db8::/64"


def of(host: str) -> Request:
    return Request({"type": "http", "headers": [], "client": (host, 1)})
