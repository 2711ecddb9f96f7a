"""Master keys for tests: stores that are encrypted beside stores that are clear."""

import base64
import os

import pytest
from pydantic import SecretStr

from fhir_ins.security.keyring import Keyring, LocalMasterKey
from fhir_ins.settings import Settings


def keyring() -> Keyring:
    return Keyring.of(LocalMasterKey(os.urandom(32)))


CLEAR_AND_ENCRYPTED = [pytest.param(None, id="clear"), pytest.param(keyring(), id="encrypted")]


def master_key() -> str:
    """A new one, as a setting has it."""
    return base64.b64encode(os.urandom(32)).decode()


_SHARED = master_key()


def encrypted(settings: Settings) -> Settings:
    """The same, on the encrypted store that the tests of this process share."""
    changes = {"mongodb_database": "tests-encrypted", "master_key": SecretStr(_SHARED)}
    return settings.model_copy(update=changes)
