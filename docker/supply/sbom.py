"""The software bill of materials of what runs: CycloneDX 1.6 (JSON), made of the lock the image is built from.

    python docker/supply/sbom.py docker/requirements.lock dist/sbom.cdx.json

Names, versions and hashes are the lock's; licences, and who needs whom, are what the installed packages say of
themselves. https://cyclonedx.org/docs/1.6/json/
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fhir_ins import __version__

_PIN = re.compile(
    r"^([\w.-]+)==(\S+)(?: ; ([^\\\n]+?))? \\\n((?:\s+--hash=sha256:[0-9a-f]{64}(?: \\)?\n?)+)", re.MULTILINE
)
_HASH = re.compile(r"sha256:([0-9a-f]{64})")
_LICENCES = LicenseFactory()


@dataclass(frozen=True, slots=True)
class Pin:
    """A package of the lock: its files' SHA-256, and the marker of the environments it is for where not for all."""

    name: str
    version: str
    marker: str | None
    hashes: tuple[str, ...]


def pins_of(lock: str) -> list[Pin]:
    """Every package that a lock pins."""
    return [
        Pin(name, version, marker.strip() or None, tuple(_HASH.findall(hashes)))
        for name, version, marker, hashes in _PIN.findall(lock)
    ]


def bill_of_materials(lock: str) -> Bom:
    """The document about the server and all that the lock pins."""
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, f"fhir-ins:{__version__}:{sha256(lock.encode()).hexdigest()}"))
    server = Component(name="fhir-ins", version=__version__, type=ComponentType.APPLICATION, bom_ref="fhir-ins")
    server.licenses.add(_LICENCES.make_from_string("Apache-2.0"))
    bom.metadata.component = server
    components: dict[str, list[Component]] = {}
    for pin in pins_of(lock):
        component = _component(pin)
        bom.components.add(component)
        components.setdefault(canonicalize_name(pin.name), []).append(component)
    bom.register_dependency(server, _known(components, _needs("fhir-ins")))
    for name, found in components.items():
        for component in found:
            bom.register_dependency(component, _known(components, _needs(name)))
    return bom


def _component(pin: Pin) -> Component:
    purl = PackageURL("pypi", name=canonicalize_name(pin.name), version=pin.version)
    component = Component(name=pin.name, version=pin.version, type=ComponentType.LIBRARY, purl=purl, bom_ref=str(purl))
    component.external_references.add(
        ExternalReference(
            type=ExternalReferenceType.DISTRIBUTION,
            url=XsUri(str(purl)),
            comment="the files that the lock takes",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in pin.hashes],
        )
    )
    if pin.marker:
        component.properties.add(Property(name="fhir-ins:environment", value=pin.marker))
    for licence in _licences(pin.name):
        component.licenses.add(_LICENCES.make_from_string(licence))
    return component


def _licences(name: str) -> Iterator[str]:
    """As the package says: an SPDX expression, else the name of a licence, its classifiers, or its licence's title."""
    if not (installed := _installed(name)):
        return
    said = installed.metadata.get_all
    classifiers = [line.rpartition(" :: ")[2] for line in said("Classifier", ()) if line.startswith("License :: ")]
    stated = said("License-Expression", ()) or said("License", ())
    titles = [installed.read_text(f"licenses/{file}") or "" for file in said("License-File", ())]
    for licence in stated or [line for line in classifiers if line != "OSI Approved"] or titles:
        yield licence.strip().partition("\n")[0][:200]


def _needs(name: str) -> Iterator[str]:
    """The packages this one needs; those of its extras count when the lock has them."""
    installed = _installed(name)
    for line in (installed.requires or ()) if installed else ():
        requirement = Requirement(line)
        if name != "fhir-ins" or not (requirement.marker and "extra" in str(requirement.marker)):
            yield canonicalize_name(requirement.name)


def _known(components: Mapping[str, list[Component]], names: Iterable[str]) -> list[Component]:
    return [component for name in dict.fromkeys(names) for component in components.get(name, ())]


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:  # one of another system
        return None


def main(lock: Path, target: Path) -> None:
    """Write the document about a lock."""
    bom = bill_of_materials(lock.read_text("utf-8"))
    target.parent.mkdir(parents=True, exist_ok=True)
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)
    target.write_text(text + "\n", "utf-8")
    print(f"{target}: {len(bom.components)} packages")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
