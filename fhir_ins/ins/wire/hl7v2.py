r"""HL7 v2 text: the delimiters `|^~\&` and their escape sequences. Source: HL7 v2.5, §2.7."""

_ESCAPES = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"}
_CONTROLS = {chr(code): f"\\X{code:02X}\\" for code in (*range(0x20), 0x7F)}
_TABLE = str.maketrans({**_ESCAPES, **_CONTROLS})


def escaped(text: str) -> str:
    """`text` as one (sub)component: each delimiter as its escape sequence, a control character by its code."""
    return text.translate(_TABLE)


def components(*texts: str) -> str:
    """A field of these components, empty ones at the end left out; the texts are escaped already."""
    return "^".join(texts).rstrip("^")
