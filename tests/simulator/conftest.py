"""The simulated téléservice, without a network around it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from insi_requests import Ask
from lxml import etree

from fhir_ins.insi.contract import SIRAM_NAMESPACE
from fhir_ins.simulator.answers import Answer
from fhir_ins.simulator.authentication import Peer
from fhir_ins.simulator.behaviour import Behaviour
from fhir_ins.simulator.card_reader import Card
from fhir_ins.simulator.pki import STRUCTURE, Pki, ensure_pki, trusted_authorities
from fhir_ins.simulator.service import Teleservice

ORGANISATION = Peer("INSI-AUTO", (STRUCTURE,))


@dataclass(frozen=True)
class Told:
    """What an answer tells: the code of the compte rendu or of the fault, else the reason of a refusal."""

    answer: Answer

    @property
    def root(self) -> etree._Element:
        return etree.fromstring(self.answer.body)

    @property
    def code(self) -> str:
        return self.error.get("code", "") if self.error is not None else self.text("CodeCR")

    @property
    def reason(self) -> str:
        return "" if self.error is not None else self.text("Text")

    @property
    def error(self) -> etree._Element | None:
        return next(self.root.iter(f"{{{SIRAM_NAMESPACE}}}Erreur"), None)

    def text(self, name: str) -> str:
        return self.root.findtext(f".//{{*}}{name}") or ""

    def texts(self, name: str) -> list[str | None]:
        return [element.text for element in self.root.iterfind(f".//{{*}}{name}")]


Tell = Callable[..., Told]


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return ensure_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def card(pki: Pki) -> Card:
    return Card(pki.card, pki.passphrase)


@pytest.fixture(scope="session")
def teleservice(pki: Pki) -> Teleservice:
    return Teleservice(authorities=trusted_authorities(pki))


@pytest.fixture(scope="session")
def tell(teleservice: Teleservice) -> Tell:
    """Ask, from an organisation or from `peer`, and be told; `envelope` stands in for the request's own."""

    def tell(
        ask: Ask,
        peer: Peer | None = ORGANISATION,
        *,
        envelope: str | None = None,
        content_type: str | None = None,
        **is_: str,
    ) -> Told:
        body = (envelope or ask.envelope()).encode()
        behaviour = Behaviour.parse(is_.items())
        return Told(teleservice.answer(body, content_type or ask.content_type, peer, behaviour))

    return tell


@pytest.fixture(scope="session")
def published() -> Path:
    """The published answers and assertion, which the project does not ship."""
    folder = Path(__file__).parents[2].parent / "shared" / "data" / "insi"
    if not folder.is_dir():
        pytest.skip("the published INSi files are not on this machine")
    return folder
