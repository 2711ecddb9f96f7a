"""Where a matricule must not travel, however it is written."""

from typing import Any

import pytest
from frcore.records import SOMEBODY_ELSE
from people import ADRUN, NIR, ins_identifier, patient

from fhir_ins.frcore.carriers import carries_matricule, misplaced, without_telling_narrative

Json = dict[str, Any]

CORSICAN = "297022A02077878"


@pytest.mark.parametrize(
    ("text", "carries"),
    [
        (ADRUN, True),
        (CORSICAN, True),
        (CORSICAN.lower(), True),
        ("180032B02040123", True),
        (f"NIR : {ADRUN}.", True),
        ("2 75 12 63 220 749 74", True),
        ("2.75.12.63.220.749.74", True),
        ("2-75-12-63-220-749-74", True),
        ("2751263220749 74", True),
        ("2751263220749  74", True),
        ("2751263220749 / 74", True),
        ("2751263220749 clé 74", True),
        ("2\n75\t12 63 220 749-74", True),
        ("2\u00a075\u00a012\u00a063\u00a0220\u00a0749\u00a074", True),  # no-break spaces, as French is typeset
        ("2\u202f75\u202f12\u202f63\u202f220\u202f749\u202f74", True),
        (ADRUN.translate({ord(str(digit)): 0xFF10 + digit for digit in range(10)}), True),  # full-width digits
        (f"{SOMEBODY_ELSE}@patient.mssante.fr", True),
        (f"mailto:{ADRUN}@patient.mssante.fr", True),
        (f"urn:oid:1.2.250.1.213.1.4.8|{ADRUN}", True),
        ("Organization/f74564ca-8265-4152-8952-566fa714c7ba", False),  # its digits have a right key by chance
        ("urn:uuid:F74564CA-8265-4152-8952-566FA714C7BA", False),
        (f"f74564ca-8265-4152-8952-566fa714c7ba-{ADRUN}", True),
        (f"{ADRUN}f74564ca-8265-4152-8952-566fa714c7ba", True),
        ("8265-4152-8952-566", True),
        ("", False),
        ("275126322074975", False),  # a wrong key: a number like another
        ("1" + ADRUN, False),  # sixteen digits
        (ADRUN + "0", False),
        (ADRUN[:13], False),  # without its key
        ("975126322074974", False),
        ("0400000000", False),
        ("297022C02077878", False),
    ],
)
def test_a_text_carries_a_matricule_when_its_key_is_right(text: str, carries: bool) -> None:
    assert carries_matricule(text) is carries


SOMEBODY_S_INS = ins_identifier(SOMEBODY_ELSE)


def note(**value: Any) -> Json:
    return {"extension": [{"url": "https://example.org/note", **value}]}


PLACES = [
    ("Patient.name[0].text", {"name": [{"text": f"Zoé {ADRUN}"}]}),
    ("Patient.name[0].suffix[0]", {"name": [{"family": "X", "suffix": [ADRUN]}]}),
    ("Patient.address[0].line[1]", {"address": [{"line": ["1 rue X", ADRUN]}]}),
    ("Patient.telecom[0].value", {"telecom": [{"system": "phone", "value": ADRUN}]}),
    ("Patient.telecom[0].extension[0].valueString", {"telecom": [note(valueString=ADRUN)]}),
    ("Patient.identifier[0].value", {"identifier": [{"system": "urn:ipp", "value": ADRUN}]}),
    ("Patient.identifier[0].value", {"identifier": [{"system": "urn:oid:1.2.250.1.213.1.4.2", "value": ADRUN}]}),
    ("Patient.identifier[0].assigner.display", {"identifier": [{"value": "7", "assigner": {"display": ADRUN}}]}),
    (
        "Patient.identifier[0].assigner.identifier",
        {"identifier": [{"value": "7", "assigner": {"identifier": SOMEBODY_S_INS}}]},
    ),
    ("Patient.contact[0].name.text", {"contact": [{"name": {"text": ADRUN}}]}),
    ("Patient.contact[0].telecom[0].value", {"contact": [{"telecom": [{"value": f"{ADRUN}@patient.mssante.fr"}]}]}),
    ("Patient.link[0].other.identifier", {"link": [{"type": "seealso", "other": {"identifier": SOMEBODY_S_INS}}]}),
    ("Patient.link[0].other.display", {"link": [{"type": "seealso", "other": {"display": ADRUN}}]}),
    ("Patient.generalPractitioner[0].display", {"generalPractitioner": [{"display": ADRUN}]}),
    ("Patient.managingOrganization.identifier", {"managingOrganization": {"identifier": SOMEBODY_S_INS}}),
    (
        "Patient.contained[0].identifier[0]",
        {"contained": [{"resourceType": "Patient", "identifier": [SOMEBODY_S_INS]}]},
    ),
    ("Patient.contained[0].id", {"contained": [{"resourceType": "Patient", "id": ADRUN}]}),
    ("Patient.extension[0].valueString", note(valueString=ADRUN)),
    ("Patient.extension[0].valueIdentifier", note(valueIdentifier=SOMEBODY_S_INS)),
    ("Patient.extension[0].url", {"extension": [{"url": f"urn:{ADRUN}", "valueCode": "a"}]}),
    ("Patient._birthDate.extension[0].valueString", {"_birthDate": note(valueString=ADRUN)}),
    ("Patient.extension[0].valueDecimal", note(valueDecimal=int(ADRUN))),
    ("Patient.photo[0].title", {"photo": [{"title": ADRUN}]}),
    ("Patient.photo[0].url", {"photo": [{"url": f"https://example.org/{ADRUN}.png"}]}),
    ("Patient.meta.tag[0].code", {"meta": {"tag": [{"code": ADRUN}]}}),
    ("Patient.meta.source", {"meta": {"source": f"urn:{ADRUN}"}}),
    ("Patient.communication[0].language.text", {"communication": [{"language": {"text": ADRUN}}]}),
]


@pytest.mark.parametrize(("place", "elements"), PLACES)
def test_a_matricule_out_of_place_is_found_there(place: str, elements: Json) -> None:
    (issue,) = misplaced(patient(**elements))
    assert (issue.code, issue.expression) == ("business-rule", place)
    assert ADRUN not in issue.text
    assert SOMEBODY_ELSE not in issue.text


@pytest.mark.parametrize("written", ["2 75 12 63 220 749 74", "2.75.12.63.220.749.74", "2-75-12-63-220-749-74"])
def test_separators_do_not_hide_it(written: str) -> None:
    assert misplaced(patient(address=[{"text": f"n° {written}, Lyon"}]))


def test_every_place_is_told() -> None:
    found = misplaced(patient(photo=[{"title": ADRUN}, {"title": "face"}, {"title": CORSICAN}], name=[{"text": ADRUN}]))
    assert sorted(issue.expression or "" for issue in found) == [
        "Patient.name[0].text",
        "Patient.photo[0].title",
        "Patient.photo[2].title",
    ]


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"identifier": [ins_identifier()]},
        {"identifier": [{"system": "urn:oid:1.2.250.1.213.1.4.13", "value": ADRUN}]},
        {"identifier": [{"system": "urn:oid:1.2.250.1.213.1.4.14", "value": ADRUN}]},
        {"identifier": [{"system": "urn:ipp", "value": "275126322074975"}]},
        {"contact": [{"name": {"text": "dossier 275126322074975"}}]},
        {"telecom": [{"system": "email", "value": f"{ADRUN}@patient.mssante.fr"}]},  # judged with the identity
    ],
)
def test_what_has_its_place_or_is_no_matricule(elements: Json) -> None:
    assert misplaced(patient(**elements)) == []


@pytest.mark.parametrize("system", [NIR, "urn:oid:1.2.250.1.213.1.4.9", "1.2.250.1.213.1.4.10"])
@pytest.mark.parametrize("value", ["275126322074975", "unknown", None])
def test_somebody_else_s_ins_identifier_is_refused_whatever_its_value(system: str, value: str | None) -> None:
    identifier = {"system": system, "value": value} if value else {"system": system}
    assert misplaced(patient(link=[{"type": "seealso", "other": {"identifier": identifier}}]))


def narrative(content: str) -> Json:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{content}</div>'}


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        ("Zoé Adrun, née le 31/12/1975", True),
        ("dossier 275126322074975", True),
        (f"INS {ADRUN}", False),
        (f"INS {CORSICAN.lower()}", False),
        ("<p>2 75 12 63 <b>220 749</b> 74</p>", False),
        ("275126<i>322074974</i>", False),
        ("2&#160;75&#160;12&#160;63&#160;220&#160;749&#160;74", False),
        ("&#50;75126322074974", False),
        (f'<img src="{ADRUN}.png" alt="face"/>', False),
    ],
)
def test_a_narrative_that_spells_a_matricule_goes(content: str, kept: bool) -> None:
    resource = patient(text=narrative(content))
    assert without_telling_narrative(resource) == (resource if kept else patient())


def test_without_narrative_nothing_changes() -> None:
    assert without_telling_narrative(patient()) == patient()


@pytest.mark.parametrize(
    "told",
    [
        "IMC &lt; 25, INS 275<b>126</b>322074974",
        "275126&lt;b&gt;322074974",
        '275126<b title="x>yz">322074974</b>',
        '<b title="275126&lt;i&gt;322074974">INS</b>',
        "275126&nbsp;322<i>074</i>974",
    ],
)
def test_no_sign_hides_a_matricule_in_a_narrative(told: str) -> None:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{told}</div>'
    assert "text" not in without_telling_narrative({"resourceType": "Patient", "text": {"div": div}})


def test_a_text_of_countless_candidates_is_taken_to_carry_one() -> None:
    assert not carries_matricule("1 " * 500)
    assert carries_matricule("1 " * 400_000)
