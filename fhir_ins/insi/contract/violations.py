"""What in a RESULTAT breaks the contract, told without repeating what the answer says about the person.

Source: resultat.xsd beside this module; libxml2's own messages quote values, so they are told anew here.
"""

import re
from collections.abc import Iterable, Iterator

from lxml import etree

from fhir_ins.insi.contract import RESULT_NAMESPACE, element_names, schema

_MOST = 20
_ELEMENT = re.compile(r"Element '\{[^}]*\}(\w+)'", re.ASCII)
_MEANINGS = {
    "SCHEMAV_ELEMENT_CONTENT": "is not where the contract places it, or lacks a part",
    "SCHEMAV_CVC_PATTERN_VALID": "has not the form the contract gives it",
    "SCHEMAV_CVC_DATATYPE_VALID_1_2_1": "is not of the type the contract gives it",
}


def violations(result: etree._Element) -> Iterator[str]:
    """One sentence for each violation, in document order, without repeats; at most twenty."""
    contract = schema(RESULT_NAMESPACE)
    if contract.validate(result):
        return
    log: Iterable[etree._LogEntry] = contract.error_log  # type: ignore[assignment]  # the stubs forget __iter__
    sentences = (_sentence(entry) for entry in log)
    yield from list(dict.fromkeys(sentence for sentence in sentences if sentence))[:_MOST]


def _sentence(entry: etree._LogEntry) -> str | None:
    if entry.type_name == "SCHEMAV_CVC_TYPE_3_1_3":  # repeats what the line before it said
        return None
    element = _ELEMENT.match(entry.message)
    known = element is not None and element[1] in element_names(RESULT_NAMESPACE)
    name = element[1] if element is not None and known else "An unknown element"
    return f"{name} {_MEANINGS.get(entry.type_name, 'breaks the contract')}."
