"""Elements in the order of their definition."""

from fhir_ins.fhir.ordering import in_order


def test_inherited_elements_come_first_then_those_of_the_type_and_siblings_beside_theirs() -> None:
    shuffled = {
        "address": [], "_birthDate": {}, "deceasedBoolean": False, "birthDate": "1975", "identifier": [],
        "extension": [], "text": {}, "meta": {}, "id": "x", "resourceType": "Patient",
    }  # fmt: skip
    assert list(in_order(shuffled)) == [
        "resourceType", "id", "meta", "text", "extension", "identifier", "_birthDate", "birthDate", "deceasedBoolean",
        "address",
    ]  # fmt: skip
