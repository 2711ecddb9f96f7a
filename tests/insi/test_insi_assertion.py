"""Reading an assertion: what it says, how long it may be sent, and what is never sent."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from insi_assertions import HOLDER, NOW, holds, signed
from lxml import etree

from fhir_ins.ins.traits import Traits
from fhir_ins.insi.assertion import PS_LIFETIME, VITALE_LIFETIME, Malformed, read_assertion
from fhir_ins.insi.contract import SECURITY_NAMESPACE
from fhir_ins.insi.envelope import CallingSoftware, RequestBuilder, RequestIds
from fhir_ins.insi.port import ByTraits, ByVitale


@pytest.fixture(scope="module")
async def assertion() -> bytes:
    return await signed()


async def test_an_assertion_says_who_signed_it_when_and_for_whom(assertion):
    read = read_assertion(assertion)
    assert (read.issued, read.issuer, read.name_id) == (NOW, "CN=FICTIF", HOLDER)
    assert read.id.startswith("_")
    assert read.xml == assertion


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b""),
        (b"\xef\xbb\xbf", b"\n"),
        (b'<?xml version="1.0" encoding="UTF-8"?>\n', b"\n\n"),
        (b'\n <?xml version="1.0" encoding="us-ascii" ?>', b""),
    ],
)
async def test_what_stands_around_the_element_is_left_out(assertion, before, after):
    assert read_assertion(before + assertion + after).xml == assertion


@pytest.mark.parametrize(
    ("instant", "issued"),
    [
        ("2022-04-12T15:07:10.065Z", datetime(2022, 4, 12, 15, 7, 10, 65000, UTC)),
        ("2022-04-12T15:07:10.0651234567Z", datetime(2022, 4, 12, 15, 7, 10, 65123, UTC)),
        ("2022-04-12T17:07:10+02:00", datetime(2022, 4, 12, 15, 7, 10, tzinfo=UTC)),
        ("2022-04-12T15:07:10", datetime(2022, 4, 12, 15, 7, 10, tzinfo=UTC)),
    ],
)
async def test_issue_instants_are_in_utc_said_or_not(assertion, instant, issued):
    assert read_assertion(assertion.replace(b"2026-06-01T12:00:00.000Z", instant.encode())).issued == issued


WRONG = [
    (b'<?xml version="1.0"?>', b"<?xml version='1.0' encoding='iso-8859-1'?>", "another encoding than UTF-8"),
    (b'<?xml version="1.0"?>', b"<!DOCTYPE Assertion [<!ENTITY a 'b'>]>", "a document with a DTD"),
    (b'<?xml version="1.0"?>', b"<!-- -->", "comments or instructions around"),
    (b"<Subject>", b"<?php ?><Subject>", "a processing instruction"),
    (b"</NameID>", b"<!-- -->1</NameID>", "a comment"),
    (b"</Assertion>", b"", "malformed or breaks off"),
    (b"</Assertion>", b"</Assertion><Assertion/>", "malformed or breaks off"),
    (b"urn:oasis:names:tc:SAML:2.0:assertion", b"urn:oasis:names:tc:SAML:1.0:assertion", "not a SAML 2.0 Assertion"),
    (b'Version="2.0"', b'Version="1.1"', "not a SAML 2.0 Assertion"),
    (b"Signature ", b"Sign ", "malformed or breaks off"),
    (b'"http://www.w3.org/2000/09/xmldsig#"', b'"urn:other"', "it is not signed"),
    (b'URI="#', b'URI="#other', "does not refer to its ID"),
    (b'URI="#', b'Uri="#', "does not refer to its ID"),
    (b"2001/10/xml-exc-c14n#", b"TR/2001/REC-xml-c14n-20010315", "not over the exclusive canonical form"),
    (b"2026-06-01T12:00:00.000Z", b"yesterday", "IssueInstant is missing or not a time"),
    (b"2026-06-01T12:00:00.000Z", b"2026-02-30T12:00:00Z", "not a time of the calendar"),
    (b"IssueInstant", b"Issued", "IssueInstant is missing"),
    (HOLDER.encode(), b" ", "it has no one Subject/NameID"),
    (b"CN=FICTIF", b"", "it has no one Issuer"),
]


@pytest.mark.parametrize(("part", "instead", "why"), WRONG)
async def test_what_is_no_signed_assertion_is_told_and_refused(assertion, part, instead, why):
    whole = b'<?xml version="1.0"?>' + assertion
    assert part in whole
    with pytest.raises(Malformed, match=why):
        read_assertion(whole.replace(part, instead))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le"])
async def test_an_assertion_in_utf_16_is_refused(assertion, encoding):
    with pytest.raises(Malformed):
        read_assertion(assertion.decode().encode(encoding))


async def test_a_signature_without_value_or_beside_another_is_refused(assertion):
    value = assertion[assertion.index(b"<SignatureValue>") + 16 : assertion.index(b"</SignatureValue>")]
    with pytest.raises(Malformed, match="no value"):
        read_assertion(assertion.replace(value, b" "))
    signature = assertion[assertion.index(b"<Signature ") : assertion.index(b"</Signature>") + 12]
    with pytest.raises(Malformed, match="signed more than once"):
        read_assertion(assertion.replace(signature, signature * 2))


@given(st.binary(max_size=200))
def test_no_bytes_are_an_assertion_by_accident(content):
    with pytest.raises(Malformed):
        read_assertion(content)


@pytest.mark.parametrize(
    ("lifetime", "age", "expired"),
    [
        (PS_LIFETIME, timedelta(minutes=59, seconds=50), False),
        (PS_LIFETIME, timedelta(minutes=59, seconds=51), True),
        (VITALE_LIFETIME, timedelta(minutes=19, seconds=50), False),
        (VITALE_LIFETIME, timedelta(minutes=19, seconds=51), True),
        (VITALE_LIFETIME, timedelta(days=400), True),
        (VITALE_LIFETIME, timedelta(minutes=-5), False),
    ],
)
async def test_an_assertion_is_not_sent_in_the_last_seconds_of_its_time(lifetime, age, expired):
    assert read_assertion(await signed(age=age)).expired(lifetime, NOW) is expired


@pytest.mark.parametrize(("ahead", "future"), [(timedelta(minutes=5), False), (timedelta(minutes=5, seconds=1), True)])
async def test_clocks_may_differ_by_five_minutes(ahead, future):
    assert read_assertion(await signed(age=-ahead)).from_the_future(NOW) is future


async def test_signatures_hold_inside_the_envelope(assertion):
    other = await signed("1140263220833")
    builder = RequestBuilder(CallingSoftware("IDAM", "name", "1", "instance"))
    assert [verified(envelope) for envelope in envelopes(builder, (assertion, other))] == [[True, True]] * 2


def envelopes(builder: RequestBuilder, assertions: tuple[bytes, ...]) -> list[bytes]:
    ids = RequestIds(UUID(int=1), UUID(int=2), UUID(int=3), NOW)
    traits = Traits("ADRUN", ("ZOE",), "F", "1975-12-31", None)
    questions = (ByTraits(traits, ("ZOE",)), ByVitale(None, None, "ADRUN", None, None))
    return [builder.envelope(question, ids, emetteur=HOLDER, assertions=assertions) for question in questions]


def verified(envelope: bytes) -> list[bool]:
    (security,) = etree.fromstring(envelope).iter(f"{{{SECURITY_NAMESPACE}}}Security")
    return [holds(embedded) for embedded in security]


async def test_the_published_assertion_of_a_test_card_is_read(published):
    read = read_assertion((published / "fixtures" / "AssertionPS_cps_test_card.xml").read_bytes())
    assert (read.name_id, read.issued) == ("00B6087510", datetime(2022, 4, 12, 15, 7, 10, 65000, UTC))
    assert holds(etree.fromstring(read.xml))
