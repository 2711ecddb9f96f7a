"""The five strict traits in a Patient: where they are read, how INSi's are written."""

from dataclasses import replace
from typing import Any

import pytest
from frcore.records import ZOE, about
from people import patient

from fhir_ins.frcore.canonical import BIRTH_LIST_GIVEN_NAME, BIRTH_PLACE, COMMUNES, COUNTRIES, INSEE_CODE, LUNAR_DATE
from fhir_ins.frcore.traits import fhir_date, official_name, traits_of, with_traits
from fhir_ins.ins.traits import Traits

Json = dict[str, Any]


def listed(names: str) -> Json:
    return {"url": BIRTH_LIST_GIVEN_NAME, "valueString": names}


def born_at(cog: str, system: str | None = COMMUNES, **address: str) -> Json:
    coding = {"system": system, "code": cog} if system else {"code": cog}
    code = {"url": INSEE_CODE, "valueCoding": coding}
    return {"url": BIRTH_PLACE, "valueAddress": {"extension": [code], **address}}


def lunar(date: str) -> Json:
    return {"url": LUNAR_DATE, "valueString": date}


BIRTH = {"family": "DUPONT", "given": ["ANNE"]}
USUAL = {"use": "usual", "family": "MARTIN", "given": ["ANNIE"]}


@pytest.mark.parametrize(
    ("names", "family"),
    [
        ([{"use": "official", **BIRTH}], "DUPONT"),
        ([USUAL, {"use": "official", **BIRTH}], "DUPONT"),
        ([BIRTH], "DUPONT"),
        ([USUAL], None),
        ([BIRTH, USUAL], None),
        ([{"use": "maiden", **BIRTH}], None),
        ([], None),
    ],
)
def test_the_birth_name_is_the_official_name_or_the_only_one_without_use(names: list[Json], family: str | None) -> None:
    resource = patient(name=names) if names else {"resourceType": "Patient"}
    assert (official_name(resource) or {}).get("family") == family
    assert traits_of(resource).family == family


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ({"given": ["ANNE"], "extension": [listed("ANNE MARIE")]}, ("ANNE", "MARIE")),
        ({"given": ["ANNE", "MARIE"]}, ("ANNE", "MARIE")),
        ({"extension": [listed("ANNE-LISE  MARIE")]}, ("ANNE-LISE", "MARIE")),
        ({"given": ["ANNE"], "extension": [{"url": "urn:other", "valueString": "EVE"}]}, ("ANNE",)),
        ({"given": [None, "MARIE"], "_given": [{"extension": []}, None]}, ("MARIE",)),
        ({}, ()),
    ],
)
def test_the_birth_list_comes_before_the_given_names(name: Json, given: tuple[str, ...]) -> None:
    assert traits_of(patient(name=[{"use": "official", "family": "DUPONT", **name}])).given == given


@pytest.mark.parametrize(
    ("gender", "sex"), [("male", "M"), ("female", "F"), ("other", "other"), ("unknown", "unknown"), (None, None)]
)
def test_the_sex_of_civil_status_is_male_or_female(gender: str, sex: str | None) -> None:
    assert traits_of(patient(gender=gender)).sex == sex


@pytest.mark.parametrize(
    ("birth_date", "extensions", "read"),
    [
        ("1975-12-31", [], "1975-12-31"),
        ("1936", [], "1936"),
        ("1936", [lunar("1936-00-00")], "1936-00-00"),
        ("1936-05", [lunar("1936-05-00")], "1936-05-00"),
        ("1936", [lunar("in spring")], "1936"),
    ],
)
def test_the_lunar_date_says_what_a_fhir_date_cannot(birth_date: str, extensions: list[Json], read: str) -> None:
    assert traits_of(patient(birthDate=birth_date, extension=extensions)).birth_date == read


@pytest.mark.parametrize(
    ("place", "cog"),
    [
        (born_at("63220"), "63220"),
        (born_at("99255", COUNTRIES), "99255"),
        (born_at("2A020", None), "2A020"),
        (born_at("63220", district="2B020"), "63220"),
        ({"url": BIRTH_PLACE, "valueAddress": {"district": "2B020"}}, "2B020"),
        ({"url": BIRTH_PLACE, "valueAddress": {"district": "Finistère"}}, None),
        ({"url": BIRTH_PLACE, "valueAddress": {"city": "Lyon"}}, None),
        ({"url": "urn:other", "valueAddress": {"district": "2B020"}}, None),
    ],
)
def test_the_birth_place_is_its_cog_or_a_cog_in_the_district(place: Json, cog: str | None) -> None:
    assert traits_of(patient(extension=[place])).birth_place == cog


def test_a_patient_without_anything_has_no_traits() -> None:
    assert traits_of({"resourceType": "Patient"}) == Traits(None, (), None, None, None)


def test_insi_s_traits_are_written_as_fr_core_asks() -> None:
    artagnan = about("D'ARTAGNAN DE L'HERAULT", "PIERRE-ALAIN GUNTHER")
    assert with_traits({"resourceType": "Patient", "active": True}, artagnan.traits) == {
        "resourceType": "Patient",
        "active": True,
        "name": [
            {
                "use": "official",
                "family": "D'ARTAGNAN DE L'HERAULT",
                "given": ["PIERRE-ALAIN"],
                "extension": [listed("PIERRE-ALAIN GUNTHER")],
            }
        ],
        "gender": "male",
        "birthDate": "2001-06-17",
        "extension": [born_at("63220")],
    }


@pytest.mark.parametrize("before", [[], [{"use": "official", "family": "OTHER", "given": ["X", "Y"]}], [BIRTH]])
def test_what_is_written_is_what_is_read(before: list[Json]) -> None:
    assert traits_of(with_traits(patient(name=before), ZOE.traits)) == ZOE.traits


def test_the_patient_given_is_not_changed() -> None:
    resource = patient(extension=[born_at("75056")])
    with_traits(resource, ZOE.traits)
    assert resource == patient(extension=[born_at("75056")])


def test_other_names_and_what_surrounds_the_official_one_stay() -> None:
    official = {
        "use": "official",
        "family": "X",
        "text": "Mme X",
        "prefix": ["MME"],
        "period": {"start": "1990"},
        "extension": [listed("OLD"), {"url": "urn:kept", "valueCode": "a"}],
    }
    first, second = with_traits(patient(name=[USUAL, official]), ZOE.traits)["name"]
    assert second == USUAL
    assert first == {
        "use": "official",
        "family": "ADRUN",
        "given": ["ZOE"],
        "prefix": ["MME"],
        "period": {"start": "1990"},
        "extension": [{"url": "urn:kept", "valueCode": "a"}, listed("ZOE")],
    }


def test_a_second_official_name_becomes_an_old_one() -> None:
    names = with_traits(
        patient(name=[{"use": "official", "family": "A"}, {"use": "official", "family": "B"}]), ZOE.traits
    )
    assert [(name["family"], name["use"]) for name in names["name"]] == [("ADRUN", "official"), ("B", "old")]


@pytest.mark.parametrize(
    ("cog", "system"),
    [
        ("2A020", COMMUNES),
        ("63220", COMMUNES),
        ("97411", COMMUNES),
        ("98818", COMMUNES),
        ("99100", COUNTRIES),
        ("99255", COUNTRIES),
    ],
)
def test_a_commune_is_of_tre_r13_and_a_country_of_tre_r20(cog: str, system: str) -> None:
    written = with_traits(patient(), replace(ZOE.traits, birth_place=cog))
    assert written["extension"] == [born_at(cog, system)]


@pytest.mark.parametrize("cog", ["63220", "75056"])
def test_the_birth_place_is_insi_s_alone_without_a_city_nobody_vouches_for(cog: str) -> None:
    before = patient(extension=[born_at(cog, city="Paris")])
    assert with_traits(before, ZOE.traits)["extension"] == [born_at("63220")]


@pytest.mark.parametrize(
    ("birth_date", "said"),
    [
        ("1975-12-31", "1975-12-31"),
        ("1936-00-00", "1936"),
        ("1936-00-15", "1936"),
        ("1936-05-00", "1936-05"),
        ("1936-13-45", None),
        ("1936-02-30", None),
        ("19360621", None),
        ("", None),
    ],
)
def test_a_fhir_date_ends_where_the_date_is_unknown(birth_date: str, said: str | None) -> None:
    assert fhir_date(birth_date) == said


def test_a_date_out_of_the_calendar_is_only_in_the_lunar_date() -> None:
    written = with_traits(patient(), replace(ZOE.traits, birth_date="1936-13-45", birth_place=None))
    assert "birthDate" not in written
    assert written["extension"] == [lunar("1936-13-45")]


@pytest.mark.parametrize("place", [born_at("63220", None), {"url": BIRTH_PLACE, "valueAddress": {"district": "63220"}}])
def test_the_same_birth_place_in_a_form_that_is_not_fr_core_s_is_written_anew(place: Json) -> None:
    assert with_traits(patient(extension=[place]), ZOE.traits)["extension"] == [born_at("63220")]


@pytest.mark.parametrize("birth_date", ["1936-00-00", "1936-05-00"])
def test_a_lunar_date_is_kept_beside_the_birth_date(birth_date: str) -> None:
    written = with_traits({"resourceType": "Patient"}, replace(ZOE.traits, birth_date=birth_date, birth_place=None))
    assert written["extension"] == [lunar(birth_date)]
    assert traits_of(written).birth_date == birth_date


def test_a_whole_date_takes_an_older_lunar_date_away() -> None:
    written = with_traits(patient(birthDate="1975", extension=[lunar("1975-00-00"), born_at("63220")]), ZOE.traits)
    assert written["extension"] == [born_at("63220")]


def test_what_insi_did_not_say_is_not_written() -> None:
    silent = Traits("ADRUN", (), None, None, None)
    written = with_traits({"resourceType": "Patient"}, silent)
    assert written == {
        "resourceType": "Patient",
        "name": [{"use": "official", "family": "ADRUN"}],
        "gender": "unknown",
    }
