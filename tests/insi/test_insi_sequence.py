"""The given-name sequence of the CNDA, against the simulator."""

import pytest

from fhir_ins.ins.traits import Traits
from fhir_ins.insi.port import Fault, Found, NoIdentity, Requester, SeveralIdentities
from fhir_ins.insi.teleservice import Teleservice

WHO = Requester("tests", "a-test")


@pytest.mark.parametrize(
    ("traits", "calls", "outcome"),
    [
        (Traits("ADRUN", ("ZOE",), "F", "1975-12-31", None), [("ZOE", "00")], Found),
        (
            Traits("TCHITCHI", ("OLA", "CATARINA", "BELLA"), "F", "1936-06-21", None),
            [("OLA", "01"), ("CATARINA", "00")],
            Found,
        ),
        (
            Traits("HOUILLES", ("PIERRE", "PAUL", "JACQUES"), "M", "1993-01-27", None),
            [("PIERRE", "01"), ("PAUL", "01"), ("JACQUES", "01"), ("PIERRE PAUL JACQUES", "01")],
            NoIdentity,
        ),
        (
            Traits("DE VINCI", ("LEONARDO", "PIERO"), "M", "2014-02-01", None),
            [("LEONARDO", "02"), ("PIERO", "01"), ("LEONARDO PIERO", "02")],
            SeveralIdentities,
        ),
        (
            Traits("DE VINCI", ("LEONARDO", "RAPHAEL"), "M", "2014-02-01", None),
            [("LEONARDO", "02"), ("RAPHAEL", "01"), ("LEONARDO RAPHAEL", "01")],
            SeveralIdentities,
        ),
        (Traits("DE VINCI", ("LEONARDO",), "M", "2014-02-01", "63220"), [("LEONARDO", "00")], Found),
        (
            Traits("VANDERMONDE", ("ARIANA", "BELLA"), "F", "1995-06-17", None),
            [("ARIANA", "insi_102")],
            Fault,
        ),
    ],
    ids=lambda value: value.family if isinstance(value, Traits) else None,
)
async def test_given_names_go_one_by_one_then_together_until_found_or_failed(connect, traits, calls, outcome):
    said = await Teleservice({"tests": connect()}).search_by_traits(traits, WHO)
    assert [(call.given, call.code) for call in said.calls] == calls
    assert isinstance(said.outcome, outcome)
    assert len({call.message_id for call in said.calls}) == len(said.calls)


async def test_a_search_without_given_name_is_refused(connect):
    with pytest.raises(ValueError, match="at least one given name"):
        await Teleservice({"tests": connect()}).search_by_traits(Traits("ADRUN", (), "F", "1975-12-31", None), WHO)
