"""Compiles the official FHIR R4 package into the table of constraints the validator reads.

Run as `python -m fhir_ins.fhir.compile_definitions <hl7.fhir.r4.core.tgz>` (`make definitions`). The table keeps,
for each resource and datatype, what https://hl7.org/fhir/R4/elementdefinition.html calls min, max, type, target
profiles, content reference, required binding (with its codes), constraint (the keys of those that are errors),
isSummary and isModifier:

    "types":      {type: {"base": type?, "abstract": true?, "profile": true?, "invariants": [key]?,
                          "elements": {path below the type: element}}}
    element:      {"min": 1?, "max": "*"?, "base_max": "*"?, "types": [type], "targets": [type]?,
                   "codes": value set?, "content": path?, "invariants": [key]?, "summary": 1?, "modifier": 1?}
    "valuesets":  {id: {code system: [code]}}
    "invariants": {key: FHIRPath}
    "primitives": {type: regex}

Left out are defaults (min 0, max "1"), what a type inherits unchanged, and `ele-1` and `ext-1` on elements. A type
`@string` is an XML attribute: it never carries an extension. An invariant key of several meanings is written with
its type, `inv-1:Parameters`. A binding to codes that the package cannot enumerate (MIME types, currencies, UCUM,
LOINC) is left out too.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from fhir_ins.fhir.packages import Json, Package, concepts

TABLE = Path(__file__).with_name("definitions") / "r4.json"

_CORE = "http://hl7.org/fhir/StructureDefinition/"
_SYSTEM = "http://hl7.org/fhirpath/System."
_REGEX = _CORE + "regex"
_ATTRIBUTES = {"Element.id": "@string", "Extension.url": "@uri"}
_QUANTITY_PROFILES = ("SimpleQuantity", "MoneyQuantity")


class CorePackage(Package):
    """The package of R4 itself, which enumerates its required codes."""

    def types(self) -> Iterator[tuple[str, Json]]:
        """Every resource and datatype by its name, with the two profiles of Quantity that other types use."""
        for url, structure in sorted(self.structures.items()):
            name = url.removeprefix(_CORE)
            specialised = structure.get("derivation") != "constraint" and structure["kind"] != "logical"
            if specialised or name in _QUANTITY_PROFILES:
                yield name, structure

    def codes(self, canonical: str) -> dict[str, list[str]] | None:
        """The codes of a value set by code system, or None when this package cannot enumerate them."""
        valueset = self.valuesets.get(canonical)
        if valueset is None or "exclude" in valueset["compose"]:
            return None
        expansion: dict[str, list[str]] = {}
        for include in valueset["compose"]["include"]:
            codes = self._included(include)
            if codes is None:
                return None
            expansion.setdefault(include["system"], []).extend(codes)
        return expansion

    def _included(self, include: Json) -> list[str] | None:
        if "concept" in include:
            return [concept["code"] for concept in include["concept"]]
        codesystem = self.codesystems.get(include.get("system", ""))
        if codesystem is None or codesystem["content"] != "complete" or {"filter", "valueSet"} & include.keys():
            return None
        return list(concepts(codesystem))


class Compiler:
    """Turns a package into the table, collecting the value sets and invariants its types name."""

    def __init__(self, package: CorePackage) -> None:
        self.package = package
        self.structures = dict(package.types())
        self.valuesets: dict[str, dict[str, list[str]]] = {}
        self.invariants: dict[str, str] = {}
        self._full: dict[str, dict[str, Json]] = {}
        meanings: defaultdict[str, set[str]] = defaultdict(set)
        for structure in self.structures.values():
            for element in structure["snapshot"]["element"]:
                for constraint in element.get("constraint", []):
                    meanings[constraint["key"]].add(constraint.get("expression", ""))
        self._ambiguous = {key for key, expressions in meanings.items() if len(expressions) > 1}

    def table(self) -> Json:
        primitives, types = {}, {}
        for name, structure in self.structures.items():
            if structure["kind"] == "primitive-type":
                primitives[name] = _regex(structure)
            else:
                types[name] = self._type(name, structure)
        manifest = self.package.manifest
        return {
            "source": f"{manifest['name']} {manifest['version']} ({manifest['license']}), {manifest['url']}",
            "primitives": primitives,
            "valuesets": dict(sorted(self.valuesets.items())),
            "invariants": dict(sorted(self.invariants.items())),
            "types": types,
        }

    def _type(self, name: str, structure: Json) -> Json:
        elements = self._elements(name)
        base = structure.get("baseDefinition", "").removeprefix(_CORE)
        inherited = self._keys(base, self._root(base)) if base else []
        keys = [key for key in self._keys(name, self._root(name)) if key not in inherited]
        kept = {}
        for path, element in elements.items():
            parent, _, leaf = path.rpartition(".")
            ancestor = elements[parent]["types"][0] if parent else base
            if not ancestor or element != self._elements(ancestor).get(leaf):
                kept[path] = element
        compiled: Json = {"base": base} if base else {}
        if structure["abstract"]:
            compiled["abstract"] = True
        if name in _QUANTITY_PROFILES:
            compiled["profile"] = True
        if keys:
            compiled["invariants"] = keys
        return compiled | {"elements": kept}

    def _root(self, name: str) -> Json:
        root: Json = self.structures[name]["snapshot"]["element"][0]
        return root

    def _elements(self, name: str) -> dict[str, Json]:
        """All elements of a type, inherited ones too, by their path below it."""
        if name not in self._full:
            elements = self.structures[name]["snapshot"]["element"][1:]
            self._full[name] = {e["path"].partition(".")[2]: self._element(name, e) for e in elements}
        return self._full[name]

    def _element(self, name: str, element: Json) -> Json:
        compiled: Json = {}
        if element["min"]:
            compiled["min"] = element["min"]
        if element["max"] != "1":
            compiled["max"] = element["max"]
        if element["base"]["max"] != element["max"]:
            compiled["base_max"] = element["base"]["max"]
        if "contentReference" in element:
            compiled["content"] = element["contentReference"].partition(".")[2]
        else:
            compiled["types"] = [_type_name(element, type_) for type_ in element["type"]]
        if targets := _targets(element):
            compiled["targets"] = targets
        if codes := self._binding(element):
            compiled["codes"] = codes
        if keys := [key for key in self._keys(name, element) if key not in ("ele-1", "ext-1")]:
            compiled["invariants"] = keys
        for flag in ("summary", "modifier"):
            if element.get(f"is{flag.capitalize()}"):
                compiled[flag] = 1
        return compiled

    def _keys(self, name: str, element: Json) -> list[str]:
        keys = []
        for constraint in element.get("constraint", []):
            if constraint["severity"] == "error":
                key = constraint["key"]
                key = f"{key}:{name}" if key in self._ambiguous else key
                self.invariants[key] = constraint["expression"]
                keys.append(key)
        return keys

    def _binding(self, element: Json) -> str | None:
        binding = element.get("binding", {})
        if binding.get("strength") != "required" or "valueSet" not in binding:
            return None
        canonical = binding["valueSet"].partition("|")[0]
        codes = self.package.codes(canonical)
        if codes is None:
            return None
        id_: str = self.package.valuesets[canonical]["id"]
        self.valuesets[id_] = codes
        return id_


def _regex(structure: Json) -> str | None:
    for element in structure["snapshot"]["element"]:
        if element["path"].endswith(".value"):
            for extension in element["type"][0].get("extension", []):
                if extension["url"] == _REGEX:
                    return str(extension["valueString"])
    return None


def _type_name(element: Json, type_: Json) -> str:
    code: str = type_["code"]
    if code.startswith(_SYSTEM):
        # Resource.id and the attributes are typed by FHIRPath's own String in the snapshots.
        return _ATTRIBUTES.get(element["base"]["path"], "id")
    for profile in type_.get("profile", []):
        if profile.removeprefix(_CORE) in _QUANTITY_PROFILES:
            return str(profile.removeprefix(_CORE))
    return code


def _targets(element: Json) -> list[str]:
    """The resource types a Reference may name; empty when any."""
    for type_ in element.get("type", []):
        if type_["code"] == "Reference":
            targets = sorted(profile.removeprefix(_CORE) for profile in type_.get("targetProfile", []))
            return [] if "Resource" in targets else targets
    return []


def write(table: Json, path: Path) -> None:
    """One entry of each section per line, so that a change of the definitions reads well in a diff."""
    sections = []
    for name, section in table.items():
        if isinstance(section, dict):
            entries = ",\n".join(f"{_minified(key)}:{_minified(value)}" for key, value in section.items())
            sections.append(f"{_minified(name)}:{{\n{entries}\n}}")
        else:
            sections.append(f"{_minified(name)}:{_minified(section)}")
    path.parent.mkdir(exist_ok=True)
    path.write_text("{\n" + ",\n".join(sections) + "\n}\n", encoding="utf-8")


def _minified(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        sys.exit("usage: python -m fhir_ins.fhir.compile_definitions <hl7.fhir.r4.core.tgz>")
    write(Compiler(CorePackage.read(Path(arguments[0]))).table(), TABLE)


if __name__ == "__main__":
    main(sys.argv[1:])
