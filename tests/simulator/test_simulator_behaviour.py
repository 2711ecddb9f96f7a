"""How the simulator behaves: what can be said, what cannot, and how its answers are then written."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from insi_requests import by_traits, by_vitale, verify

from fhir_ins.ins.oid import InsOid
from fhir_ins.insi.contract import RESULT_NAMESPACE, SOAP_NAMESPACE, VERDICT_NAMESPACE, schema
from fhir_ins.insi.faults import KNOWN_FAULTS
from fhir_ins.insi.port import Fault, Found
from fhir_ins.insi.reader import read
from fhir_ins.simulator.behaviour import Behaviour, UnknownBehaviour, Wire, parse_options
from fhir_ins.simulator.control import Control
from fhir_ins.simulator.faults import ERRORS
from fhir_ins.simulator.identities import INJECTED

CHOICES = {
    "unknown": ["01", "insi_102"],
    "fault": ["desir_550", "desir_560", "insi_101", "insi_102", "insi_111", "insi_19", "insi_24"],
    "wire": ["html-503", "reset", "truncated", "wrong-content-type", "empty", "hang"],
    "prefix": ["env", "S", "soap", "ns2"],
    "subcode": ["soap", "S"],
    "severity": ["fatal", "fatale"],
    "language": ["fr", "en"],
    "order": ["contract", "dates-first"],
    "inject": sorted(INJECTED),
    "delay": ["0", "0.3", "600"],
    "times": ["1", "1000000"],
    "key": ["a test"],
}
ECETINSI = by_traits("ECETINSI", ("PIERRE-ALAIN",), "M", "2009-07-14")
VANDERMONDE = ("VANDERMONDE", ("ARIANA",), "F", "1995-06-17")


def parse(**said: str) -> Behaviour:
    return Behaviour.parse(said.items())


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in CHOICES.items() for value in values])
def test_every_value_is_read_through_every_door(name, value):
    said = parse(**{name: value})
    assert str(getattr(said, name)) in (value, f"{value}.0")
    assert parse_options([f"{name}={value}"]) == said == Behaviour.parse(said.texts().items())


@given(st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in CHOICES.items()}))
def test_what_is_said_can_be_said_again(said: Mapping[str, str]):
    behaviour = Behaviour.parse(said.items())
    assert Behaviour.parse(behaviour.texts().items()) == behaviour


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "other") for name in CHOICES if name != "key"),
        ("delay", "-1"),
        ("delay", "nan"),
        ("delay", "601"),
        ("times", "0"),
        ("times", "1.5"),
        ("times", "²"),
        ("times", "9" * 5000),
        ("key", ""),
        ("key", "a" * 101),
        ("wrong", "01"),
    ],
)
def test_what_means_nothing_is_told(name, value):
    with pytest.raises(UnknownBehaviour, match=name):
        parse(**{name: value})


@pytest.mark.parametrize(("option", "complaint"), [("fault", "name=value"), ("fault=", "insi_102"), ("=1", "unknown")])
def test_an_option_names_a_behaviour_and_its_value(option, complaint):
    with pytest.raises(UnknownBehaviour, match=complaint):
        parse_options([option])


def test_a_name_is_given_once():
    with pytest.raises(UnknownBehaviour, match="twice"):
        parse_options(["delay=1", "delay=2"])


def test_the_simulator_writes_every_fault_the_server_knows():
    known = [(fault.role, fault.siram, fault.code, fault.severity) for fault in KNOWN_FAULTS]
    written = [(error.role, error.siram, code, error.severity) for code, error in ERRORS.items()]
    assert [fault[:3] for fault in written] == [fault[:3] for fault in known]
    assert all(severity in (None, ours[3]) for (*_, severity), ours in zip(known, written, strict=True))


@pytest.mark.parametrize("code", list(ERRORS))
def test_a_fault_answers_everything(tell, code):
    for ask in (by_traits(), by_vitale("2751263220749"), verify("275126322074974", InsOid.NIR, NomNaissance="ADRUN")):
        told = tell(ask, fault=code)
        assert (told.answer.status, told.code.lower()) == (500, code)
        outcome = read(told.answer.body, told.answer.status)
        assert isinstance(outcome, Fault)
        assert (outcome.code or "").lower() == code


@pytest.mark.parametrize(
    ("prefix", "body", "result", "fault"),
    [
        ("env", "env", None, "soap"),
        ("S", "S", None, "S"),
        ("soap", "soap", None, "soap"),
        ("ns2", "env", "ns2", "soap"),
    ],
)
def test_prefixes_are_those_of_live_answers(tell, prefix, body, result, fault):
    told = tell(ECETINSI, prefix=prefix)
    assert (told.root[0].prefix, told.root[0][0].prefix) == (body, result)
    schema(RESULT_NAMESPACE).assertValid(told.root[0][0])
    assert read(told.answer.body, 200) == read(tell(ECETINSI).answer.body, 200)
    verdict = tell(verify("275126322074974", InsOid.NIR, NomNaissance="ADRUN"), prefix=prefix).root[0][0]
    schema(VERDICT_NAMESPACE).assertValid(verdict)
    broken = tell(by_traits(*VANDERMONDE), prefix=prefix)
    assert (broken.root[0].prefix, broken.root[0][0].prefix, broken.text("Value")) == (body, fault, f"{fault}:Receiver")


@pytest.mark.parametrize("subcode", ["soap", "S"])
@pytest.mark.parametrize("prefix", ["env", "S", "soap", "ns2"])
def test_a_subcode_has_a_prefix_that_is_declared(tell, prefix, subcode):
    told = tell(by_traits(*VANDERMONDE), prefix=prefix, subcode=subcode)
    value = told.root.find(".//{*}Subcode/{*}Value")
    assert value.text == f"{subcode}:siram_40"
    assert value.nsmap[subcode] == SOAP_NAMESPACE


@pytest.mark.parametrize(
    ("said", "severity", "language"),
    [({}, "fatal", "fr"), ({"severity": "fatale"}, "fatale", "fr"), ({"language": "en"}, "fatal", "en")],
)
def test_a_fault_says_how_bad_it_is_and_in_which_language(tell, said, severity, language):
    told = tell(by_traits(*VANDERMONDE), **said)
    text = told.root.find(".//{*}Reason/{*}Text")
    assert (told.error.get("severite"), *text.attrib.values()) == (severity, language)
    assert tell(by_traits(sex="X"), **said).error.get("severite") == "erreur"


def test_dates_may_come_before_what_they_date(tell):
    told = tell(ECETINSI, order="dates-first")
    former = told.root.find(".//{*}INSHISTO")
    assert [child.tag.rpartition("}")[2] for child in former] == ["DateDeb", "DateFin", "IdIndividu", "OID"]
    usual, other = (read(each.answer.body, 200) for each in (tell(ECETINSI), told))
    assert isinstance(usual, Found)
    assert isinstance(other, Found)
    assert (other.active, other.history) == (usual.active, usual.history)


def test_misbehaviour_ends_after_its_times_by_key():
    control = Control(Behaviour())
    said = {"fault": "insi_102", "delay": "0.1", "wire": "empty", "unknown": "insi_102", "times": "2"}

    def faults(**more: str) -> list[str | None]:
        return [control.behaviour([*said.items(), *more.items()]).fault for _ in range(4)]

    assert faults(key="a") == faults(key="b") == faults() == ["insi_102", "insi_102", None, None]
    over = control.behaviour([*said.items(), ("key", "a")])
    assert (over.wire, over.delay, over.unknown) == (None, 0.0, "insi_102")


def test_a_query_string_says_it_all_and_disturbs_nobody():
    control = Control(Behaviour(unknown="insi_102"))
    control.set(Behaviour(wire=Wire.RESET, times=1))
    assert control.behaviour([("delay", "1"), ("times", "1")]) == Behaviour(delay=1.0, times=1)
    assert control.behaviour([]).wire is Wire.RESET
    assert control.behaviour([]).wire is None
    control.set(control.default)
    assert control.behaviour([]).wire is Wire.RESET
    control.set(None)
    assert control.behaviour([]) == Behaviour(unknown="insi_102")
