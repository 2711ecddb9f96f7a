"""HL7 v2: CX for PAM and the DMP, the PID segment, XDS sourcePatientInfo. Samples of IHE France and of ANS."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ins.pat_trois import pat_trois

from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.national_identity import LocalIdentifier, UsedName
from fhir_ins.ins.oid import InsOid
from fhir_ins.ins.wire.cx import dmp_cx, local_cx, pam_cx
from fhir_ins.ins.wire.hl7v2 import escaped
from fhir_ins.ins.wire.mssante import citizen_address
from fhir_ins.ins.wire.pid import pid_segment
from fhir_ins.ins.wire.xds import source_patient_info


@pytest.mark.parametrize(
    ("number", "key", "oid", "pam", "dmp"),
    [
        ("2760375106693", "80", InsOid.NIR, "276037510669380^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.8&ISO^INS",
         "276037510669380^^^&1.2.250.1.213.1.4.8&ISO^NH"),
        ("2760375106693", "80", InsOid.NIA, "276037510669380^^^ASIP-SANTE-INS-NIA&1.2.250.1.213.1.4.9&ISO^INS",
         "276037510669380^^^&1.2.250.1.213.1.4.9&ISO^NH"),
        ("2790351215189", "89", InsOid.NIR_TEST, "279035121518989^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.10&ISO^INS",
         "279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH"),
        ("180032B020401", "23", InsOid.NIR_DEMO, "180032B02040123^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.11&ISO^INS",
         "180032B02040123^^^&1.2.250.1.213.1.4.11&ISO^NH"),
    ],
)  # fmt: skip
def test_the_cx_of_each_authority(number: str, key: str, oid: InsOid, pam: str, dmp: str) -> None:
    ins = pat_trois(matricule=Matricule(number, key), oid=oid)
    assert (pam_cx(ins), dmp_cx(ins)) == (pam, dmp)


@pytest.mark.parametrize(
    ("identifier", "written"),
    [
        (LocalIdentifier("000003", "1.2.3.4.567", is_oid=True), "000003^^^&1.2.3.4.567&ISO^PI"),
        (
            LocalIdentifier("000003", "https://chu.example/ipp", is_oid=False),
            "000003^^^&https://chu.example/ipp&URI^PI",
        ),
        (LocalIdentifier("A^3&", "https://x?a&b", is_oid=False), r"A\S\3\T\^^^&https://x?a\T\b&URI^PI"),
    ],
)
def test_an_internal_identifier(identifier: LocalIdentifier, written: str) -> None:
    assert local_cx(identifier) == written


def fields(segment: str) -> dict[int, str]:
    """The fields that are not empty, by number."""
    return {number: field for number, field in enumerate(segment.split("|")) if number and field}


def test_the_pid_segment_is_that_of_the_ans_sample_less_what_is_not_ours() -> None:
    ins = pat_trois(given=("DOMINIQUE",), birth_place="63220")
    local = (LocalIdentifier("000003", "1.2.3", is_oid=True),)
    assert pid_segment(ins, local=local) == (
        "PID|1||000003^^^&1.2.3&ISO^PI~279035121518989^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.10&ISO^INS||"
        "PAT-TROIS^DOMINIQUE^DOMINIQUE^^^^L||19790328|F|||^^^^^^BDL^^63220" + "|" * 21 + "VALI"
    )


@pytest.mark.parametrize(
    ("changes", "used", "number", "field"),
    [
        ({}, None, 5, "PAT-TROIS^DOMINIQUE^DOMINIQUE MARIE-LOUISE^^^^L"),
        ({}, UsedName("DUBOIS", "Domi"), 5,
         "PAT-TROIS^DOMINIQUE^DOMINIQUE MARIE-LOUISE^^^^L~DUBOIS^Domi^^^^^D"),
        ({}, UsedName("", "Domi"), 5, "PAT-TROIS^DOMINIQUE^DOMINIQUE MARIE-LOUISE^^^^L~^Domi^^^^^D"),
        ({"family": "D'ARTAGNAN DE L'HERAULT"}, None, 5,
         "D'ARTAGNAN DE L'HERAULT^DOMINIQUE^DOMINIQUE MARIE-LOUISE^^^^L"),
        ({"birth_date": "1936-00-00"}, None, 7, "1936"),
        ({"birth_date": "1936-06-00"}, None, 7, "193606"),
        ({"birth_place": "2B020"}, None, 11, "^^^^^^BDL^^2B020"),
        ({"birth_place": "99255"}, None, 11, "^^^^^^BDL^^99255"),
        ({}, None, 32, "VALI"),
    ],
)  # fmt: skip
def test_the_fields_of_the_segment(changes: dict[str, Any], used: UsedName | None, number: int, field: str) -> None:
    assert fields(pid_segment(pat_trois(**changes), used=used))[number] == field


@given(st.text(min_size=1), st.text(min_size=1))
def test_whatever_the_names_the_segment_keeps_its_fields_and_repetitions(family: str, used: str) -> None:
    segment = pid_segment(pat_trois(family=family), used=UsedName(used, ""))
    assert set(fields(segment)) == {1, 3, 5, 7, 8, 11, 32}
    first, second = fields(segment)[5].split("~")
    assert (first.split("^")[6], second.split("^")[6]) == ("L", "D")
    assert unescaped(first.split("^")[0]) == family
    assert unescaped(second.split("^")[0]) == used
    assert not any(ord(character) < 32 for character in segment)


@pytest.mark.parametrize(
    ("text", "written"),
    [("a|b", r"a\F\b"), ("a^b", r"a\S\b"), ("a&b", r"a\T\b"), ("a~b", r"a\R\b"), ("a\\b", r"a\E\b"),
     ("\\F\\", r"\E\F\E" + "\\"), ("a\rPV1", r"a\X0D\PV1"), ("É'- 李", "É'- 李")],
)  # fmt: skip
def test_escaping(text: str, written: str) -> None:
    assert escaped(text) == written


def unescaped(text: str) -> str:
    """An independent reading of the escape sequences: every odd part between backslashes is one."""
    signs = {"E": "\\", "F": "|", "S": "^", "T": "&", "R": "~"}
    parts = text.split("\\")
    return "".join(
        part if not number % 2 else signs.get(part) or chr(int(part[1:], 16)) for number, part in enumerate(parts)
    )


def test_source_patient_info_is_one_value_a_field() -> None:
    assert source_patient_info(pat_trois()) == (
        "PID-3|279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH",
        "PID-5|PAT-TROIS^DOMINIQUE^DOMINIQUE MARIE-LOUISE^^^^L",
        "PID-7|19790328",
        "PID-8|F",
        "PID-11|^^^^^^BDL^^51215",
    )


def test_the_citizen_address_of_the_ans_sample() -> None:
    assert citizen_address(pat_trois().matricule) == "279035121518989@patient.mssante.fr"
