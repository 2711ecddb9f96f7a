"""Every value of an identity that the suite uses, so that logs can be searched for them.

Taken from where they stand, which is the simulator's table of official test identities and the source of every test:
there is no list that somebody could forget to add to.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from fhir_ins.simulator.identities import BROKEN, PEOPLE

_TESTS = Path(__file__).parent

_NUMBER = re.compile(r"(?<![\w.-])[1-8]\d{4}(?:\d\d|2A|2B)\d{6}(?:\d\d)?(?![\w.-])")
_ELEMENT = re.compile(r"""["']?(?:family|given|birthDate|birth_date|birthdate)["']?[:=]\s*(\[[^\]]*\]|"[^"]*")""")
_TRAITS = re.compile(r"""\btraits\(\s*("[^"]*",\s*\[[^\]]*\],\s*"\w*",\s*"[^"]*")""")
_STRING = re.compile(r'"([^"]*)"')
_DATE = re.compile(r"(?:19\d\d|200\d|201[0-5])-\d\d-\d\d")
_NAME = re.compile(r"[^\W\d_](?:[^\W\d_]|[ '’-]){3,}")

# Names in the tests that are words of a log, too.
_WORDS = frozenset(
    {
        "abcd",
        "autre",
        "corse",
        "enfant",
        "extension",
        "female",
        "given",
        "male",
        "masked",
        "matricule",
        "name",
        "official",
    }
    | {"other", "provisoire", "second", "unknown", "valide", "valueboolean", "valuecode", "valuestring"}
)


@cache
def identity_values() -> frozenset[str]:
    """Those that are odd enough to mean a person wherever they stand, as they are written and in either case."""
    return frozenset(
        spelt
        for value in _values()
        if _is_telling(value) or value == "ZOE"
        for spelt in (value, value.lower(), value.upper())
    )


def _values() -> Iterator[str]:
    for known in (*PEOPLE, *BROKEN):
        yield from (known.family, *known.given.split(), known.birth_date)
    for person in PEOPLE:
        for number in (person.active, *person.history):
            yield from (number.number, number.number + number.key)
    for file in sorted(_TESTS.rglob("*.py")):
        source = file.read_text("utf-8")
        yield from _NUMBER.findall(source)
        for found in (*_ELEMENT.findall(source), *_TRAITS.findall(source)):
            yield from _STRING.findall(found)


def _is_telling(value: str) -> bool:
    if _NUMBER.fullmatch(value) or _DATE.fullmatch(value):
        return True
    return bool(_NAME.fullmatch(value)) and value.lower() not in _WORDS
