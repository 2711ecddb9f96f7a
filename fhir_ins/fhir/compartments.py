"""Compartments: what belongs to a patient, an encounter and so on. https://hl7.org/fhir/R4/compartmentdefinition.html"""

from fhir_ins.fhir.search import Criterion
from fhir_ins.fhir.search_parameters import PARAMETERS, definitions
from fhir_ins.fhir.search_terms import TokenValue, UriValue

COMPARTMENTS = ("Patient", "Encounter", "RelatedPerson", "Practitioner", "Device")


def compartment_criteria(compartment: str, id_: str, type_: str) -> Criterion | None:
    """What a resource of `type_` matches when it is in the compartment of `compartment`/`id_`, `Patient/123`.

    To be searched for with any other criteria. None where R4 has no such compartment, or none of this type in it.
    """
    names = definitions()["compartments"].get(compartment, {}).get(type_)
    if not names:
        return None
    parameters = tuple(PARAMETERS[type_][name] for name in names)
    if names == ["_id"]:
        return Criterion(parameters, (TokenValue(None, id_),))
    return Criterion(parameters, (UriValue(f"{compartment}/{id_}"),))
