"""JSON Patch: https://www.rfc-editor.org/rfc/rfc6902 on resources, with number literals as they came."""

import json
from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_ins.fhir.json import parse, parse_array, serialise
from fhir_ins.fhir.json_patch import MOST_COPIED, json_patched
from fhir_ins.fhir.outcome import BadRequest, FhirError, Unprocessable
from fhir_ins.fhir.patching import MOST_OPERATIONS

Json = dict[str, Any]

PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "active": True,
    "name": [{"use": "official", "family": "DURAND", "given": ["Marie", "Anne", "Zoé"]}, {"use": "usual"}],
    "telecom": [{"system": "phone", "value": "0102030405"}],
    "multipleBirthInteger": 2,
}


def patched(resource: Json, *operations: Any) -> Json:
    return json_patched(resource, parse_array(json.dumps(operations).encode()))


def refused(resource: Json, *operations: Any) -> FhirError:
    with pytest.raises(FhirError) as error:
        patched(resource, *operations)
    assert "DURAND" not in str(error.value)
    assert len(error.value.issues) == 1
    return error.value


# The appendix of the RFC: example, document, operations, outcome (None: it does not apply)
APPENDIX = [
    ("A.1", {"a": "x"}, [{"op": "add", "path": "/b", "value": "y"}], {"a": "x", "b": "y"}),
    ("A.2", {"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
    ("A.3", {"a": 1, "b": 2}, [{"op": "remove", "path": "/a"}], {"b": 2}),
    ("A.4", {"a": [1, 2, 3]}, [{"op": "remove", "path": "/a/1"}], {"a": [1, 3]}),
    ("A.5", {"a": 1, "b": 2}, [{"op": "replace", "path": "/a", "value": 3}], {"a": 3, "b": 2}),
    (
        "A.6",
        {"a": {"x": 1, "y": 2}, "b": {"z": 3}},
        [{"op": "move", "from": "/a/y", "path": "/b/w"}],
        {"a": {"x": 1}, "b": {"z": 3, "w": 2}},
    ),
    ("A.7", {"a": [1, 2, 3, 4]}, [{"op": "move", "from": "/a/1", "path": "/a/3"}], {"a": [1, 3, 4, 2]}),
    (
        "A.8",
        {"a": "x", "b": [1, 2]},
        [{"op": "test", "path": "/a", "value": "x"}, {"op": "test", "path": "/b/1", "value": 2}],
        {"a": "x", "b": [1, 2]},
    ),
    ("A.9", {"a": "x"}, [{"op": "test", "path": "/a", "value": "y"}], None),
    ("A.10", {"a": 1}, [{"op": "add", "path": "/b", "value": {"c": {}}}], {"a": 1, "b": {"c": {}}}),
    ("A.11", {"a": 1}, [{"op": "add", "path": "/b", "value": 2, "unknown": 3}], {"a": 1, "b": 2}),
    ("A.12", {"a": 1}, [{"op": "add", "path": "/b/c", "value": 2}], None),
    ("A.14", {"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    ("A.15", {"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": "10"}], None),
    ("A.16", {"a": [1]}, [{"op": "add", "path": "/a/-", "value": [2, 3]}], {"a": [1, [2, 3]]}),
]


@pytest.mark.parametrize(
    ("document", "operations", "outcome"), [row[1:] for row in APPENDIX], ids=[r[0] for r in APPENDIX]
)
def test_the_examples_of_the_rfc(document, operations, outcome):
    if outcome is None:
        assert refused(document, *operations).status == 422
    else:
        assert patched(document, *operations) == outcome


def test_a_member_given_twice_is_refused():
    """A.13"""
    with pytest.raises(BadRequest, match="“op” comes twice"):
        parse_array(b'[{"op": "add", "path": "/active", "value": true, "op": "remove"}]')


UNREADABLE = [
    (1, "structure", "no object"),
    ({"path": "/a"}, "value", "no op"),
    ({"op": "Add", "path": "/a", "value": 1}, "value", "no op"),
    ({"op": ["add"], "path": "/a", "value": 1}, "value", "no op"),
    ({"op": "remove"}, "required", "needs the member path"),
    ({"op": "add", "path": "/a"}, "required", "needs the member value"),
    ({"op": "test", "path": "/a"}, "required", "needs the member value"),
    ({"op": "replace", "path": "/a"}, "required", "needs the member value"),
    ({"op": "move", "path": "/a"}, "required", "needs the member from"),
    ({"op": "copy", "from": "/a"}, "required", "needs the member path"),
    ({"op": "copy", "from": "a", "path": "/a"}, "value", "Operation 2 of the patch: its from"),
    ({"op": "remove", "path": "name"}, "value", "no JSON Pointer"),
    ({"op": "remove", "path": None}, "value", "no JSON Pointer"),
    ({"op": "remove", "path": "/na~2me"}, "value", "no JSON Pointer"),
    ({"op": "remove", "path": "/name~"}, "value", "no JSON Pointer"),
    ({"op": "remove", "path": "/a" * 65}, "structure", "deeper than 64"),
]


@pytest.mark.parametrize(("operation", "code", "text"), UNREADABLE)
def test_what_cannot_be_read_is_a_bad_request(operation, code, text):
    """Also when an operation before it does not apply."""
    error = refused(PATIENT, {"op": "remove", "path": "/nothing"}, operation)
    assert (error.status, error.issues[0].code) == (400, code)
    assert text in str(error)
    assert "peration 2" in str(error)


DO_NOT_APPLY = [
    ({"op": "remove", "path": "/birthDate"}, "Patient.birthDate"),
    ({"op": "remove", "path": "/_birthDate/extension/0"}, "Patient.birthDate.extension[0]"),
    ({"op": "remove", "path": "/deceasedBoolean"}, "Patient.deceased"),
    ({"op": "remove", "path": "/name/2"}, "Patient.name[2]"),
    ({"op": "remove", "path": "/name/-"}, "Patient.name"),
    ({"op": "remove", "path": "/name/01"}, "Patient.name"),
    ({"op": "remove", "path": "/name/-1"}, "Patient.name"),
    ({"op": "remove", "path": "/name/1e0"}, "Patient.name"),
    ({"op": "remove", "path": "/name/٠"}, "Patient.name"),
    ({"op": "remove", "path": "/name/" + "9" * 5000}, "Patient.name"),
    ({"op": "remove", "path": "/name/use"}, "Patient.name.use"),
    ({"op": "remove", "path": "/active/0"}, "Patient.active[0]"),
    ({"op": "remove", "path": "/1 75 12 63"}, "Patient"),
    ({"op": "replace", "path": "/birthDate", "value": "1975"}, "Patient.birthDate"),
    ({"op": "add", "path": "/name/3", "value": {}}, "Patient.name[3]"),
    ({"op": "add", "path": "/name/x", "value": {}}, "Patient.name.x"),
    ({"op": "add", "path": "/active/value", "value": 1}, "Patient.active.value"),
    ({"op": "add", "path": "/contact/0/gender", "value": "male"}, "Patient.contact[0].gender"),
    ({"op": "move", "from": "/photo", "path": "/active"}, "Patient.photo"),
    ({"op": "move", "from": "/name", "path": "/name/0"}, "Patient.name[0]"),
    ({"op": "move", "from": "", "path": "/name"}, "Patient.name"),
    ({"op": "copy", "from": "/name/7/given", "path": "/active"}, "Patient.name[7].given"),
    ({"op": "test", "path": "/name/0/family", "value": "MARTIN"}, "Patient.name[0].family"),
    ({"op": "test", "path": "/active", "value": 1}, "Patient.active"),
    ({"op": "test", "path": "/multipleBirthInteger", "value": "2"}, "Patient.multipleBirth"),
    ({"op": "test", "path": "/name/1", "value": {"use": "usual", "family": None}}, "Patient.name[1]"),
    ({"op": "test", "path": "/nothing", "value": None}, "Patient.nothing"),
]


@pytest.mark.parametrize(("operation", "expression"), DO_NOT_APPLY)
def test_what_does_not_apply_says_where(operation, expression):
    error = refused(PATIENT, {"op": "test", "path": "", "value": PATIENT}, operation)
    assert (error.status, error.issues[0].expression) == (422, expression)
    assert str(error).startswith(f"Operation 2 of the patch ({operation['op']}) does not apply")


OTHER_RESOURCES = [
    ({"op": "replace", "path": "/resourceType", "value": "Person"}, "Patient"),
    ({"op": "remove", "path": "/resourceType"}, "Patient"),
    ({"op": "replace", "path": "/id", "value": "p2"}, "Patient.id"),
    ({"op": "remove", "path": "/id"}, "Patient.id"),
    ({"op": "replace", "path": "", "value": {"resourceType": "Patient", "id": "p2"}}, "Patient.id"),
    ({"op": "remove", "path": ""}, None),
    ({"op": "replace", "path": "", "value": [PATIENT]}, None),
]


@pytest.mark.parametrize(("operation", "expression"), OTHER_RESOURCES)
def test_a_patch_makes_no_other_resource(operation, expression):
    error = refused(PATIENT, operation)
    assert (error.status, error.issues[0].expression) == (422, expression)


def test_the_whole_resource_may_be_replaced_by_itself():
    whole = {"resourceType": "Patient", "id": "p1", "active": False}
    assert patched(PATIENT, {"op": "replace", "path": "", "value": whole}) == whole
    assert patched(PATIENT, {"op": "remove", "path": ""}, {"op": "add", "path": "", "value": whole}) == whole
    assert patched(PATIENT, {"op": "move", "from": "", "path": ""}) == PATIENT
    assert patched(PATIENT, {"op": "copy", "from": "", "path": ""}) == PATIENT


# What is emptied: a resource, operations, outcome
EMPTIED = [
    ("the only item", {"telecom": [{"value": "1"}]}, ["/telecom/0"], {}),
    ("the only member of the only item", {"telecom": [{"value": "1"}]}, ["/telecom/0/value"], {}),
    ("an item of several", {"contact": [{"gender": "male"}, {"gender": "female"}]}, ["/contact/0/gender"], {
        "contact": [{"gender": "female"}]
    }),
    ("all items", {"name": [{"given": ["A", "B"]}]}, ["/name/0/given/0", "/name/0/given/0"], {}),
    ("a sibling", {"birthDate": "1975", "_birthDate": {"id": "x"}}, ["/_birthDate/id"], {"birthDate": "1975"}),
    (
        "an item of siblings",
        {"name": [{"given": ["A", "B"], "_given": [{"id": "x"}, {"id": "y"}]}]},
        ["/name/0/_given/0/id"],
        {"name": [{"given": ["A", "B"], "_given": [None, {"id": "y"}]}]},
    ),
    (
        "the only item of siblings that says something",
        {"name": [{"given": ["A", "B"], "_given": [None, {"id": "y"}]}]},
        ["/name/0/_given/1/id"],
        {"name": [{"given": ["A", "B"]}]},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("before", "paths", "after"), [row[1:] for row in EMPTIED], ids=[row[0] for row in EMPTIED])
def test_what_a_patch_empties_is_gone(before, paths, after):
    resource = {"resourceType": "Patient", **before}
    removals = [{"op": "remove", "path": path} for path in paths]
    assert patched(resource, *removals) == {"resourceType": "Patient", **after}


def test_an_emptied_array_can_be_filled_again():
    address = {"op": "add", "path": "/telecom/0", "value": {"system": "email"}}
    for path in ("/telecom/0", "/telecom/-"):
        outcome = patched(PATIENT, {"op": "remove", "path": "/telecom/0"}, {**address, "path": path})
        assert outcome["telecom"] == [{"system": "email"}]


def test_what_a_patch_adds_empty_is_kept_to_be_refused():
    for empty in ({}, [], [None], {"extension": []}):
        assert patched(PATIENT, {"op": "add", "path": "/photo", "value": empty})["photo"] == empty


def test_a_primitive_and_its_sibling_are_patched_each_by_itself():
    resource = {"resourceType": "Patient", "name": [{"given": ["A", "B"], "_given": [None, {"id": "b"}]}]}
    one, two = {"op": "remove", "path": "/name/0/given/0"}, {"op": "remove", "path": "/name/0/_given/0"}
    assert patched(resource, one)["name"] == [{"given": ["B"], "_given": [None, {"id": "b"}]}]
    assert patched(resource, one, two)["name"] == [{"given": ["B"], "_given": [{"id": "b"}]}]


# Numbers: literals that are equal, and that are not
@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("1.0", "1", True),
        ("72.50", "72.5", True),
        ("1e2", "100", True),
        ("-0", "0", True),
        ("1E400", "10E399", True),
        ("1E400", "1E401", False),
        ("0.1000000000000000055511151231", "0.1", False),
        ("18446744073709551616", "18446744073709551617", False),
        ("9" * 5000, "9" * 5000, True),
        ("1e9999999999999999999", "1e9999999999999999999", True),
        ("1e9999999999999999999", "2", False),
        ("1", "true", False),
        ("0", "false", False),
        ("1", '"1"', False),
        ("0", "null", False),
    ],
)
def test_numbers_are_tested_by_value(one, other, equal):
    resource = parse(f'{{"resourceType": "Observation", "value": [{{"v": {one}}}]}}'.encode())
    operations = parse_array(f'[{{"op": "test", "path": "/value/0", "value": {{"v": {other}}}}}]'.encode())
    if equal:
        assert json_patched(resource, operations) == resource
    else:
        with pytest.raises(Unprocessable):
            json_patched(resource, operations)


def test_number_literals_survive():
    resource = parse(b'{"resourceType":"Observation","a":[72.50,1.20e-3]}')
    operations = parse_array(
        b'[{"op":"add","path":"/b","value":{"c":0.10}},{"op":"copy","from":"/a","path":"/d"},'
        b'{"op":"move","from":"/a/0","path":"/e"},{"op":"remove","path":"/a/0"}]'
    )
    expected = b'{"resourceType":"Observation","b":{"c":0.10},"d":[72.50,1.20e-3],"e":72.50}'
    assert serialise(json_patched(resource, operations)) == expected


# Bounds


def test_the_operations_of_a_patch_are_bounded():
    test = {"op": "test", "path": "/active", "value": True}
    assert patched(PATIENT, *[test] * MOST_OPERATIONS) == PATIENT
    error = refused(PATIENT, *[test] * (MOST_OPERATIONS + 1))
    assert (error.status, error.issues[0].code) == (400, "too-costly")


def test_copies_of_copies_do_not_fill_the_memory():
    resource = {**PATIENT, "text": "x" * 1000}
    bomb = [{"op": "copy", "from": "/text", "path": "/a"}, {"op": "copy", "from": "", "path": "/b"}]
    error = refused(resource, *bomb * 400)
    assert (error.status, error.issues[0].code) == (422, "too-costly")
    assert len(serialise(patched(resource, *bomb * 7))) < MOST_COPIED


def test_the_outcome_is_no_deeper_than_a_body_may_be():
    deep = {"a": {}}
    for _ in range(31):
        deep = {"a": deep}
    first = {"op": "add", "path": "/a", "value": deep}
    assert patched(PATIENT, first)
    further = {"op": "add", "path": "/a" * 33, "value": deep}
    assert refused(PATIENT, first, further, {"op": "copy", "from": "", "path": "/b"}).status == 422
    assert "deeper than 64" in str(refused(PATIENT, first, further))
    # Moving a thing into another deepens by 60 levels each time: none of it may end the process.
    nest = [{"op": "add", "path": f"/n{index}", "value": deep} for index in range(300)]
    moves = [{"op": "move", "from": f"/n{index}", "path": f"/n{index + 1}" + "/a" * 31} for index in range(299)]
    assert "deeper than 64" in str(refused(PATIENT, *nest, *moves))


# Any patch

keys = st.sampled_from(["a", "b", "_a", "~", "/", "id"])
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(keys, values, max_size=4).map(lambda members: {"resourceType": "Patient", **members})
pointers = st.lists(st.sampled_from(["a", "b", "_a", "~0", "~1", "0", "1", "-", "id"]), max_size=4).map(
    lambda tokens: "".join(f"/{token}" for token in tokens)
)
operations_ = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": pointers},
    optional={"from": pointers, "value": values},
)


@given(documents, st.lists(operations_ | values, max_size=8))
def test_a_patch_applies_or_is_refused_and_its_input_stays(document, operations):
    before = deepcopy((document, operations))
    with suppress(FhirError):
        outcome = json_patched(document, operations)
        assert outcome["resourceType"] == "Patient"
        assert outcome.get("id") == document.get("id")
    assert (document, operations) == before


def difference(before: Any, after: Any, path: str = "") -> list[Json]:
    """A patch from one value to the other, of operations as small as they can be."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for name in before.keys() | after.keys():
            step = path + "/" + name.replace("~", "~0").replace("/", "~1")
            if name not in after:
                found.append({"op": "remove", "path": step})
            elif name not in before:
                found.append({"op": "add", "path": step, "value": after[name]})
            else:
                found += difference(before[name], after[name], step)
        return found
    if isinstance(before, list) and isinstance(after, list):
        common = min(len(before), len(after))
        found = [op for index in range(common) for op in difference(before[index], after[index], f"{path}/{index}")]
        found += [{"op": "add", "path": f"{path}/-", "value": item} for item in after[common:]]
        return found + [{"op": "remove", "path": f"{path}/{common}"} for _ in before[common:]]
    return [{"op": "replace", "path": path, "value": after}]


full: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers(-9, 9) | st.text(max_size=2),
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(keys, inner, min_size=1, max_size=3),
    max_leaves=8,
)
resources = st.dictionaries(st.sampled_from(["a", "b", "c", "~", "/"]), full, max_size=4).map(
    lambda members: {"resourceType": "Patient", "id": "p1", **members}
)


@given(resources, resources)
def test_the_difference_of_two_resources_leads_from_one_to_the_other(before, after):
    assert json_patched(before, difference(before, after)) == after
