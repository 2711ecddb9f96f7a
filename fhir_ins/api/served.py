"""Which types of resources are served, and which interactions each of them has: one table for the addresses, the
CapabilityStatement and the OpenAPI description. https://hl7.org/fhir/R4/valueset-type-restful-interaction.html
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fhir_ins.fhir.structure import resource_types

WHOLE = frozenset(
    {
        "read",
        "vread",
        "update",
        "patch",
        "delete",
        "history-instance",
        "history-type",
        "create",
        "search-type",
    }
)
FIXED = frozenset({"read", "search-type"})

# The artifacts this server publishes itself.
PUBLISHED = (
    "CodeSystem",
    "NamingSystem",
    "OperationDefinition",
    "SearchParameter",
    "StructureDefinition",
    "ValueSet",
)
# What is served without a setting.
TYPES = (
    "Patient",
    "RelatedPerson",
    "Person",
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "Location",
    "Endpoint",
    "Encounter",
    "EpisodeOfCare",
    "Coverage",
    "Consent",
    "Observation",
    "Condition",
    "DocumentReference",
    "DocumentManifest",
    "List",
    "Flag",
    "Task",
    "Basic",
    "Binary",
    "Provenance",
)
WRITTEN_HERE = ("AuditEvent",)
# Resources that are messages, not things to keep.
_PASSING = frozenset({"Parameters", "OperationOutcome", "CapabilityStatement", "Bundle"})


@dataclass(frozen=True, slots=True)
class Served:
    """The interactions of each type that is served, by their codes; no others are."""

    interactions: Mapping[str, frozenset[str]]

    def of(self, type_: str) -> frozenset[str]:
        return self.interactions.get(type_, frozenset())

    @property
    def stored(self) -> tuple[str, ...]:
        """The types whose resources are kept in the store; AuditEvents are kept in the trail."""
        return tuple(type_ for type_ in self.interactions if type_ not in (*PUBLISHED, *WRITTEN_HERE))


def served(further: Iterable[str] = ()) -> Served:
    """What a server with these further types serves. Raises ValueError for one that cannot be."""
    more = dict.fromkeys(further)
    for type_ in more:
        if type_ not in resource_types() or type_ in _PASSING or type_ in PUBLISHED or type_ in WRITTEN_HERE:
            raise ValueError(f"FHIR_INS_FURTHER_TYPES: {type_} is no type of resource that can be kept here.")
    return Served(
        {
            **dict.fromkeys([*TYPES, *more], WHOLE),
            **dict.fromkeys(WRITTEN_HERE, FIXED),
            **dict.fromkeys(PUBLISHED, FIXED),
        }
    )
