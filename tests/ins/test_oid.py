"""The authorities: four make an INS, their neighbours never do."""

import pytest

from fhir_ins.ins.oid import InsOid, NotAnIns, ins_oid


@pytest.mark.parametrize("oid", list(InsOid))
def test_the_four_ins_authorities_are_recognised_as_oid_and_as_uri(oid: InsOid) -> None:
    assert ins_oid(oid) is oid
    assert ins_oid(f"urn:oid:{oid}") is oid


@pytest.mark.parametrize("text", [*NotAnIns, *(f"urn:oid:{oid}" for oid in NotAnIns), "", "1.2.250.1.213.1.4.80"])
def test_a_social_security_number_or_an_ins_c_is_not_an_ins(text: str) -> None:
    assert ins_oid(text) is None
