"""What judging one INS Patient costs: base R4, then fr-core-patient-ins and the extensions. No server takes part."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from benchmarks.patients import ins_patient
from fhir_ins.fhir.json import parse
from fhir_ins.fhir.structure import validate
from fhir_ins.frcore.canonical import PATIENT_INS
from fhir_ins.frcore.profiles import fr_core

ROW = "validation"
TIMES = 2000


@dataclass(frozen=True, slots=True)
class Costs:
    """Median CPU microseconds of this process for one Patient of `size` bytes."""

    size: int
    base_us: float
    profile_us: float
    both_us: float


def measure() -> Costs:
    """Raises SystemExit when the Patient is not a good one: a bad one would cost less."""
    body = ins_patient().encode()
    patient = parse(body)
    edition = fr_core("2.2.0")
    profiles, profile = edition.profiles, edition.release.claim(PATIENT_INS)
    if validate(patient) or not profiles.conforms(patient, profile):
        raise SystemExit("The Patient of the benchmark breaks the profile it is to be judged by.")
    gc.collect()
    gc.freeze()  # as the server does at start-up
    return Costs(
        size=len(body),
        base_us=_cpu_us(lambda: validate(patient)),
        profile_us=_cpu_us(lambda: profiles.judge(patient, profile)),
        both_us=_cpu_us(lambda: (validate(patient), profiles.judge(patient, profile))),
    )


def table(costs: Costs) -> str:
    return (
        f"validation of an INS Patient of {costs.size} bytes, CPU us: base R4 {costs.base_us:.0f}, "
        f"fr-core-patient-ins {costs.profile_us:.0f}, both {costs.both_us:.0f}"
    )


def _cpu_us(work: Callable[[], object]) -> float:
    costs = []
    for _ in range(TIMES):
        begin = time.process_time_ns()
        work()
        costs.append(time.process_time_ns() - begin)
    return median(costs) / 1000
