"""The fault table, and the rule for what it does not name."""

import pytest

from fhir_ins.insi.faults import KNOWN_FAULTS, kind_of
from fhir_ins.insi.port import FaultKind


@pytest.mark.parametrize("fault", KNOWN_FAULTS, ids=lambda fault: fault.code)
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_a_known_fault_has_its_kind_whatever_the_case(fault, case):
    assert kind_of(fault.role, fault.siram, case(fault.code), fault.severity) is fault.kind


@pytest.mark.parametrize("fault", KNOWN_FAULTS, ids=lambda fault: fault.code)
def test_the_rule_agrees_with_every_row_of_the_table(fault):
    family = fault.code.partition("_")[0]
    assert kind_of(fault.role, fault.siram, f"{family}_9999", fault.severity) is fault.kind


@pytest.mark.parametrize(
    ("role", "siram", "code", "severity", "kind"),
    [
        ("Sender", "siram_40", "insi_9999", "erreur", FaultKind.TRANSIENT),
        ("Sender", "siram_7", "insi_9999", "fatal", FaultKind.TRANSIENT),
        ("Sender", "siram_7", "insi_9999", "FATALE", FaultKind.TRANSIENT),
        ("Receiver", "siram_7", "other_1", "erreur", FaultKind.TRANSIENT),
        ("Sender", "siram_100", "DESIR_9999", "erreur", FaultKind.CONFIGURATION),
        ("Sender", "siram_10", "INSI_9999", "erreur", FaultKind.REQUEST),
        ("Sender", None, None, None, FaultKind.CONFIGURATION),
        ("MustUnderstand", None, None, None, FaultKind.CONFIGURATION),
        (None, None, None, None, FaultKind.TRANSIENT),
    ],
)
def test_an_unknown_fault_follows_the_rule(role, siram, code, severity, kind):
    assert kind_of(role, siram, code, severity) is kind
