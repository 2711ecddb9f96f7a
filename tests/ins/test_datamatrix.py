"""The payload of the INS datamatrix. ANS, « Format datamatrix INS » v2.2.20230926, §3 and §5."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ins.pat_trois import pat_trois

from fhir_ins.ins.datamatrix import GS, HEADER, Content, content_of, payload, read, text_of, text_of_typed
from fhir_ins.ins.malformed import Malformed
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.oid import InsOid
from fhir_ins.ins.traits import Sex

VECTORS = Path(__file__).parents[2].parent / "shared/data/vectors/datamatrix_ins.json"

BY_BLOCK = {
    "S1": "279035121518989",
    "S2": f"1.2.250.1.213.1.4.8{GS}",
    "S3": f"DOMINIQUE MARIE-LOUISE{GS}",
    "S4": f"PAT-TROIS{GS}",
    "S5": "F",
    "S6": "28-03-1979",
    "S7": "51215",
}


def text(**changes: str | None) -> str:
    """A payload with these blocks changed, those that are None left out."""
    return HEADER + "".join(id_ + value for id_, value in {**BY_BLOCK, **changes}.items() if value is not None)


def written(**changes: Any) -> Content:
    content = content_of(pat_trois(**changes))
    assert isinstance(content, Content)
    return content


def found(scanned: str) -> Content:
    content = read(scanned)
    assert isinstance(content, Content), content
    return content


def refused(scanned: str) -> str:
    fault = read(scanned)
    assert isinstance(fault, Malformed)
    return fault.reason


def test_the_header_is_26_characters() -> None:
    assert HEADER == "IS010000000000000000000000"


def test_what_is_written() -> None:
    assert payload(written()) == (
        "IS010000000000000000000000S1279035121518989S21.2.250.1.213.1.4.10S3DOMINIQUE MARIE-LOUISE\x1d"
        "S4PAT-TROIS\x1dS5FS628-03-1979S751215"
    )


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"oid": InsOid.NIR}, f"S21.2.250.1.213.1.4.8{GS}S3"),
        ({"oid": InsOid.NIR_TEST}, "S21.2.250.1.213.1.4.10S3"),  # full: no separator
        ({"family": "A" * 99}, f"S4{'A' * 99}{GS}S5"),
        ({"family": "A" * 100}, f"S4{'A' * 100}S5"),
        ({"family": "d’Artagnan de l’Hérault"}, f"S4D'ARTAGNAN DE L'HERAULT{GS}"),
        ({"given": ("Zoé", "Cœur")}, f"S3ZOE COEUR{GS}"),
        ({"given": ("A" * 60, "B" * 39)}, f"S3{'A' * 60} {'B' * 39}S4"),
        ({"given": ("A" * 60, "B" * 40, "C")}, f"S3{'A' * 60}{GS}S4"),  # cut after a whole name, none is skipped
        ({"sex": Sex.MALE}, "S5MS6"),
        ({"birth_date": "1936-00-00"}, "S600-00-1936S7"),
        ({"birth_date": "1936-06-00"}, "S600-06-1936S7"),
        ({"birth_place": "2B020"}, "S72B020"),
    ],
)
def test_each_block(changes: dict[str, Any], part: str) -> None:
    assert part in payload(written(**changes))


@pytest.mark.parametrize(
    "changes", [{"family": "A" * 101}, {"family": "李"}, {"given": ("A" * 101,)}, {"given": ("X9",)}]
)
def test_what_the_format_has_no_room_for_is_refused_not_cut_or_stripped(changes: dict[str, Any]) -> None:
    assert isinstance(content_of(pat_trois(**changes)), Malformed)


NAMES = st.from_regex(r"[A-Z][A-Z'-]{0,29}", fullmatch=True)
CONTENTS = st.builds(
    Content,
    matricule=st.builds(
        Matricule, st.from_regex(r"[1278][0-9]{4}(?:[0-9]{2}|2[AB])[0-9]{6}", fullmatch=True),
        st.from_regex(r"[0-9]{2}", fullmatch=True),
    ),
    oid=st.sampled_from([oid.value for oid in InsOid]),
    family=st.lists(NAMES, min_size=1, max_size=4).map(" ".join).map(lambda name: name[:100].strip()),
    given=st.lists(NAMES, min_size=1, max_size=3).map(tuple),
    sex=st.sampled_from(Sex),
    birth_date=st.dates().map(str) | st.sampled_from(["1936-00-00", "1936-06-00", "0999-01-01"]),
    birth_place=st.none() | st.sampled_from(["51215", "2A020", "97411", "99255"]),
)  # fmt: skip


@given(CONTENTS)
def test_what_is_written_is_read_again(content: Content) -> None:
    assert read(payload(content)) == content


@given(CONTENTS, st.randoms())
def test_blocks_are_read_in_any_order(content: Content, order: random.Random) -> None:
    year, month, day = content.birth_date.split("-")
    blocks = [
        f"S1{content.matricule}",
        f"S2{content.oid}" + (GS if len(content.oid) < 20 else ""),
        f"S3{' '.join(content.given)}{GS}",
        f"S4{content.family}" + (GS if len(content.family) < 100 else ""),
        f"S5{content.sex}",
        f"S6{day}-{month}-{year}",
        *([f"S7{content.birth_place}"] if content.birth_place else []),
    ]
    order.shuffle(blocks)
    assert read(HEADER + "".join(blocks)) == content


ODD = st.text(st.sampled_from("S1234567\x1dAF-0 "), max_size=80)


@given(st.text() | st.text().map(lambda rest: HEADER + rest) | ODD.map(lambda rest: payload(written())[:90] + rest))
def test_whatever_is_scanned_it_is_content_or_malformed(scanned: str) -> None:
    assert isinstance(read(scanned), (Content, Malformed))


@pytest.mark.parametrize("length", range(len(payload(written()))))
def test_a_payload_cut_short_is_malformed_unless_only_its_birth_place_is_gone(length: int) -> None:
    cut = payload(written())[:length]
    assert isinstance(read(cut), Malformed) is not cut.endswith("S628-03-1979")


@pytest.mark.parametrize(
    ("scanned", "place"),
    [
        ("", "IS01"),
        ("DC04FR0000011E581E58B201FR", "IS01"),
        ("IS02" + text()[4:], "version"),
        ("IS0100000000000000000000X0" + text()[26:], "5 to 26"),
        (HEADER, "S1 (the matricule), S2 (the OID), S3 (the given names), S4 (the birth name), S5 (the sex), S6"),
        *((text(**{id_: None}), f"lacks {id_}") for id_ in ("S1", "S2", "S3", "S4", "S5", "S6")),
        (text() + "S5F", "S5 (the sex) stands twice"),
        (text() + "S8", "Character"),
        (text(S2="1.2.250.1.213.1.4.8"), "GS (ASCII 29)"),  # its separator lost
        (text(S3="DOMINIQUE MARIE-LOUISE"), "GS (ASCII 29)"),
        (text(S1="27903512151898"), "S1"),
        (text(S1="97903512151898A"), "S1"),
        (text(S2=f"1.2.250{GS}"), "S2"),
        (text(S3=GS), "S3"),
        (text(S3=f"DOMINIQUE  MARIE{GS}"), "blanks"),
        (text(S4=f" {GS}"), "blanks"),
        (text(S4=f"PAT\x00TROIS{GS}"), "control characters"),
        (text(S5="I"), "S5"),
        (text(S6="1979-03-28"), "S6"),
        (text(S6="30-02-1979"), "S6"),
        (text(S7="5121"), "S7"),
        (text(S7="PARIS"), "S7"),
        (text(S7="99999"), "S7"),
    ],
)  # fmt: skip
def test_what_is_malformed_is_told_with_its_place_and_without_its_data(scanned: str, place: str) -> None:
    reason = refused(scanned)
    assert place in reason
    assert not any(data in reason for data in ("27903512151898", "PAT", "DOMINIQUE", "1979", "512"))


@pytest.mark.parametrize("id_", BY_BLOCK)
def test_a_separator_too_many_does_no_harm(id_: str) -> None:
    assert read(text(**{id_: BY_BLOCK[id_].rstrip(GS) + GS})) == read(text())


def test_an_authority_that_is_no_ins_and_a_wrong_key_are_read_as_they_stand() -> None:
    content = found(text(S1="279035121518900", S2=f"2597845632548156952{GS}"))
    assert (content.matricule.key_is_right, content.oid) == (False, "2597845632548156952")


@pytest.mark.parametrize("separator", ["<GS>", "<gs>", "{GS}", "␝", "^]", GS])
@pytest.mark.parametrize(("prefix", "suffix"), [("", ""), ("]d1", "\r\n"), ("]d2", "\t"), (" ", "\n")])
def test_what_a_scanner_types(separator: str, prefix: str, suffix: str) -> None:
    typed = prefix + text().replace(GS, separator) + suffix
    assert text_of_typed(typed) == text()


@pytest.mark.parametrize(("scanned", "expected"), [(b"IS\x1d", "IS\x1d"), ("É".encode(), "É"), (b"\xc9", "É")])
def test_bytes_are_text_whatever_they_are(scanned: bytes, expected: str) -> None:
    assert text_of(scanned) == expected


def test_its_repr_shows_neither_number_nor_traits() -> None:
    assert "PAT" not in repr(written())


@pytest.mark.skipif(not VECTORS.exists(), reason="the published vectors are not at hand")
def test_the_published_vectors() -> None:
    for vector in json.loads(VECTORS.read_text())["vectors"]:
        content, expected = found(vector["payload"]), vector["expect"]
        day, month, year = expected["S6"].split("-")
        assert (str(content.matricule), content.oid) == (expected["S1"], expected["S2"])
        assert (" ".join(content.given), content.family, content.sex) == (
            expected["S3"], expected["S4"], expected["S5"],
        )  # fmt: skip
        assert (content.birth_date, content.birth_place) == (f"{year}-{month}-{day}", expected.get("S7"))
        assert payload(content) == vector["payload"]
