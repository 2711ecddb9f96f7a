"""CDA R2: the recordTarget of a header, with what CI-SIS asks of a document that carries an INS.

Source: ANS schematron ASIP-STRUCT-MIN (TestContenuCDA-3-0): id under an INS authority calls for the family name
qualified BR, a given name qualified BR (the first), one not qualified (the list), gender, birth time and the COG in
birthplace/place/addr/county; a used name is qualified CL.
"""

import re
from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, tostring

from fhir_ins.ins.national_identity import LocalIdentifier, NationalIdentity, UsedName
from fhir_ins.ins.traits import Sex

_NAMESPACE = "urn:hl7-org:v3"
_GENDERS = "2.16.840.1.113883.5.1"
_GENDER_NAMES: Mapping[Sex, str] = {Sex.MALE: "Masculin", Sex.FEMALE: "Féminin"}
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def record_target(
    ins: NationalIdentity, *, used: UsedName | None = None, local: tuple[LocalIdentifier, ...] = ()
) -> str:
    """The element as XML; address and telecom are the document's own to add.

    Of the internal identifiers, those under an OID become an id; a CDA root cannot be another URI.
    """
    target = Element("recordTarget", {"xmlns": _NAMESPACE})
    role = SubElement(target, "patientRole")
    SubElement(role, "id", {"extension": str(ins.matricule), "root": ins.oid.value})
    for identifier in local:
        if identifier.is_oid:
            SubElement(role, "id", {"extension": _text(identifier.value), "root": identifier.authority})
    patient = SubElement(role, "patient", {"classCode": "PSN"})
    _add_name(patient, ins, used)
    gender = {"code": ins.sex.value, "displayName": _GENDER_NAMES[ins.sex], "codeSystem": _GENDERS}
    SubElement(patient, "administrativeGenderCode", gender)
    SubElement(patient, "birthTime", {"value": ins.known_birth_date})
    address = SubElement(SubElement(SubElement(patient, "birthplace"), "place"), "addr")
    SubElement(address, "county").text = ins.birth_place
    return tostring(target, encoding="unicode")


def _add_name(patient: Element, ins: NationalIdentity, used: UsedName | None) -> None:
    name = SubElement(patient, "name")
    parts = [("family", "BR", ins.family), ("given", None, ins.given_list), ("given", "BR", ins.first_given)]
    if used:
        parts += [("family", "CL", used.family), ("given", "CL", used.given)]
    for part, qualifier, text in parts:
        if text:
            SubElement(name, part, {"qualifier": qualifier} if qualifier else {}).text = _text(text)


def _text(text: str) -> str:
    """`text` with what XML 1.0 cannot say shown as a replacement character."""
    return _NOT_XML.sub("\ufffd", text)
