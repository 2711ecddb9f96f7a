"""`fhir-ins cnda` in a process of its own, without the settings of whoever runs the tests."""

import os
import subprocess
import sys


def command(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_INS_")}
    return subprocess.run(
        [sys.executable, "-m", "fhir_ins", "cnda", *words],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
