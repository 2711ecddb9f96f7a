"""The identity record as a MongoDB document, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fhir_ins.ins.identity import DocumentCheck, Identity, InsNumber, Obtained
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.status import Attribute, Obstacle
from fhir_ins.ins.traits import Traits


def identity_document(identity: Identity) -> dict[str, Any]:
    """Every fact of the record, INSi's traits as received; the status is for people who look, never read back."""
    return {
        "status": identity.status.value,
        "obtained": asdict(identity.obtained) if identity.obtained else None,
        "check": asdict(identity.check) if identity.check else None,
        "attributes": sorted(identity.attributes),
        "obstacles": sorted(identity.obstacles),
        "supplied": [asdict(number) for number in identity.supplied],
        "ended": [asdict(check) for check in identity.ended],
        "withdrawn": [asdict(number) for number in identity.withdrawn],
    }


def identity_of(document: Mapping[str, Any] | None) -> Identity:
    """The record a document holds; none gives an identity nothing is known of."""
    if not document:
        return Identity()
    check = document["check"]
    return Identity(
        obtained=_obtained(document["obtained"]) if document["obtained"] else None,
        check=DocumentCheck(**check) if check else None,
        attributes=frozenset(Attribute(code) for code in document["attributes"]),
        obstacles=frozenset(Obstacle(code) for code in document["obstacles"]),
        supplied=tuple(_number(number) for number in document["supplied"]),
        ended=tuple(DocumentCheck(**ended) for ended in document["ended"]),
        withdrawn=tuple(_number(number) for number in document["withdrawn"]),
    )


def _obtained(document: Mapping[str, Any]) -> Obtained:
    traits = document["traits"]
    return Obtained(
        active=_number(document["active"]),
        history=tuple(_number(number) for number in document["history"]),
        traits=Traits(**{**traits, "given": tuple(traits["given"])}),
        on=document["on"],
        message_id=document["message_id"],
        source=document["source"],
    )


def _number(document: Mapping[str, Any]) -> InsNumber:
    return InsNumber(**{**document, "matricule": Matricule(**document["matricule"])})
