"""The OIDs that say what a national number is.

Source: ANS list of OIDs; IHE France, constraints on HL7 data types 1.8.2 p. 7-8; FR Core issue 284.
"""

from enum import StrEnum


class InsOid(StrEnum):
    """The four authorities under which a matricule is an INS."""

    NIR = "1.2.250.1.213.1.4.8"
    NIA = "1.2.250.1.213.1.4.9"
    NIR_TEST = "1.2.250.1.213.1.4.10"
    NIR_DEMO = "1.2.250.1.213.1.4.11"


class NotAnIns(StrEnum):
    """Neighbouring authorities, never to be taken for an INS: social security numbers and the calculated INS-C."""

    NSS_NIR = "1.2.250.1.213.1.4.13"
    NSS_NIA = "1.2.250.1.213.1.4.14"
    INS_C = "1.2.250.1.213.1.4.2"
    INS_C_TEST = "1.2.250.1.213.1.4.6"
    INS_C_DEMO = "1.2.250.1.213.1.4.7"


_INS_OIDS = frozenset(InsOid)


def ins_oid(text: str) -> InsOid | None:
    """The INS authority written as an OID (`1.2…`) or as a URI (`urn:oid:1.2…`, in any case), or None for any other."""
    oid = text.lower().removeprefix("urn:oid:")
    return InsOid(oid) if oid in _INS_OIDS else None
