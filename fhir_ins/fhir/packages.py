"""The artifacts of a FHIR package. https://hl7.org/fhir/R4/packages.html"""

import json
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Self, cast

Json = dict[str, Any]

_TYPES = ("StructureDefinition", "ValueSet", "CodeSystem", "SearchParameter", "CompartmentDefinition")


class UnreadablePackage(ValueError):
    """A file is no FHIR package; the text names it and says why."""


class Package:
    """The artifacts of a package that we read, of each type by canonical URL without version."""

    def __init__(self, artifacts: Iterable[Json], manifest: Mapping[str, Any] | None = None) -> None:
        self.manifest = manifest or {}
        shelves: dict[str, dict[str, Json]] = {type_: {} for type_ in _TYPES}
        for artifact in artifacts:
            shelf = shelves.get(artifact.get("resourceType", ""))
            if shelf is not None and "url" in artifact:
                shelf[artifact["url"]] = artifact
        self.structures, self.valuesets, self.codesystems, self.parameters, self.compartments = shelves.values()

    @classmethod
    def read(cls, archive: Path) -> Self:
        """A .tgz as registries give them. Raises UnreadablePackage."""
        try:
            files = dict(_files(archive))
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise UnreadablePackage(f"{archive} is no FHIR package: it is no whole .tgz archive.") from error
        except OSError as error:
            raise UnreadablePackage(f"{archive} cannot be read: {error.strerror or error}.") from error
        except ValueError as error:
            raise UnreadablePackage(f"{archive} has a file that is no JSON: {error}.") from error
        if "package.json" not in files:
            raise UnreadablePackage(f"{archive} is no FHIR package: it has no package/package.json.")
        return cls(files.values(), files["package.json"])


def _files(archive: Path) -> Iterator[tuple[str, Json]]:
    """The JSON objects right in the folder `package`: those in folders below it are examples and the like."""
    with tarfile.open(archive) as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if path.parts[-2:-1] != ("package",) or path.suffix != ".json" or not member.isfile():
                continue
            content = tar.extractfile(member)
            if path.name != "package.json" and path.name.partition("-")[0] not in _TYPES:
                continue
            if content is not None and isinstance(found := json.load(content), dict):
                yield path.name, cast(Json, found)


def concepts(codesystem: Mapping[str, Any]) -> Iterator[str]:
    """The codes of a code system, or of a concept in it: those below come after."""
    for concept in codesystem.get("concept", ()):
        yield concept["code"]
        yield from concepts(concept)
