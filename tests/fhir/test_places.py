"""Places: where a JSON property leads. https://hl7.org/fhir/R4/elementdefinition.html#path"""

import pytest

from fhir_ins.fhir.places import Place, children_of, property_of


@pytest.mark.parametrize(
    ("place", "name", "element", "type_"),
    [
        (Place("Patient"), "deceasedDateTime", "deceased[x]", "dateTime"),
        (Place("Dosage", "doseAndRate"), "doseRange", "dose[x]", "Range"),
        (Place("Dosage", "doseAndRate"), "doseQuantity", "dose[x]", "Quantity"),
        (Place("MedicationAdministration", "dosage"), "rateQuantity", "rate[x]", "Quantity"),
    ],
)
def test_a_choice_is_known_by_each_of_its_types(place, name, element, type_):
    found = property_of(place, name)
    assert (found.element, found.type) == (element, type_)


def test_a_profile_of_a_quantity_spells_no_property():
    assert property_of(Place("Dosage", "doseAndRate"), "doseSimpleQuantity") is None


@pytest.mark.parametrize(
    ("place", "names"),
    [
        (Place("Period"), {"id", "extension", "start", "end"}),
        (Place("Patient", "link"), {"id", "extension", "modifierExtension", "other", "type"}),
        (Place("Timing", "repeat"), {"id", "extension", "bounds[x]", "count", "timeOfDay"}),
    ],
)
def test_the_children_of_a_place_are_its_own_and_inherited_ones(place, names):
    assert names <= children_of(place).keys()
    assert not any("." in name for name in children_of(place))
