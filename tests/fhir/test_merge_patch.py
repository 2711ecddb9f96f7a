"""JSON Merge Patch: https://www.rfc-editor.org/rfc/rfc7396 on resources."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_ins.fhir.merge_patch import merge_patched
from fhir_ins.fhir.outcome import Unprocessable

Json = dict[str, Any]

# The cases of appendix A whose documents are objects; the last leaves {} in the RFC, which FHIR does not have.
APPENDIX = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"a": "foo"}, {"b": {"c": {"d": None}}, "a": "foo"}, {"a": "foo"}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({"c": 1}, {"a": {"bb": {"ccc": None}}}, {"c": 1}),
]
VALUES = st.recursive(
    st.none() | st.integers() | st.sampled_from("xyz"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES, min_size=1, max_size=3)


def by_the_rfc(target: Any, patch: Any) -> Any:
    """Its pseudocode, https://www.rfc-editor.org/rfc/rfc7396#section-2, with the empty objects taken out."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = by_the_rfc(merged.get(name), value)
            if merged[name] == {}:
                del merged[name]
    return merged


@pytest.mark.parametrize(("target", "patch", "expected"), APPENDIX)
def test_the_examples_of_the_rfc(target: Json, patch: Json, expected: Json) -> None:
    assert merge_patched(target, patch) == expected


@given(OBJECTS, OBJECTS)
def test_as_the_pseudocode_of_the_rfc(target: Json, patch: Json) -> None:
    target, before = {"id": "1", **target}, deepcopy(target)
    assert merge_patched(target, patch) == by_the_rfc(target, patch)
    assert target == {"id": "1", **before}


@pytest.mark.parametrize("patch", [{"id": "2"}, {"id": None}, {"resourceType": "Group"}, {"resourceType": None}])
def test_type_and_id_are_no_patchs_to_change(patch: Json) -> None:
    with pytest.raises(Unprocessable):
        merge_patched({"resourceType": "Patient", "id": "1"}, patch)
