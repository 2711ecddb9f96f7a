"""Compiles a FHIR package into the table of constraints that profiles are judged by.

Run as `python -m fhir_ins.fhir.compile_profiles <package.tgz> <table.json>` (`make definitions`); the server does the
same at start-up with the packages an operator adds. The table keeps what profiles and extension definitions
(https://hl7.org/fhir/R4/structuredefinition.html, derivation constraint) say in their differentials, the value sets
and the code systems that are complete:

    "structures":  {url: {"version": text?, "type": type, "base": canonical, "modifier": true?,
                          "contexts": [[type, expression]]?, "elements": {id: element}}}
    element:       {"min": 1?, "max": "1"?, "types": {type: {"profiles": [canonical]?, "targets": [canonical]?}}?,
                    "fixed": value?, "pattern": value?, "binding": [strength, value set]?, "slice": true?,
                    "slicing": {"by": [[type, path]], "rules": code, "ordered": true?}?,
                    "constraints": [[key, severity, FHIRPath, what it asks for]]?,
                    "longest": maxLength?, "least": minValue?, "greatest": maxValue?}
    "valuesets":   {url: {"include": [part], "exclude": [part]?}}
    part:          {"system": url?, "codes": [code]?, "valuesets": [canonical]?, "filtered": true?}
    "codesystems": {url: [code]}

Ids that an element lacks are derived from its path and slice name. A definition without differential gives its
snapshot. Left out are bindings that are preferred or examples, what the base types ask for anyway (min 0, max "*",
the url of an extension, invariants of base R4), and elements of which nothing is asked.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fhir_ins.fhir.compile_definitions import write
from fhir_ins.fhir.packages import Json, Package, UnreadablePackage, concepts
from fhir_ins.fhir.structure import definitions

_BASE_KEYS = frozenset({"ele-1", "ext-1", "dom-6"})
_STRENGTHS = ("required", "extensible")


def table(package: Package) -> Json:
    """The table of a package."""
    manifest = package.manifest
    source = " ".join(str(manifest[name]) for name in ("name", "version", "license") if name in manifest)
    return {
        "source": source or "loose artifacts",
        "structures": {url: _structure(found) for url, found in sorted(package.structures.items()) if _judged(found)},
        "valuesets": {url: _valueset(found) for url, found in sorted(package.valuesets.items())},
        "codesystems": {
            url: list(concepts(found)) for url, found in sorted(package.codesystems.items()) if _whole(found)
        },
    }


def package_table(archive: Path) -> Json:
    """The table of the package in a file. Raises UnreadablePackage, naming the file."""
    try:
        return table(Package.read(archive))
    except UnreadablePackage:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        text = f"{archive} has an artifact that is not as FHIR R4 defines it ({type(error).__name__}: {error})."
        raise UnreadablePackage(text) from error


def _judged(structure: Json) -> bool:
    return structure.get("derivation") == "constraint" and structure.get("kind") != "logical"


def _whole(codesystem: Json) -> bool:
    return codesystem.get("content") == "complete"


def _structure(structure: Json) -> Json:
    elements = (structure.get("differential") or structure["snapshot"])["element"]
    compiled: Json = {
        "version": structure.get("version"),
        "type": structure["type"],
        "base": structure["baseDefinition"],
    }
    if any(element.get("isModifier") for element in elements[:1]):
        compiled["modifier"] = True
    if structure.get("context"):
        compiled["contexts"] = [[context["type"], context["expression"]] for context in structure["context"]]
    kept = {}
    for id_, element in zip(_ids(elements), elements, strict=True):
        found = _element(element)
        if id_ == "Extension.url" and found.get("fixed") == structure["url"]:
            del found["fixed"]
        if found:
            kept[id_] = found
    return {name: value for name, value in compiled.items() if value is not None} | {"elements": kept}


def _ids(elements: list[Json]) -> Iterator[str]:
    """The id of each element: its own where it agrees with the path, else one made from path and slice name."""
    latest: dict[str, str] = {}  # path: the id of the last element there, which the paths below it continue
    for element in elements:
        path, own = element["path"], element.get("id", "")
        parent, _, leaf = path.rpartition(".")
        id_ = f"{_continued(parent, latest)}.{leaf}" if parent else leaf
        if element.get("sliceName", leaf) != leaf:  # the same for a choice in its short form
            id_ += f":{element['sliceName']}"
        if _agrees(own, path):
            id_ = own
        latest[path] = id_
        yield id_


def _agrees(id_: str, path: str) -> bool:
    """Whether an id is of this path; that of a choice may give the type in the id only (value[x]:valueCode)."""
    steps = [step.partition(":") for step in id_.split(".")]
    names = path.split(".")
    return len(steps) == len(names) and all(
        name in ((step, slice_) if step.endswith("[x]") else (step,))
        for (step, _, slice_), name in zip(steps, names, strict=True)
    )


def _continued(path: str, latest: Mapping[str, str]) -> str:
    """The id that `path` has gone by so far, the steps no element was given for included."""
    if path in latest:
        return latest[path]
    parent, _, leaf = path.rpartition(".")
    return f"{_continued(parent, latest)}.{leaf}" if parent else leaf


def _element(element: Json) -> Json:
    found: Json = {}
    if element.get("min"):
        found["min"] = element["min"]
    if "max" in element and (element["max"] != "*" or "sliceName" in element):
        found["max"] = element["max"]
    if types := _types(element):
        found["types"] = types
    for name, value in element.items():
        for prefix, kept in (
            ("fixed", "fixed"),
            ("pattern", "pattern"),
            ("minValue", "least"),
            ("maxValue", "greatest"),
        ):
            if name.startswith(prefix):
                found[kept] = value
    binding = element.get("binding", {})
    if binding.get("strength") in _STRENGTHS and "valueSet" in binding:
        found["binding"] = [binding["strength"], binding["valueSet"]]
    if "sliceName" in element:
        found["slice"] = True
    if slicing := _slicing(element):
        found["slicing"] = slicing
    if constraints := [constraint for constraint in element.get("constraint", []) if _own(constraint)]:
        found["constraints"] = [[c["key"], c["severity"], c["expression"], c.get("human", "")] for c in constraints]
    if "maxLength" in element:
        found["longest"] = element["maxLength"]
    return found


def _types(element: Json) -> Json:
    types: Json = {}
    for type_ in element.get("type", []):
        if not type_["code"].startswith("http"):  # FHIRPath's own types, of ids and attributes
            named = types.setdefault(type_["code"], {})
            for name, kept in (("profile", "profiles"), ("targetProfile", "targets")):
                if type_.get(name):
                    named.setdefault(kept, []).extend(type_[name])
    return types


def _slicing(element: Json) -> Json | None:
    slicing = element.get("slicing")
    if slicing is None:
        return None
    by = [[found["type"], found["path"]] for found in slicing.get("discriminator", [])]
    ordered = {"ordered": True} if slicing.get("ordered") else {}
    if (
        element["path"].endswith("xtension")
        and slicing.get("rules") == "open"
        and by == [["value", "url"]]
        and not ordered
    ):
        return None  # what extensions are sliced by anyway
    return {"by": by, "rules": slicing.get("rules", "open"), **ordered}


def _own(constraint: Json) -> bool:
    key = constraint["key"]
    return "expression" in constraint and key not in _BASE_KEYS and not _of_base(key, constraint["expression"])


def _of_base(key: str, expression: str) -> bool:
    """Whether base validation knows the invariant: a snapshot repeats what its base type asks for."""
    known = definitions()["invariants"]
    return any(known[name] == expression for name in known if name.partition(":")[0] == key)


def _valueset(valueset: Json) -> Json:
    compose = valueset.get("compose")
    if compose is None:
        return {"include": list(_enumerated(valueset.get("expansion", {})))}
    parts = {name: [_part(found) for found in compose[name]] for name in ("include", "exclude") if compose.get(name)}
    return {"include": [{"filtered": True}], **parts}


def _part(part: Json) -> Json:
    found: Json = {}
    if "system" in part:
        found["system"] = part["system"]
    if "concept" in part:
        found["codes"] = [concept["code"] for concept in part["concept"]]
    if "valueSet" in part:
        found["valuesets"] = part["valueSet"]
    if "filter" in part:
        found["filtered"] = True
    return found


def _enumerated(expansion: Mapping[str, Any]) -> Iterator[Json]:
    """The parts of a value set that comes expanded; none of them when nothing is there, so that it is unknown."""
    if not expansion.get("contains"):
        yield {"filtered": True}
    for concept in expansion.get("contains", ()):
        if "code" in concept and not concept.get("abstract"):
            yield {"system": concept.get("system"), "codes": [concept["code"]]}
        if concept.get("contains"):
            yield from _enumerated(concept)


def main(arguments: list[str]) -> None:
    if len(arguments) != 2:
        sys.exit("usage: python -m fhir_ins.fhir.compile_profiles <package.tgz> <table.json>")
    write(package_table(Path(arguments[0])), Path(arguments[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
