"""Compiles the official FHIR R4 package into the table of search parameters and compartments.

Run as `python -m fhir_ins.fhir.compile_search <hl7.fhir.r4.core.tgz>` (`make definitions`). The table keeps what
https://hl7.org/fhir/R4/searchparameter-registry.html and https://hl7.org/fhir/R4/compartmentdefinition.html say:

    "parameters":   {type: {name: {"type": number | date | string | token | reference | composite | quantity | uri |
                     special, "url": canonical, "expression": FHIRPath?, "targets": [type]?, "text": description,
                     "components": [[canonical of a parameter, FHIRPath]]?}}}
    "compartments": {type: {type within it: [name]}}

`expression` is the part of the official one that is about the type; the expressions of a composite's components start
from what its own leads to. Parameters of all types stand under Resource and
DomainResource. The examples of the package are left out; so is `{def}`, which a compartment calls itself by, where the
parameter that says the same is `_id`.
"""

import re
import sys
from pathlib import Path

from fhir_ins.fhir.compile_definitions import write
from fhir_ins.fhir.packages import Json, Package

TABLE = Path(__file__).with_name("definitions") / "r4-search.json"

_CORE = "http://hl7.org/fhir/SearchParameter/"
_ABSTRACT = ("Resource", "DomainResource")
_ALL_TYPES = 140  # a list of about all R4 types means any
_LONGEST_TEXT = 160
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_OF_TYPE = re.compile(r"\* \[(?P<type>\w+)\]\([^)]*\): (?P<text>[^\r\n]*)")


def table(package: Package) -> Json:
    """The table of a package; types and names in order of the alphabet."""
    parameters: dict[str, Json] = {}
    for url, parameter in sorted(package.parameters.items()):
        if re.match("example(-|$)", url.removeprefix(_CORE)):
            continue
        for type_ in parameter.get("base", ()):
            parameters.setdefault(type_, {})[parameter["code"]] = _parameter(parameter, type_)
    manifest = package.manifest
    return {
        "source": f"{manifest['name']} {manifest['version']} ({manifest['license']}), {manifest['url']}",
        "parameters": {type_: dict(sorted(named.items())) for type_, named in sorted(parameters.items())},
        "compartments": {
            found["code"]: _compartment(found)
            for url, found in sorted(package.compartments.items())
            if not url.endswith("/example")
        },
    }


def _parameter(parameter: Json, type_: str) -> Json:
    compiled: Json = {"type": parameter["type"], "url": parameter["url"]}
    if expression := " | ".join(_alternatives(parameter, type_)):
        compiled["expression"] = expression
    targets = sorted(parameter.get("target", ()))
    if 0 < len(targets) < _ALL_TYPES:
        compiled["targets"] = targets
    if components := parameter.get("component"):
        compiled["components"] = [[found["definition"], found["expression"]] for found in components]
    return {**compiled, "text": _text(parameter["description"], type_)}


def _alternatives(parameter: Json, type_: str) -> list[str]:
    """The parts of an expression's union that are about a type: a few of one base only name no type at all."""
    parts = _union(parameter.get("expression", ""))
    if type_ in _ABSTRACT:
        return parts
    about = [part for part in parts if re.match(rf"\(*{type_}\b", part)]
    return about if about or len(parameter["base"]) > 1 else parts


def _union(expression: str) -> list[str]:
    """The parts between the bars that stand in no parentheses."""
    parts, depth = [""], 0
    for letter in expression:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _text(description: str, type_: str) -> str:
    """What a description says of a type, on one line: a shared parameter has a line for each."""
    of_types = {match["type"]: match["text"] for match in _OF_TYPE.finditer(description)}
    text = " ".join(_LINK.sub(r"\1", of_types.get(type_) or description).split())
    if len(text) <= _LONGEST_TEXT:
        return text
    return text[: _LONGEST_TEXT - 1].rpartition(" ")[0] + "…"


def _compartment(definition: Json) -> dict[str, list[str]]:
    return {
        resource["code"]: ["_id" if name == "{def}" else name for name in resource["param"]]
        for resource in definition["resource"]
        if "param" in resource
    }


def main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        sys.exit("usage: python -m fhir_ins.fhir.compile_search <hl7.fhir.r4.core.tgz>")
    write(table(Package.read(Path(arguments[0]))), TABLE)


if __name__ == "__main__":
    main(sys.argv[1:])
