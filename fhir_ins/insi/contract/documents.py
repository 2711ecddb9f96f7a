"""Reading an XML document that came over the network, without trusting it.

Source: OWASP XML External Entity prevention; SOAP 1.2 part 1 §5 (a SOAP message holds no DTD).
"""

import re

from lxml import etree

LARGEST = 1 << 20

# A byte order mark and white space, which XML does not want before its declaration
_BEFORE_XML = re.compile(rb"(?:\xef\xbb\xbf|\s)++(?=<)")
_DECLARATION = re.compile(rb"<\?xml\s[^>]*\?>\s*")


class Unreadable(Exception):
    """What came instead of the expected document, as a noun phrase that a sentence can carry."""


def parse(body: bytes) -> etree._Element:
    """The root of `body`, at most `LARGEST` bytes of XML without DTD; comments and instructions are left out.

    Raises `Unreadable` for everything else, an HTML page included.
    """
    return _root(_bare(body), sparing=True)


def sole_element(content: bytes) -> tuple[bytes, etree._Element]:
    """The one element of a document in UTF-8, as its own bytes, to be put into another document; and parsed.

    Raises `Unreadable` for what `parse` refuses, for another encoding, and for a comment or an instruction anywhere:
    SOAP 1.2 takes no instructions.
    """
    bare = _bare(content)
    root = _root(bare, sparing=False)
    xml = _DECLARATION.sub(b"", bare, count=1).strip()
    if not _is_utf8(xml) or (root.getroottree().docinfo.encoding or "").lower() not in ("utf-8", "us-ascii"):
        raise Unreadable("XML in another encoding than UTF-8")
    if root.getprevious() is not None or root.getnext() is not None:
        raise Unreadable("XML with comments or instructions around its element")
    if next(root.iter(etree.ProcessingInstruction), None) is not None:
        raise Unreadable("XML with a processing instruction")
    if next(root.iter(etree.Comment), None) is not None:  # a signature holds without it, a text is cut by it
        raise Unreadable("XML with a comment")
    return xml, root


def _is_utf8(xml: bytes) -> bool:
    """Whether the markup is in UTF-8 whatever the declaration said; libxml2 calls UTF-16 by that name too."""
    try:
        xml.decode()
    except UnicodeDecodeError:
        return False
    return xml.startswith(b"<") and b"\0" not in xml


def _bare(body: bytes) -> bytes:
    """The document from its first markup on."""
    before = _BEFORE_XML.match(body, 0, LARGEST)
    return body[before.end() :] if before else body


def _root(body: bytes, *, sparing: bool) -> etree._Element:
    """`sparing`: comments and instructions are left out."""
    if len(body) > LARGEST:
        raise Unreadable(f"more than {LARGEST} bytes")
    start = body[:512].strip().lower()
    if not start:
        raise Unreadable("an empty body")
    if start.startswith((b"<!doctype html", b"<html")):
        raise Unreadable("an HTML page")
    try:
        root = etree.fromstring(body, _parser(sparing))
    except (etree.XMLSyntaxError, ValueError, LookupError):
        raise Unreadable(_broken(start)) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Unreadable("a document with a DTD, which is refused")
    return root


def _parser(sparing: bool) -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=sparing,
        remove_pis=sparing,
    )


def _broken(start: bytes) -> str:
    return "XML that is malformed or breaks off" if start.startswith(b"<") else "something that is not XML"
