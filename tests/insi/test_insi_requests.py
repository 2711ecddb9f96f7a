"""The request a search by traits sends, held to our contract and to the published one."""

import re
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from lxml import etree

from fhir_ins.ins.traits import Traits
from fhir_ins.insi.contract import (
    ADDRESSING_NAMESPACE,
    BAM_NAMESPACE,
    LPS_NAMESPACE,
    SOAP_NAMESPACE,
    TRAITS_NAMESPACE,
    WSDL,
    schema,
)
from fhir_ins.insi.envelope import CallingSoftware, RequestBuilder, RequestIds

SOFTWARE = CallingSoftware("SIMULATEUR01", "fhir-ins", "0.1.0", "instance-1", "10B0999901")
IDS = RequestIds(UUID(int=1), UUID(int=2), UUID(int=3), datetime(2026, 3, 4, 5, 6, 7, 89_012, UTC))
TRAITS = Traits("HOUILLES", ("PIERRE", "PAUL"), "M", "1993-00-27", "63220")
PUBLISHED_WSDL = "contract/DESIR_ICIR_EXP_1.5.0.wsdl"
PUBLISHED_SCHEMAS = {
    BAM_NAMESPACE: "CTX/ROOT_ctxbam_CTXBAM_V01_02.xsd",
    LPS_NAMESPACE: "CTX/ROOT_ctxlps_CTXLPS_V01_00.xsd",
    TRAITS_NAMESPACE: "ServiceIdentiteCertifiee/INSi_RECSANS_INS.xsd",
}


def request(prenoms=("PIERRE",), traits=TRAITS, wsdl=None, ids=IDS) -> bytes:
    return RequestBuilder(SOFTWARE, wsdl).search_by_traits(traits, prenoms, ids)


def parts(envelope: bytes) -> list[etree._Element]:
    """The header elements and the body element."""
    root = etree.fromstring(envelope)
    return [*root[0], *root[1]]


def values(envelope: bytes) -> dict[str, str]:
    return {
        f"{etree.QName(element.getparent()).localname}/{etree.QName(element).localname}": element.text or ""
        for element in etree.fromstring(envelope).iter()
        if len(element) == 0
    }


def test_the_envelope_is_soap_1_2_with_four_headers_and_no_security():
    root = etree.fromstring(request())
    assert [etree.QName(element).localname for element in root] == ["Header", "Body"]
    assert {etree.QName(element).namespace for element in root} == {SOAP_NAMESPACE}
    assert [etree.QName(element).localname for element in root[0]] == [
        "ContexteBAM",
        "ContexteLPS",
        "Action",
        "MessageID",
    ]


def test_headers_and_body_say_what_the_live_service_accepts():
    assert values(request()) == {
        "ContexteBAM/Id": str(UUID(int=2)),
        "ContexteBAM/Temps": "2026-03-04T05:06:07.089Z",
        "ContexteBAM/Emetteur": "10B0999901",
        "ContexteBAM/COUVERTURE": "",
        "ContexteLPS/Id": str(UUID(int=3)),
        "ContexteLPS/Temps": "2026-03-04T05:06:07.089Z",
        "ContexteLPS/Emetteur": "10B0999901",
        "LPS/IDAM": "SIMULATEUR01",
        "LPS/Version": "0.1.0",
        "LPS/Instance": "instance-1",
        "LPS/Nom": "urn:lps:fhir-ins:0.1.0",
        "Header/Action": "urn:ServiceIdentiteCertifiee:1.0.0:rechercherInsAvecTraitsIdentite",
        "Header/MessageID": f"uuid:{UUID(int=1)}",
        "RECSANSVITALE/NomNaissance": "HOUILLES",
        "RECSANSVITALE/Prenom": "PIERRE",
        "RECSANSVITALE/Sexe": "M",
        "RECSANSVITALE/DateNaissance": "1993-00-27",
        "RECSANSVITALE/LieuNaissance": "63220",
    }


def test_contexts_carry_their_nature_and_version():
    bam, lps, *_ = parts(request())
    assert dict(bam.attrib) == {"Nature": "CTXBAM", "Version": "01_02"}
    assert dict(lps.attrib) == {"Nature": "CTXLPS", "Version": "01_00"}
    assert lps.find(f".//{{{LPS_NAMESPACE}}}IDAM").get("R") == "4"


@pytest.mark.parametrize("prenoms", [("PIERRE",), ("PIERRE PAUL",), ("PIERRE", "PAUL")])
@pytest.mark.parametrize("birth_place", [None, "63220"])
def test_every_part_of_a_request_is_valid(prenoms, birth_place):
    traits = Traits("D'AEION", ("PIERRE",), "M", "1987-01-25", birth_place)
    envelope = request(prenoms, traits)
    for part in parts(envelope):
        schema(etree.QName(part).namespace).assertValid(part)
    body = parts(envelope)[-1]
    assert [prenom.text for prenom in body.iter(f"{{{TRAITS_NAMESPACE}}}Prenom")] == list(prenoms)


def test_every_part_of_a_request_is_valid_for_the_published_schemas(published: Path):
    for part in parts(request(("PIERRE", "PAUL"))):
        namespace = etree.QName(part).namespace
        if namespace != ADDRESSING_NAMESPACE:
            file = published / "contract" / "xsd" / PUBLISHED_SCHEMAS[namespace]
            etree.XMLSchema(etree.parse(file)).assertValid(part)


def test_the_published_wsdl_gives_the_same_bytes_as_ours(published: Path):
    assert request(wsdl=published / PUBLISHED_WSDL) == request(wsdl=WSDL)


def test_a_name_that_is_markup_stays_a_name():
    body = parts(request(traits=Traits("A&<B>", ("C",), "F", "1990-01-01", None)))[-1]
    assert body[0].text == "A&<B>"


def test_a_contract_that_points_to_the_network_is_refused(tmp_path: Path):
    for file in WSDL.parent.glob("*.*"):
        if file.suffix in (".xsd", ".wsdl"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    wsdl = tmp_path / WSDL.name
    wsdl.write_text(re.sub(r'"resultat\.xsd"', '"http://localhost:9/resultat.xsd"', wsdl.read_text()))
    with pytest.raises(OSError, match="local files only"):
        request(wsdl=wsdl)
