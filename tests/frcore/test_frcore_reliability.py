"""fr-core-identity-reliability: what a client claims in it, and what the server states in it."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from frcore.records import CHECK, FR_CORE, ZOE
from people import MODES, RELIABILITY, STATUSES, claiming, patient, reliability

from fhir_ins.frcore.release import RELEASES, Release
from fhir_ins.frcore.reliability import SUFFICIENT_MEANS, Claim, claim_of, with_statement, without_statement
from fhir_ins.ins.identity import DocumentCheck, Identity
from fhir_ins.ins.status import Attribute, Obstacle

Json = dict[str, Any]

METHODS = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-method-collection"
NEXT_GENERATION = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-identity-status"
DATE = "2026-11-20"
STATUSES_TWIN = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-fiabilite-identite"
NOTHING = frozenset[Attribute]()


def repetition(*parts: Json) -> Json:
    return {"url": RELIABILITY, "extension": list(parts)}


def coded(url: str, system: str, code: str) -> Json:
    return {"url": url, "valueCoding": {"system": system, "code": code}}


COLLECTED_BY_INSI = [coded("methodCollection", METHODS, "INSI"), {"url": "dateCollection", "valueDate": DATE}]
COLLECTED_BY_CARD = [coded("methodCollection", METHODS, "CV"), {"url": "dateCollection", "valueDate": "2020-01-01"}]
PROVISIONAL = [coded("identityStatus", STATUSES, "PROV")]


def in_next_release(status: str, *comments: str) -> Json:
    """A repetition as FR Core not yet published writes it: the status in a system of its own, the rest as comments."""
    concepts = ({"coding": [{"system": f"{NEXT_GENERATION}-comment", "code": code}]} for code in comments)
    said = [{"url": "comment", "valueCodeableConcept": concept} for concept in concepts]
    return repetition(coded("identityStatus", NEXT_GENERATION, status), *said)


@pytest.mark.parametrize(
    ("repetitions", "claim"),
    [
        ([], Claim(False, None, None, None, NOTHING)),
        ([reliability("PROV")], Claim(True, "PROV", None, None, NOTHING)),
        ([reliability("VALI", DATE, "CN")], Claim(True, "VALI", DATE, "CN", NOTHING)),
        ([reliability("VALI", DATE)], Claim(True, "VALI", DATE, None, NOTHING)),
        ([reliability("PROV"), reliability("VALI", DATE, "PA")], Claim(True, "VALI", DATE, "PA", NOTHING)),
        ([reliability("VALI", DATE, "PA"), reliability("PROV")], Claim(True, "VALI", DATE, "PA", NOTHING)),
        ([reliability("HOMA")], Claim(True, None, None, None, frozenset({Attribute.HOMONYME}))),
        ([reliability("DOUT")], Claim(True, None, None, None, frozenset({Attribute.DOUTEUX}))),
        ([reliability("FICT")], Claim(True, None, None, None, frozenset({Attribute.FICTIF}))),
        (
            [reliability("HOMA"), reliability("VALI", DATE, "CN"), reliability("DOUT")],
            Claim(True, "VALI", DATE, "CN", frozenset({Attribute.HOMONYME, Attribute.DOUTEUX})),
        ),
        ([reliability("HOMD"), reliability("DESA")], Claim(True, None, None, None, NOTHING)),
        ([reliability("ANOM")], Claim(True, None, None, None, NOTHING, frozenset({Obstacle.ANONYME}))),
        ([reliability("CACH")], Claim(True, None, None, None, NOTHING, frozenset({Obstacle.CACHEE}))),
        (
            [repetition(*COLLECTED_BY_CARD, *PROVISIONAL)],
            Claim(True, "PROV", None, None, NOTHING, collected_on="2020-01-01"),
        ),
        ([in_next_release("PROV")], Claim(True, "PROV", None, None, NOTHING)),
        ([in_next_release("RECUP")], Claim(True, "PROV", None, None, NOTHING)),
        ([in_next_release("VALI")], Claim(True, "VALI", None, None, NOTHING)),
        ([in_next_release("QUAL")], Claim(True, "VALI", None, None, NOTHING)),
        (
            [in_next_release("PROV", "DOUT", "DOUA", "CACH")],
            Claim(True, "PROV", None, None, frozenset({Attribute.DOUTEUX}), frozenset({Obstacle.CACHEE})),
        ),
        ([repetition(coded("identityStatus", STATUSES_TWIN, "VALI"))], Claim(True, "VALI", None, None, NOTHING)),
        ([repetition(coded("identityStatus", "urn:other", "VALI"))], Claim(True, None, None, None, NOTHING)),
        ([repetition(coded("identityStatus", STATUSES, "QUAL"))], Claim(True, None, None, None, NOTHING)),
        (
            [repetition({"url": "identityStatus", "valueCoding": {"code": "VALI"}})],
            Claim(True, "VALI", None, None, NOTHING),
        ),
        ([repetition(*COLLECTED_BY_CARD)], Claim(True, None, None, None, NOTHING)),
    ],
)
def test_what_a_patient_claims(repetitions: list[Json], claim: Claim) -> None:
    assert replace(claim_of(patient(extension=repetitions)), qualified=False) == claim


@pytest.mark.parametrize(
    ("repetition", "qualified"),
    [
        (reliability("VALI"), True),
        (reliability("PROV"), False),
        (in_next_release("QUAL"), True),
        (in_next_release("VALI"), False),  # validated without INSi
        (in_next_release("RECUP"), False),
    ],
)
def test_what_would_say_qualifiee_with_an_ins(repetition: Json, qualified: bool) -> None:
    assert claim_of(patient(extension=[repetition])).qualified is qualified


def stated(identity: Identity, resource: Json | None = None) -> list[Json]:
    found = with_statement(without_statement(resource or patient()), identity, FR_CORE.release).get("extension", [])
    return [extension for extension in found if extension["url"] == RELIABILITY]


VALIDATED = [
    coded("identityStatus", STATUSES, "VALI"),
    {"url": "validationDate", "valueDate": DATE},
    coded("validationMode", MODES, "CN"),
]


@pytest.mark.parametrize(
    ("identity", "statement"),
    [
        (Identity(obtained=ZOE), [*COLLECTED_BY_INSI, *PROVISIONAL]),
        (Identity(check=CHECK), VALIDATED),
        (Identity(obtained=ZOE, check=CHECK), [*COLLECTED_BY_INSI, *VALIDATED]),
    ],
)
def test_the_server_states_each_status(identity: Identity, statement: list[Json]) -> None:
    assert stated(identity) == [repetition(*statement)]


def test_nothing_is_stated_of_a_provisional_identity_that_does_not_use_the_extension() -> None:
    assert with_statement(patient(), Identity(), FR_CORE.release) == patient()
    assert without_statement(patient()) == patient()


def test_an_identity_that_uses_the_extension_is_answered_with_it() -> None:
    assert stated(Identity(), claiming(patient(), reliability("VALI", DATE, "CN"))) == [repetition(*PROVISIONAL)]


@pytest.mark.parametrize(
    ("means", "said"),
    [(means, True) for means in ("AN", "CN", "LE", "PA")]
    + [(means, False) for means in ("AC", "AV", "CE", "CS", "DC", "IE")],
)
def test_only_the_means_an_ins_patient_may_name_are_said_of_one(means: str, said: bool) -> None:
    (statement,) = stated(Identity(obtained=ZOE, check=DocumentCheck(DATE, means, "agent")))
    assert (coded("validationMode", MODES, means) in statement["extension"]) is said


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES)
@pytest.mark.parametrize("means", [*sorted(SUFFICIENT_MEANS), None])
def test_without_ins_every_means_the_release_has_a_code_for_is_said(means: str | None, release: Release) -> None:
    validated = with_statement(patient(), Identity(check=DocumentCheck(DATE, means, "agent")), release)
    (statement,) = validated["extension"]
    (said,) = [part for part in statement["extension"] if part["url"] == "validationMode"] or [None]
    assert said == (coded("validationMode", MODES, means) if means in release.means else None)


@pytest.mark.parametrize("attribute", Attribute)
def test_an_attribute_has_a_repetition_of_its_own(attribute: Attribute) -> None:
    _, marked = stated(Identity(attributes=frozenset({attribute})))
    assert marked == repetition(coded("identityStatus", STATUSES, attribute.value))


def test_the_server_s_collection_stands_for_the_client_s_once_insi_was_asked() -> None:
    by_card = patient(extension=[repetition(*PROVISIONAL, *COLLECTED_BY_CARD)])
    assert stated(Identity(), by_card) == [repetition(*COLLECTED_BY_CARD, *PROVISIONAL)]
    assert stated(Identity(obtained=ZOE), by_card) == [repetition(*COLLECTED_BY_INSI, *PROVISIONAL)]


@pytest.mark.parametrize("collected", [COLLECTED_BY_INSI, [{"url": "dateCollection", "valueDate": DATE}]])
def test_a_client_cannot_say_that_insi_was_asked(collected: list[Json]) -> None:
    assert stated(Identity(), patient(extension=[repetition(*PROVISIONAL, *collected)])) == [repetition(*PROVISIONAL)]


@pytest.mark.parametrize("kept", [reliability("HOMD"), reliability("DOUA"), repetition(*COLLECTED_BY_CARD)])
def test_repetitions_of_other_meanings_stay(kept: Json) -> None:
    resource = claiming(patient(extension=[{"url": "urn:x", "valueCode": "a"}]), reliability("PROV"), kept)
    found = with_statement(without_statement(resource), Identity(check=CHECK), FR_CORE.release)["extension"]
    assert found == [{"url": "urn:x", "valueCode": "a"}, repetition(*VALIDATED), kept]


@pytest.mark.parametrize(
    "repetitions",
    [
        [reliability("VALI", DATE, "CN"), reliability("HOMA")],
        [reliability("HOMD"), reliability("PROV")],
        [repetition(*COLLECTED_BY_CARD), in_next_release("QUAL", "HOMA", "DOUA")],
    ],
)
@pytest.mark.parametrize(
    "identity",
    [
        Identity(),
        Identity(obtained=ZOE, check=CHECK),
        Identity(attributes=frozenset({Attribute.HOMONYME, Attribute.FICTIF})),
    ],
)
def test_stating_again_what_was_stated_changes_nothing(repetitions: list[Json], identity: Identity) -> None:
    resource = claiming(patient(), *repetitions)
    before = deepcopy(resource)
    once = with_statement(without_statement(resource), identity, FR_CORE.release)
    assert with_statement(without_statement(once), identity, FR_CORE.release) == once
    assert resource == before
