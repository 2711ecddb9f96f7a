"""What is measured: one row for each interaction. A new measurement is a new row here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from benchmarks.patients import SYSTEM, patient

FHIR_JSON = "application/fhir+json"


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests of one row to one side: each is `path` and `body` with `{key}` replaced.

    The key is drawn from `keys`; without keys it is a fresh 18-digit serial number, never used before.
    """

    path: str
    keys: Sequence[str] = ()
    method: str = "GET"
    body: str = ""

    @property
    def headers(self) -> dict[str, str]:
        posted = {"Content-Type": FHIR_JSON} if self.body else {}
        return {"Accept": FHIR_JSON, **posted}


@dataclass(frozen=True, slots=True)
class Preloaded:
    """The patients both sides hold: the ids the server gave and the serial numbers in their identifiers."""

    ids: Sequence[str]
    serials: Sequence[str]


@dataclass(frozen=True, slots=True)
class Row:
    """One interaction: the requests to the server under test, and the floor they are compared with."""

    name: str
    server: Callable[[Preloaded], Requests]
    floor: Callable[[Preloaded], Requests]


CREATE = Requests("/fhir/Patient", method="POST", body=patient("{key}"))


def read_floor(preloaded: Preloaded) -> Requests:
    """One document by its _id: also the floor of whatever needs at least one lookup."""
    return Requests("/{key}", preloaded.ids)


ROWS = (
    Row(
        "read",
        server=lambda preloaded: Requests("/fhir/Patient/{key}", preloaded.ids),
        floor=read_floor,
    ),
    Row(
        "search by identifier",
        server=lambda preloaded: Requests(f"/fhir/Patient?identifier={quote(f'{SYSTEM}|')}{{key}}", preloaded.serials),
        floor=read_floor,
    ),
    Row("page of 50", server=lambda _: Requests("/fhir/Patient?_count=50", ["0"]), floor=read_floor),
    Row(
        "create",
        server=lambda _: CREATE,
        floor=lambda _: Requests("/", method="POST", body=CREATE.body),
    ),
)
