"""The contract of INSi as this project states it: its WSDL, its schemas, the names that travel on the wire.

Source: DESIR_ICIR_EXP 1.5.0; the files beside this module are our own wording of that interface.
"""

from functools import cache
from pathlib import Path

from lxml import etree

SOAP_NAMESPACE = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING_NAMESPACE = "http://www.w3.org/2005/08/addressing"
SIRAM_NAMESPACE = "urn:siram"
BAM_NAMESPACE = "urn:siram:bam:ctxbam"
LPS_NAMESPACE = "urn:siram:lps:ctxlps"
SECURITY_NAMESPACE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
TRAITS_NAMESPACE = "http://www.cnamts.fr/INSiRecSans"
VITALE_NAMESPACE = "http://www.cnamts.fr/INSiRecVit"
RESULT_NAMESPACE = "http://www.cnamts.fr/INSiResultat"
VERIFICATION_NAMESPACE = "http://www.cnamts.fr/INSiLot2/REQUnitaire"
VERDICT_NAMESPACE = "http://www.cnamts.fr/INSiLot2/REPUnitaire"

SEARCH_BY_TRAITS = "rechercherInsAvecTraitsIdentite"
SEARCH_BY_TRAITS_ACTION = f"urn:ServiceIdentiteCertifiee:1.0.0:{SEARCH_BY_TRAITS}"
BINDING = "{http://www.cnamts.fr/webservice}ICIRServiceBinding"

_FOLDER = Path(__file__).parent
WSDL = _FOLDER / "insi.wsdl"
VERIFICATION_WSDL = _FOLDER / "verification.wsdl"
ADDRESSING_SCHEMA = _FOLDER / "ws-addressing.xsd"

_SCHEMA_FILES = {
    ADDRESSING_NAMESPACE: "ws-addressing.xsd",
    SIRAM_NAMESPACE: "erreur.xsd",
    BAM_NAMESPACE: "contexte-bam.xsd",
    LPS_NAMESPACE: "contexte-lps.xsd",
    SECURITY_NAMESPACE: "ws-security.xsd",
    TRAITS_NAMESPACE: "recherche-traits.xsd",
    VITALE_NAMESPACE: "recherche-vitale.xsd",
    RESULT_NAMESPACE: "resultat.xsd",
    VERIFICATION_NAMESPACE: "verification-requete.xsd",
    VERDICT_NAMESPACE: "verification-reponse.xsd",
}


@cache
def schema(namespace: str) -> etree.XMLSchema:
    """The schema that defines the elements of one of the namespaces above, compiled once."""
    return etree.XMLSchema(etree.parse(str(_FOLDER / _SCHEMA_FILES[namespace])))


@cache
def element_names(namespace: str) -> frozenset[str]:
    """The local names of all elements that schema defines."""
    document = etree.parse(str(_FOLDER / _SCHEMA_FILES[namespace]))
    elements = document.iter("{http://www.w3.org/2001/XMLSchema}element")
    return frozenset(str(element.get("name")) for element in elements)
