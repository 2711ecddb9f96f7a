"""The traits in HL7 v2: the PID segment of IHE PAM France, and its fields.

Source: IHE PAM France 2.11.2 p. 36-41; IHE France, constraints on HL7 data types 1.8.2 p. 25.
"""

from fhir_ins.ins.national_identity import LocalIdentifier, NationalIdentity, UsedName
from fhir_ins.ins.wire.cx import local_cx, pam_cx
from fhir_ins.ins.wire.hl7v2 import components, escaped

_VALIDATED = "VALI"  # PID-32: with it only, a receiver integrates an INS


def pid_segment(ins: NationalIdentity, *, used: UsedName | None = None, local: tuple[LocalIdentifier, ...] = ()) -> str:
    """The segment of a qualified identity, without its end: what is known here, to be completed by the sender.

    A birth date of which the month or the day is unknown is cut in PID-7; ZFD-1 of another segment has room for it.
    """
    names = [birth_name(ins), *([_used_name(used)] if used else [])]
    fields = {
        1: "1",
        3: "~".join([*map(local_cx, local), pam_cx(ins)]),
        5: "~".join(names),
        7: ins.known_birth_date,
        8: ins.sex.value,
        11: birth_address(ins),
        32: _VALIDATED,
    }
    return "|".join(["PID", *(fields.get(number, "") for number in range(1, 33))])


def birth_name(ins: NationalIdentity) -> str:
    """XPN of type L: birth name, first given name, list of given names."""
    return components(escaped(ins.family), escaped(ins.first_given), escaped(ins.given_list), "", "", "", "L")


def birth_address(ins: NationalIdentity) -> str:
    """XAD of type BDL: the birth place, its COG in XAD-9."""
    return components("", "", "", "", "", "", "BDL", "", ins.birth_place)


def _used_name(used: UsedName) -> str:
    return components(escaped(used.family), escaped(used.given), "", "", "", "", "D")
