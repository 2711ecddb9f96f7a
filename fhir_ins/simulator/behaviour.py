"""How the simulator behaves: one value, read from names and texts by one parser, through whichever door they come.

The doors are the command line (`--behaviour name=value`), the query string of the endpoint (`/lps?name=value`) and
the control endpoint. Without any, the simulator is production in good health.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from fhir_ins.simulator.faults import ERRORS
from fhir_ins.simulator.identities import INJECTED

LONGEST_DELAY = 600.0
MOST_TIMES = 1_000_000
LONGEST_KEY = 100


class UnknownBehaviour(ValueError):
    """A name or a value that means no behaviour; the text says which do."""


class Wire(StrEnum):
    """What becomes of an answer on its way out."""

    HTML_503 = "html-503"
    RESET = "reset"
    TRUNCATED = "truncated"
    WRONG_CONTENT_TYPE = "wrong-content-type"
    EMPTY = "empty"
    HANG = "hang"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the simulator does to a request, beside answering it.

    `unknown`: how somebody nobody knows is answered, 01 as production does, insi_102 as the qualification environment
    does (insi_101 for a carte Vitale). `fault`: the code of the fault that answers everything. `wire`: what becomes of
    the answer. `delay`: seconds before it. `times`: how many requests of the same `key` meet fault, wire and delay
    before all is well. `prefix`, `subcode`, `severity`, `language`, `order`: the liberties live answers take, see
    `answers`. `inject`: the CNDA case whose published answer stands in for the usual one.
    """

    unknown: str = "01"
    fault: str | None = None
    wire: Wire | None = None
    delay: float = 0.0
    times: int | None = None
    key: str = ""
    prefix: str = "env"
    subcode: str = "soap"
    severity: str | None = None
    language: str = "fr"
    order: str = "contract"
    inject: str | None = None

    @classmethod
    def parse(cls, said: Iterable[tuple[str, str]]) -> "Behaviour":
        """Read names with their values; raises `UnknownBehaviour`."""
        values: dict[str, object] = {}
        for name, text in said:
            if name not in _READERS:
                raise UnknownBehaviour(f"{name!r} is no behaviour of the simulator; there are: {', '.join(_READERS)}.")
            if name in values:
                raise UnknownBehaviour(f"{name} is given twice.")
            values[name] = _READERS[name](name, text)
        return cls(**values)  # type: ignore[arg-type]

    def texts(self) -> Mapping[str, str]:
        """What differs from the ordinary, as `parse` reads it."""
        said = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {name: str(value) for name, (value, ordinary) in said.items() if value != ordinary}


def parse_options(options: Iterable[str]) -> Behaviour:
    """The behaviour that command line options of the form name=value say; raises `UnknownBehaviour`."""
    pairs = []
    for option in options:
        name, equals, value = option.partition("=")
        if not equals:
            raise UnknownBehaviour(f"{option!r} has not the form name=value.")
        pairs.append((name, value))
    return Behaviour.parse(pairs)


def _one_of(*choices: str) -> Callable[[str, str], str]:
    def read(name: str, text: str) -> str:
        if text not in choices:
            raise UnknownBehaviour(f"{name} is one of {', '.join(choices)}, not {text!r}.")
        return text

    return read


def _wire(name: str, text: str) -> Wire:
    return Wire(_one_of(*Wire)(name, text))


def _code(name: str, text: str) -> str:
    return _one_of(*ERRORS)(name, text.lower())


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_DELAY:
        raise UnknownBehaviour(f"{name} is a number of seconds from 0 to {LONGEST_DELAY:.0f}, not {text!r}.")
    return seconds


def _count(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 7 and 1 <= int(text) <= MOST_TIMES):
        raise UnknownBehaviour(f"{name} is a whole number from 1 to {MOST_TIMES}, not {text!r}.")
    return int(text)


def _key(name: str, text: str) -> str:
    if not 1 <= len(text) <= LONGEST_KEY:
        raise UnknownBehaviour(f"{name} is a text of 1 to {LONGEST_KEY} characters.")
    return text


_READERS: Mapping[str, Callable[[str, str], object]] = {
    "unknown": _one_of("01", "insi_102"),
    "fault": _code,
    "wire": _wire,
    "delay": _seconds,
    "times": _count,
    "key": _key,
    "prefix": _one_of("env", "S", "soap", "ns2"),
    "subcode": _one_of("soap", "S"),
    "severity": _one_of("fatal", "fatale"),
    "language": _one_of("fr", "en"),
    "order": _one_of("contract", "dates-first"),
    "inject": _one_of(*INJECTED),
}
