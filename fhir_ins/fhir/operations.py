"""The parameters of an operation, in and out. https://hl7.org/fhir/R4/operations.html

What an operation takes is read from its OperationDefinition, so that what is published is what is enforced.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from fhir_ins.fhir.outcome import BadRequest, Issue

_RESOURCES = frozenset({"Patient", "Resource"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter or part: its FHIR type (None where it has parts), how often it may stand, its parts."""

    name: str
    type: str | None
    least: int
    most: int | None
    parts: Mapping[str, "Parameter"]

    @property
    def value_name(self) -> str:
        """The element of Parameters.parameter that holds its value."""
        if self.type is None:
            return "part"
        return "resource" if self.type in _RESOURCES else f"value{self.type[0].upper()}{self.type[1:]}"


@dataclass(frozen=True, slots=True)
class Argument:
    """A value given for a parameter, and where it stood (FHIRPath)."""

    value: Any
    expression: str


Arguments = Mapping[str, list[Argument]]


def parameters_in(definition: Mapping[str, Any]) -> dict[str, Parameter]:
    """The in parameters of an OperationDefinition, by name."""
    return {found["name"]: _parameter(found) for found in definition["parameter"] if found["use"] == "in"}


def arguments(parameters: Mapping[str, Any], expected: Mapping[str, Parameter]) -> dict[str, list[Argument]]:
    """The values of a valid Parameters resource by name; every expected name is there, at worst with none.

    Raises BadRequest for an unknown name, a wrong type or a wrong number, each with its place.
    """
    return _read(parameters.get("parameter", []), expected, "Parameters.parameter")


def answer(*parameters: dict[str, Any] | None) -> dict[str, Any]:
    """A Parameters resource of these parameters, those that are None left out."""
    return {"resourceType": "Parameters", "parameter": [found for found in parameters if found]}


def part(name: str, type_: str, value: Any) -> dict[str, Any] | None:
    """One parameter or part, or None where there is no value."""
    return None if value is None else {"name": name, f"value{type_}": value}


def parts(name: str, *children: dict[str, Any] | None) -> dict[str, Any]:
    """A parameter made of parts."""
    return {"name": name, "part": [child for child in children if child]}


def _parameter(definition: Mapping[str, Any]) -> Parameter:
    most = None if definition["max"] == "*" else int(definition["max"])
    children = {child["name"]: _parameter(child) for child in definition.get("part", [])}
    return Parameter(definition["name"], definition.get("type"), definition["min"], most, children)


def _read(given: list[dict[str, Any]], expected: Mapping[str, Parameter], path: str) -> dict[str, list[Argument]]:
    found: dict[str, list[Argument]] = {name: [] for name in expected}
    issues = []
    for index, item in enumerate(given):
        here = f"{path}[{index}]"
        name = item.get("name", "")
        parameter = expected.get(name)
        if parameter is None:
            issues.append(Issue("invalid", _unknown(name, expected), f"{here}.name"))
        elif parameter.value_name not in item:
            text = f"The parameter {parameter.name} is given in {parameter.value_name}."
            issues.append(Issue("structure", text, here))
        elif parameter.value_name == "resource" and parameter.type not in (
            "Resource",
            item["resource"]["resourceType"],
        ):
            text = f"The parameter {parameter.name} is a {parameter.type}."
            issues.append(Issue("structure", text, f"{here}.resource"))
        elif parameter.type is None:
            found[parameter.name].append(Argument(_read(item["part"], parameter.parts, f"{here}.part"), here))
        else:
            found[parameter.name].append(Argument(item[parameter.value_name], f"{here}.{parameter.value_name}"))
    issues += _cardinalities(found, expected, path)
    if issues:
        raise BadRequest(issues)
    return found


def _cardinalities(found: Arguments, expected: Mapping[str, Parameter], path: str) -> list[Issue]:
    issues = []
    for name, parameter in expected.items():
        if len(found[name]) < parameter.least:
            issues.append(Issue("required", f"The parameter {name} is needed.", path))
        if parameter.most is not None and len(found[name]) > parameter.most:
            issues.append(Issue("structure", f"The parameter {name} stands at most {parameter.most} time(s).", path))
    return issues


def _unknown(name: str, expected: Mapping[str, Parameter]) -> str:
    near = get_close_matches(name, expected, n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    return f"This parameter is not one of the operation.{meant} It takes: {', '.join(expected)}."
