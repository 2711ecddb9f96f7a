"""Does a resource follow a profile? https://hl7.org/fhir/R4/profiling.html

Judged after base validation, on a resource that has passed it: only what the profiles ask for is walked. The tables
come from `compile_profiles`; https://hl7.org/fhir/R4/validation.html says what there is to judge.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from fhir_ins.fhir.extensions import Extensions
from fhir_ins.fhir.invariants.terms import Invariant
from fhir_ins.fhir.judging import MAXIMUM_BREACHES, Breach, Item, Json, Resource
from fhir_ins.fhir.outcome import Issue
from fhir_ins.fhir.profile_elements import CORE, Structures
from fhir_ins.fhir.profile_rules import Rules
from fhir_ins.fhir.slicing import Published
from fhir_ins.fhir.structure import resource_types
from fhir_ins.fhir.valuesets import ValueSets

Table = Mapping[str, Any]

_R4 = "4.0.1"


class BadProfile(ValueError):
    """A profile is not as R4 defines profiles; the text names it."""


def _nothing(_rule: str, _value: Any) -> bool:
    return False


class Profiles:
    """The profiles, extensions and value sets of some tables; what a later one defines replaces an earlier one's.

    `invariants` are functions for constraints, by the profile that states them (`url|version`) and their key; a
    constraint without one is evaluated from its FHIRPath. `published` tells of a breach whether the definitions
    contradict themselves there: it is asked with the rule (the url of a value set; `identifier:A,B` for an item that
    two slices claim) and the value.
    """

    def __init__(
        self,
        tables: Sequence[Table],
        invariants: Mapping[tuple[str, str], Invariant] | None = None,
        published: Published = _nothing,
    ) -> None:
        self._structures = Structures(tables)
        composes = {url: found for table in tables for url, found in table["valuesets"].items()}
        codesystems = {url: found for table in tables for url, found in table["codesystems"].items()}
        self._rules = Rules(self._structures, ValueSets(composes, codesystems), invariants or {}, published)
        self._extensions = Extensions(self._structures, self._rules.judge_of)

    def knows(self, canonical: str) -> bool:
        """Whether this profile is loaded, in the version the canonical names if it names one; R4's types always."""
        return self._structures.find(canonical) is not None or _base_type(canonical) is not None

    def prepare(self, canonicals: Iterable[str]) -> None:
        """Compile these profiles now rather than when they are first needed. Raises BadProfile for one that cannot."""
        for canonical in canonicals:
            try:
                self._rules.prepare(self._structures.canonical(canonical) or canonical)
            except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
                raise BadProfile(f"{canonical} cannot be compiled ({type(error).__name__}: {error})") from error

    def judge(self, resource: Json, *canonicals: str) -> list[Issue]:
        """What breaks these profiles and the definitions of the extensions in it, with FHIRPath expressions.

        `resource` has passed base validation, and the profiles are known: else LookupError. At most 100 are listed.
        """
        around = Resource(resource)
        type_ = resource["resourceType"]
        breaches: list[Breach] = []
        for canonical in self._furthest(canonicals):
            breaches += self._broken(resource, canonical, around)
        breaches += self._extensions.judge(around)
        return _issues(type_, dict.fromkeys(breaches))

    def conforms(self, resource: Json, canonical: str) -> bool:
        """Whether a resource breaks nothing but what the definitions contradict themselves in."""
        return not any(issue.severity == "error" and not issue.published for issue in self.judge(resource, canonical))

    def _broken(self, resource: Json, canonical: str, around: Resource) -> Iterable[Breach]:
        structure = self._structures.find(canonical)
        judged = structure["type"] if structure else _base_type(canonical)
        if judged is None:
            raise LookupError(f"{canonical} is not loaded")
        if judged != resource["resourceType"]:
            label = canonical.partition("|")[0].rpartition("/")[2]
            return [Breach("structure", f"{label} is a profile of {judged}. Claim a profile of this type instead.")]
        judge = self._rules.judge_of(canonical) if structure else None
        return (judge(Item(resource), around) or ()) if judge else ()

    def _furthest(self, canonicals: Sequence[str]) -> list[str]:
        """The profiles less those that another of them derives from: what follows the one follows the other."""
        implied = {base for canonical in canonicals for base in list(self._structures.bases(canonical))[1:]}
        return [found for found in dict.fromkeys(canonicals) if self._structures.canonical(found) not in implied]


def _base_type(canonical: str) -> str | None:
    """The resource type whose own definition this canonical names."""
    url, _, version = canonical.partition("|")
    name = url.removeprefix(CORE)
    return name if name in resource_types() and version in ("", _R4) else None


def _issues(type_: str, breaches: Iterable[Breach]) -> list[Issue]:
    issues = [
        Issue(found.code, found.text, type_ + found.path, found.severity, published=found.published)
        for found in breaches
    ]
    if len(issues) > MAXIMUM_BREACHES:
        more = "There are more issues: correct these first."
        return [*issues[:MAXIMUM_BREACHES], Issue("informational", more, severity="information")]
    return issues


@cache
def table(path: Path) -> Table:
    """A table that ships with the server. It is shared: do not change it."""
    loaded: Table = orjson.loads(path.read_bytes())
    return loaded


def r4_profiles() -> Table:
    """R4's own profiles and extensions, value sets and code systems."""
    return table(Path(__file__).with_name("definitions") / "r4-profiles.json")
