"""A server with a certificate of production: a technical error of INSi may pass there, and the call be deferred."""

from pathlib import Path

import pytest

from fhir_ins.settings import Settings
from fhir_ins.simulator.pki import ensure_pki, issue_client


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    pki = ensure_pki(Path(str(settings.insi_pkcs12)).parent)
    certificate = issue_client(pki, tmp_path / "client.p12", production=True)
    return settings.model_copy(update={"insi_pkcs12": certificate})
