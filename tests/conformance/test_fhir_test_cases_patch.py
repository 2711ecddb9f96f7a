"""The patch cases of https://github.com/FHIR/fhir-test-cases, where a copy of it is at hand.

FHIR_TEST_CASES names the folder of the copy. All of r4/patch run but xml-patch-tests.xml: XML Patch is not offered.
The cases are pairs of resources and a patch; of those with mode "both" the way back, making a patch, is not offered.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from fhir_ins.fhir.element_tree import Element, resource_of
from fhir_ins.fhir.fhirpath_patch import fhirpath_patched
from fhir_ins.fhir.json_patch import json_patched
from fhir_ins.fhir.outcome import Unprocessable
from fhir_ins.fhir.places import Place, property_of

CASES = Path(os.environ.get("FHIR_TEST_CASES", "")) / "r4" / "patch"

pytestmark = pytest.mark.skipif(
    "FHIR_TEST_CASES" not in os.environ or not CASES.is_dir(), reason="FHIR_TEST_CASES names no copy of the cases"
)


def json_cases() -> list[Any]:
    file = CASES / "json-patch-tests.json"
    return json.loads(file.read_text("utf-8")) if file.is_file() else []


def fhirpath_cases() -> list[Any]:
    file = CASES / "fhir-patch-tests.xml"
    return list(etree.fromstring(file.read_bytes()).iterfind("case")) if file.is_file() else []


@pytest.mark.parametrize("case", json_cases(), ids=lambda case: case["comment"])
def test_json_patch(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(Unprocessable):
            json_patched(case["doc"], case["patch"])
    else:
        assert json_patched(case["doc"], case["patch"]) == case["expected"]


@pytest.mark.parametrize("case", fhirpath_cases(), ids=lambda case: case.get("name"))
def test_fhirpath_patch(case: Any) -> None:
    before, patch = resource_in(case.find("input")), resource_in(case.find("diff"))
    if case.find("error") is not None:
        with pytest.raises(Unprocessable):
            fhirpath_patched(before, patch)
    else:
        assert fhirpath_patched(before, patch) == resource_in(case.find("output"))


def resource_in(around: Any) -> dict[str, Any]:
    """The one resource inside an XML element, as JSON."""
    (sent,) = around.iterchildren(etree.Element)
    type_ = etree.QName(sent).localname
    return resource_of(read(Element("", "", type_, Place(type_)), sent))


def read(element: Element, sent: Any) -> Element:
    for child in [*sent.iterchildren(etree.Element)]:
        name = etree.QName(child).localname
        found = property_of(element.place, name)
        assert found is not None, name
        if found.type == "xhtml":
            element.insert(Element.defined(name, found, " ".join(etree.canonicalize(child).split())))
        else:
            element.insert(read(Element.defined(name, found, value_of(child.get("value"), found.type)), child))
    for name in {"id", "url"} & set(sent.keys()):
        found = property_of(element.place, name)
        assert found is not None
        element.insert(Element.defined(name, found, sent.get(name)))
    return element


def value_of(text: str | None, type_: str) -> Any:
    if type_ in ("boolean", "integer"):
        return json.loads(str(text))
    # The div of a patch is an escaped string, and white space in it is not the point of any case
    return " ".join(etree.canonicalize(text).split()) if text and text.startswith("<div") else text
