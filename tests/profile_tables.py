"""Profiles for tests, as differentials, and a registry that judges by them."""

from typing import Any

from fhir_ins.fhir.compile_profiles import table
from fhir_ins.fhir.outcome import Issue
from fhir_ins.fhir.packages import Package
from fhir_ins.fhir.profiles import Profiles, r4_profiles
from fhir_ins.fhir.structure import validate

Json = dict[str, Any]

URL = "http://example.org/StructureDefinition/"
CORE = "http://hl7.org/fhir/StructureDefinition/"


def definition(type_: str, *elements: Json, name: str = "p", base: str | None = None, **more: Any) -> Json:
    """A profile of `type_` with this differential."""
    return {
        "resourceType": "StructureDefinition",
        "url": URL + name,
        "version": "1",
        "kind": "resource",
        "type": type_,
        "derivation": "constraint",
        "baseDefinition": base or CORE + type_,
        "differential": {"element": list(elements)},
        **more,
    }


def element(id_: str, **facets: Any) -> Json:
    """An element of a differential; path and slice name follow from its id."""
    *_, last = id_.split(".")
    path = ".".join(step.partition(":")[0] for step in id_.split("."))
    named = {"sliceName": last.partition(":")[2]} if ":" in last else {}
    return {"id": id_, "path": path, **named, **facets}


def sliced(path: str, *by: tuple[str, str], rules: str = "open", **more: Any) -> Json:
    """The head of a slicing by (type, path) discriminators."""
    discriminators = [{"type": type_, "path": found} for type_, found in by]
    return element(path, slicing={"discriminator": discriminators, "rules": rules, **more})


def valueset(name: str, *include: Json, **more: Any) -> Json:
    return {
        "resourceType": "ValueSet",
        "url": f"http://example.org/ValueSet/{name}",
        "compose": {"include": list(include), **more},
    }


def codesystem(name: str, *codes: str, content: str = "complete") -> Json:
    concepts = [{"code": code} for code in codes]
    return {"resourceType": "CodeSystem", "url": f"urn:{name}", "content": content, "concept": concepts}


def registry(*artifacts: Json, **options: Any) -> Profiles:
    return Profiles([r4_profiles(), table(Package(artifacts))], **options)


def judged(profiles: Profiles, resource: Json, name: str = "p") -> list[Issue]:
    """The issues of a resource that base validation passes."""
    assert validate(resource) == []
    return profiles.judge(resource, URL + name)


def told(profiles: Profiles, resource: Json, name: str = "p") -> list[tuple[str, str, str | None]]:
    """The same as (severity, code, expression)."""
    return [(issue.severity, issue.code, issue.expression) for issue in judged(profiles, resource, name)]
