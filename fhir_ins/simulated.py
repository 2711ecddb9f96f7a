"""The INSi simulator as a child process, and the settings that lead to it."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fhir_ins import child

_IDAM = "SANDBOX00000"
PASSPHRASE = "simulator"  # noqa: S105  # it guards keys that open nothing but the simulator


class SimulatorFailed(Exception):
    """The simulator did not start; the text says why, as its log does."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """A running simulator; `settings`: by the names of `Settings`, those that make INSi mean it.

    `card`: a PKCS#12 file, the professional's card that it believes, with the same passphrase as the certificate.
    """

    process: subprocess.Popen[bytes]
    settings: Mapping[str, Any]
    card: Path


@contextmanager
def simulated_insi(directory: Path) -> Iterator[Simulated]:
    """A simulator on a free port, its throw-away PKI and its log in `directory`; stopped at the end.

    Raises `SimulatorFailed`.
    """
    pki, log = directory / "pki", directory / "simulator.log"
    command = [sys.executable, "-m", "fhir_ins", "simulator", "--port", "0", "--directory", str(pki), "--idam", _IDAM]
    with log.open("wb") as output:
        process = child.start(command, stdout=subprocess.PIPE, stderr=output)
    try:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        line = process.stdout.readline().decode()
        if "https://" not in line:
            last = "\n".join(log.read_text("utf-8", "replace").splitlines()[-5:])
            raise SimulatorFailed(f"The INSi simulator did not start; its log says:\n{last}")
        settings = {
            "insi_endpoint": line.partition(": ")[2].strip(),
            "insi_pkcs12": str(pki / "client.p12"),
            "insi_pkcs12_passphrase": PASSPHRASE,
            "insi_trust": str(pki / "authority.pem"),
            "insi_idam": _IDAM,
        }
        yield Simulated(process, settings, pki / "cps.p12")
    finally:
        child.end(process)
