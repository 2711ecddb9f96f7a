"""Places where a matricule must not travel: anywhere but an identifier of the Patient or its citizen address.

The rule looks at content only, never at whose matricule it is, so that a refusal tells nothing about a concealed one.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from html import unescape
from itertools import islice
from typing import Any
from unicodedata import normalize

from lxml import etree

from fhir_ins.fhir.json import Number
from fhir_ins.fhir.outcome import Issue
from fhir_ins.frcore.elements import Json
from fhir_ins.frcore.identifiers import is_ins
from fhir_ins.frcore.telecom import is_citizen_address
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.oid import NotAnIns

_LENGTH = 15
_MOST = 2000  # a key is right by chance once in 97
_GAP = r"[^0-9A-Za-z]{0,4}"  # blanks, points, hyphens, slashes, what tags leave
_NUMBER = _GAP.join([r"[1-478]", *[r"\d"] * 5, r"[\dABab]", *[r"\d"] * 6])
_KEY = rf"(?:cl(?:e|é)f?{_GAP})?\d{_GAP}\d"
# Looked for ahead of each place: a number just before must not swallow the start of a matricule.
_CANDIDATE = re.compile(rf"(?<!\d)(?=({_NUMBER}{_GAP}{_KEY})(?!\d))", re.ASCII | re.IGNORECASE)
# The ids that this server and others give (RFC 9562): now and then one has such digits by chance, hyphens between them.
_UUID = re.compile(r"(?<![0-9a-z])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-z])", re.ASCII | re.IGNORECASE)
_BETWEEN = re.compile(r"[^0-9ABab]", re.ASCII)
_TAGS = re.compile(r"<[^>]*>")
_NARRATIVE = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
_SOCIAL_SECURITY = frozenset({f"urn:oid:{NotAnIns.NSS_NIR}", f"urn:oid:{NotAnIns.NSS_NIA}"})


def misplaced(patient: Json) -> list[Issue]:
    """An issue for each element other than the Patient's own identifiers that carries a matricule.

    An INS identifier of somebody else (a link, a contained resource) is one: this server cannot know whether
    that identity is qualified. A social security number under its own authority is not.
    """
    own = {key: value for key, value in patient.items() if key not in ("identifier", "telecom", "text")}
    issues = [*_inside(own, "Patient"), *_inside(_without(patient.get("text", {}), "div"), "Patient.text")]
    for index, identifier in enumerate(patient.get("identifier", ())):
        if not is_ins(identifier):
            issues += _inside(identifier, f"Patient.identifier[{index}]")
    for index, contact in enumerate(patient.get("telecom", ())):
        judged = _without(contact, "value") if is_citizen_address(contact) else contact
        issues += _inside(judged, f"Patient.telecom[{index}]")
    return issues


def misplaced_elsewhere(resource: Json) -> list[Issue]:
    """An issue for each element of a resource other than a Patient that carries a matricule.

    Such a resource says whom it is about by a reference: the Patient shows its INS to those who may see it, when it is
    qualified, and no copy of it can outlive that.
    """
    type_, text = resource["resourceType"], resource.get("text", {})
    own = {key: value for key, value in resource.items() if key != "text"}
    return [*_inside(own, type_), *_inside(_without(text, "div"), f"{type_}.text")]


def without_telling_narrative(resource: Json) -> Json:
    """The resource, less a narrative that spells a matricule: being derived, it may go, its reader loses nothing."""
    div = resource.get("text", {}).get("div", "")
    if not any(carries_matricule(text) or carries_matricule(_TAGS.sub("", text)) for text in _texts(div)):
        return resource
    return {key: value for key, value in resource.items() if key != "text"}


def _texts(div: str) -> Iterator[str]:
    """What a narrative says, on the whole and in each attribute, and all of its source for what tags may cut."""
    yield unescape(div)
    yield unescape(_TAGS.sub("", div))
    with suppress(etree.XMLSyntaxError, ValueError):
        narrative = etree.fromstring(div, _NARRATIVE)
        yield "".join(str(text) for text in narrative.itertext())
        for element in narrative.iter(etree.Element):
            yield from (str(value) for value in element.attrib.values())


def carries_matricule(text: str) -> bool:
    """Whether `text` holds 15 characters of a matricule whose key is right, separators between them or not; a UUID is
    none.

    Of more candidates than anybody looks through, one has a right key: such a text is taken to carry one.
    """
    if len(text) < _LENGTH:
        return False
    plain = text if text.isascii() else normalize("NFKC", text)  # full-width digits, no-break spaces
    candidates = (found[1] for found in _CANDIDATE.finditer(_UUID.sub("uuid", plain)))
    return any(_is_matricule(found) for found in islice(candidates, _MOST)) or next(candidates, None) is not None


def _inside(value: Any, path: str) -> Iterator[Issue]:
    if isinstance(value, dict):
        if is_ins(value):
            yield _issue(path)
            return
        judged = _without(value, "value") if value.get("system") in _SOCIAL_SECURITY else value
        for name, item in judged.items():
            yield from _inside(item, f"{path}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _inside(item, f"{path}[{index}]")
    elif carries_matricule(value.literal if isinstance(value, Number) else str(value)):
        yield _issue(path)


def _without(element: Json, name: str) -> Json:
    return {key: value for key, value in element.items() if key != name}


def _issue(path: str) -> Issue:
    return Issue(
        "business-rule",
        "A matricule INS may stand only in Patient.identifier under its OID (urn:oid:1.2.250.1.213.1.4.8 to .11); "
        "remove it here, or refer to the other person's resource instead.",
        path,
    )


def _is_matricule(text: str) -> bool:
    parsed = Matricule.parse(_BETWEEN.sub("", text).upper())
    return isinstance(parsed, Matricule) and parsed.key_is_right
