"""Our contract says what the published one says, element by element."""

from pathlib import Path

import pytest
from lxml import etree

from fhir_ins.insi.contract import (
    ADDRESSING_SCHEMA,
    BAM_NAMESPACE,
    BINDING,
    LPS_NAMESPACE,
    RESULT_NAMESPACE,
    SIRAM_NAMESPACE,
    TRAITS_NAMESPACE,
    WSDL,
    element_names,
    schema,
)
from fhir_ins.insi.wsdl import contract_client

PUBLISHED_WSDL = "contract/DESIR_ICIR_EXP_1.5.0.wsdl"
ELEMENTS = [
    f"{{{TRAITS_NAMESPACE}}}RECSANSVITALE",
    "{http://www.cnamts.fr/INSiRecVit}RECVITALE",
    f"{{{RESULT_NAMESPACE}}}RESULTAT",
    f"{{{BAM_NAMESPACE}}}ContexteBAM",
    f"{{{LPS_NAMESPACE}}}ContexteLPS",
]


def shape(element) -> tuple:
    """Name, cardinality, attributes and children of an element, in order and all the way down."""
    children = [shape(child) for _, child in getattr(element.type, "elements", [])]
    attributes = sorted((name, attribute.required) for name, attribute in getattr(element.type, "attributes", []))
    return (str(element.qname or element.name), element.min_occurs, element.max_occurs, attributes, children)


def operations(client) -> dict[str, tuple]:
    binding = client.wsdl.bindings[BINDING]
    return {
        name: (
            operation.soapaction,
            str(operation.input.body.qname),
            [part for part, _ in operation.input.header.type.elements],
            str(operation.output.body.qname),
        )
        for name, operation in binding.all().items()
    }


def test_the_operations_have_the_published_names_actions_headers_and_bodies(published: Path):
    ours, theirs = contract_client(WSDL), contract_client(published / PUBLISHED_WSDL)
    assert operations(ours) == operations(theirs)
    assert len(operations(ours)) == 2


@pytest.mark.parametrize("name", ELEMENTS)
def test_an_element_has_the_published_shape(published: Path, name):
    ours, theirs = contract_client(WSDL), contract_client(published / PUBLISHED_WSDL)
    assert shape(ours.get_element(name)) == shape(theirs.get_element(name))


@pytest.mark.parametrize("severity", ["information", "avertissement", "erreur", "fatale", "fatal"])
def test_an_error_may_be_fatal_in_both_spellings(severity):
    error = etree.Element(f"{{{SIRAM_NAMESPACE}}}Erreur", severite=severity, code="insi_102")
    assert schema(SIRAM_NAMESPACE).validate(error)


def test_the_contract_imports_nothing_remote():
    for file in (WSDL, *ADDRESSING_SCHEMA.parent.glob("*.xsd")):
        locations = etree.parse(file).xpath("//@schemaLocation")
        assert all((WSDL.parent / str(location)).is_file() for location in locations)


def test_the_names_of_an_answer_are_those_of_its_schema():
    assert {"RESULTAT", "INSACTIF", "INSHISTO", "TIQ", "ListePrenom"} <= element_names(RESULT_NAMESPACE)
