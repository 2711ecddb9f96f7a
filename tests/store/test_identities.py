"""The identity record as a MongoDB document, and back."""

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_ins.ins.identity import DocumentCheck, Identity, InsNumber, Obtained
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.status import Attribute, Status
from fhir_ins.ins.traits import Traits
from fhir_ins.store.identities import identity_document, identity_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
MAYBE = st.none() | TEXT
MATRICULES = st.builds(Matricule, number=TEXT, key=TEXT)  # INSi's own are kept whatever their form
NUMBERS = st.builds(InsNumber, MATRICULES, oid=TEXT, start=MAYBE, end=MAYBE)
TRAITS = st.builds(
    Traits,
    family=MAYBE,
    given=st.lists(TEXT, max_size=3).map(tuple),
    sex=MAYBE,
    birth_date=MAYBE | st.just("1936-00-00"),
    birth_place=MAYBE,
)
HISTORIES = st.lists(NUMBERS, max_size=3).map(tuple)
CHECK = st.builds(DocumentCheck, on=TEXT, means=TEXT, actor=TEXT)
IDENTITIES = st.builds(
    Identity,
    obtained=st.none() | st.builds(Obtained, NUMBERS, HISTORIES, TRAITS, on=TEXT, message_id=TEXT),
    check=st.none() | CHECK,
    attributes=st.frozensets(st.sampled_from(Attribute)),
    supplied=HISTORIES,
    ended=st.lists(CHECK, max_size=2).map(tuple),
)


@given(IDENTITIES)
def test_the_record_comes_back_from_bson_as_it_went(identity: Identity) -> None:
    assert identity_of(bson.decode(bson.encode(identity_document(identity)))) == identity


@given(IDENTITIES)
def test_the_status_is_written_for_people_and_not_read_back(identity: Identity) -> None:
    document = identity_document(identity)
    assert document["status"] == identity.status
    for status in Status:
        assert identity_of({**document, "status": status.value}) == identity


@pytest.mark.parametrize("nothing", [None, {}])
def test_no_document_is_an_identity_nothing_is_known_of(nothing: dict[str, object] | None) -> None:
    assert identity_of(nothing) == Identity()
