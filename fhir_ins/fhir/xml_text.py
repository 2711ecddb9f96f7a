"""Characters in XML. https://www.w3.org/TR/xml/#syntax, https://www.w3.org/TR/xml/#charsets"""

import re

_NO_CHARACTERS = "\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff"
# A parser makes spaces of the tabs and line ends in an attribute, and line feeds of the carriage returns in content.
_IN_ATTRIBUTE = re.compile(f'[&<>"\t\n\r{_NO_CHARACTERS}]')
_IN_CONTENT = re.compile(f"[&<>\r{_NO_CHARACTERS}]")
_REFERENCES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


def attribute(text: str) -> str:
    """`text` to stand in double quotes; what XML cannot hold becomes U+FFFD."""
    return _IN_ATTRIBUTE.sub(_reference, text)


def content(text: str) -> str:
    """`text` to stand between tags; what XML cannot hold becomes U+FFFD."""
    return _IN_CONTENT.sub(_reference, text)


def _reference(match: re.Match[str]) -> str:
    return _REFERENCES.get(match[0], "\ufffd")
