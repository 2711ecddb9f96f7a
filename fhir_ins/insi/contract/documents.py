"""Reading an XML document that came over the network, without trusting it.

Source: OWASP XML External Entity prevention; SOAP 1.2 part 1 §5 (a SOAP message holds no DTD).
"""

from lxml import etree

LARGEST = 1 << 20


class Unreadable(Exception):
    """What came instead of the expected document, as a noun phrase that a sentence can carry."""


def parse(body: bytes) -> etree._Element:
    """The root of `body`, at most `LARGEST` bytes of XML without DTD; comments and instructions are left out.

    Raises `Unreadable` for everything else, an HTML page included.
    """
    if len(body) > LARGEST:
        raise Unreadable(f"more than {LARGEST} bytes")
    start = body[:512].strip().lower()
    if not start:
        raise Unreadable("an empty body")
    if start.startswith((b"<!doctype html", b"<html")):
        raise Unreadable("an HTML page")
    try:
        root = etree.fromstring(body, _parser())
    except (etree.XMLSyntaxError, ValueError, LookupError):
        raise Unreadable(_broken(start)) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Unreadable("a document with a DTD, which is refused")
    return root


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def _broken(start: bytes) -> str:
    return "XML that is malformed or breaks off" if start.startswith(b"<") else "something that is not XML"
