"""What resources are judged by: FR Core in the store's release, our own profiles, and the packages of the operator."""

from functools import cache
from pathlib import Path

from fhir_ins import artifacts
from fhir_ins.fhir.compile_profiles import package_table, table
from fhir_ins.fhir.packages import Package, UnreadablePackage
from fhir_ins.fhir.profiles import BadProfile
from fhir_ins.frcore.canonical import PATIENT, PATIENT_INS
from fhir_ins.frcore.profiles import FrCore, fr_core
from fhir_ins.settings import Settings


def configured_fr_core(settings: Settings) -> FrCore:
    """FR Core as configured with the profiles beside it, ready for use. Raises UnreadablePackage, naming the file."""
    return _compiled(settings.fr_core, settings.ig_packages)


@cache
def _compiled(release: str, ig_packages: tuple[Path, ...]) -> FrCore:
    """Once for all servers of a process: it never changes."""
    own = table(Package(artifacts.profiles()))
    packages = {archive: package_table(archive) for archive in ig_packages}
    configured = fr_core(release, [own, *packages.values()])
    configured.profiles.prepare([PATIENT, PATIENT_INS, *own["structures"]])
    for archive, package in packages.items():
        try:
            configured.profiles.prepare(package["structures"])
        except BadProfile as error:
            raise UnreadablePackage(f"{archive}: {error}.") from error
    return configured
