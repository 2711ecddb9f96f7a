"""Master keys for tests: stores that are encrypted beside stores that are clear."""

import os

import pytest

from fhir_ins.security.keyring import Keyring, LocalMasterKey


def keyring() -> Keyring:
    return Keyring.of(LocalMasterKey(os.urandom(32)))


CLEAR_AND_ENCRYPTED = [pytest.param(None, id="clear"), pytest.param(keyring(), id="encrypted")]
