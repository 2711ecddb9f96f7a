"""No secret shows where a value is written out: in a repr, an error, a dump, the help."""

import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from traceback import format_exception

import pytest
from pydantic import SecretStr, ValidationError

import fhir_ins
from fhir_ins.security.tls import TlsFiles
from fhir_ins.settings import Settings

SECRET = "hunter2-0123456789"
SETTINGS = sorted(name for name, field in Settings.model_fields.items() if field.annotation is SecretStr)

# What a field with a secret in it is called; a matricule's own `key` is none.
_SECRET_FIELD = re.compile(r"passphrase|password|secret|cursor_key|assertions?$|_token$|private_key")
# Those that hold no secret, though they are called so.
_HARMLESS = {"SoapConfiguration.assertions"}  # where they come from


def modules() -> Iterator[object]:
    for found in pkgutil.walk_packages(fhir_ins.__path__, "fhir_ins."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def shown(value: object) -> str:
    return "\n".join((repr(value), str(value), f"{value}"))


def test_settings_that_sound_like_secrets_are_kept_as_such() -> None:
    assert {"mongodb_uri", "tls_key_passphrase", "insi_pkcs12_passphrase", "insi_evidence_key"} <= set(SETTINGS)
    sounding = {name for name in Settings.model_fields if re.search(r"passphrase|secret|password|_keys?$", name)}
    assert sounding - set(SETTINGS) == {"tls_key", "audit_signing_key", "wrong_key_is_error"} & sounding  # files' names


@pytest.mark.parametrize("name", SETTINGS)
def test_a_secret_setting_is_not_written_out(name: str) -> None:
    settings = Settings(**{name: SECRET})
    assert getattr(settings, name).get_secret_value() == SECRET
    for written in (shown(settings), shown(settings.model_dump()), settings.model_dump_json(), str(vars(settings))):
        assert SECRET not in written


@pytest.mark.parametrize("name", SETTINGS)
def test_an_error_about_settings_does_not_quote_them(name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(**{name: [SECRET], "port": SECRET, "rights": SECRET})
    assert len(caught.value.errors()) == 3
    assert SECRET not in "".join(format_exception(caught.value)).replace(f'SECRET = "{SECRET}"', "")


@pytest.mark.parametrize("name", SETTINGS)
def test_the_command_does_not_quote_them(name: str) -> None:
    """Neither the help, which shows defaults, nor a start that another setting stops."""
    environment = {**os.environ, f"FHIR_INS_{name.upper()}": SECRET, "COLUMNS": "200"}
    for options in (["--help"], ["--port", "no"]):
        command = [sys.executable, "-m", "fhir_ins", "serve", *options]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert SECRET not in ended.stdout + ended.stderr


def test_no_class_of_ours_shows_a_field_that_holds_a_secret() -> None:
    classes = {
        each for module in modules() for _, each in inspect.getmembers(module, inspect.isclass) if is_dataclass(each)
    }
    held = [
        (each, field)
        for each in classes
        if each.__module__.startswith("fhir_ins.") and not each.__module__.startswith("fhir_ins.simulator")
        for field in fields(each)
        if _SECRET_FIELD.search(field.name) and f"{each.__name__}.{field.name}" not in _HARMLESS
    ]
    assert {"Context", "TlsFiles", "Requester", "Credentials"} <= {each.__name__ for each, _ in held}
    showing = [f"{each.__name__}.{field.name}" for each, field in held if field.repr and each.__dataclass_params__.repr]
    assert showing == []


def test_the_passphrase_of_tls_is_not_shown(tmp_path: Path) -> None:
    assert SECRET not in shown(TlsFiles(tmp_path / "a", tmp_path / "b", SECRET))
