"""The unitary verification (INSi Lot 2): asked and read by the names of a mapping, because its contract is not public.

Source: `verification.toml` and `contract/verification.wsdl` beside this module, whose names are placeholders in part
until an operator sets the official ones. The mapping is held to its WSDL at start; an answer that does not fit it is
never a yes.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Self

from lxml import etree
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fhir_ins.insi.contract import ADDRESSING_NAMESPACE, BAM_NAMESPACE, LPS_NAMESPACE, VERIFICATION_WSDL
from fhir_ins.insi.port import NoIdentity, SeveralIdentities, Verified, Verify
from fhir_ins.insi.template import Leaves
from fhir_ins.insi.wsdl import Contract

NAMES = Path(__file__).with_name("verification.toml")

_PREFIXES = {"ctxbam": BAM_NAMESPACE, "ctxlps": LPS_NAMESPACE, "wsa": ADDRESSING_NAMESPACE}


@dataclass(frozen=True, slots=True)
class VerificationContract:
    """The files an operator sets: the official WSDL, and the names by which to use it. Ours by default."""

    wsdl: Path = VERIFICATION_WSDL
    names: Path = NAMES


class Misfit(Exception):
    """An answer that the mapping does not make sense of; the text says where, without repeating what it holds."""


class _Table(BaseModel):
    """A table of the mapping; one word too many is as wrong as one too few."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Request(_Table):
    number: str
    key: str | None = None
    oid: str
    family: str
    given: str | None = None
    given_list: str | None = None
    sex: str
    birth_date: str
    birth_place: str | None = None

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if not (self.given or self.given_list):
            raise ValueError("given or given_list is needed")
        return self


class _Report(_Table):
    code: str
    answered: frozenset[str] = Field(min_length=1)
    nobody: frozenset[str] = frozenset()
    several: frozenset[str] = frozenset()


class _Verdict(_Table):
    whole: str
    yes: frozenset[str] = Field(min_length=1)
    no: frozenset[str] = Field(min_length=1)

    @model_validator(mode="after")
    def _yes_is_not_no(self) -> Self:
        if self.yes & self.no:
            raise ValueError("yes and no share a word")
        return self


class _Elements(_Table):
    each: str
    name: str
    verdict: str
    codes: Mapping[str, Literal["matricule", "oid", "family", "given", "birthDate", "gender", "birthPlace"]]


class _Names(_Table):
    binding: str
    operation: str
    action: str
    request: _Request
    constants: Mapping[str, str] = Field(default_factory=dict)
    report: _Report
    verdict: _Verdict
    elements: _Elements | None = None

    @model_validator(mode="after")
    def _each_path_is_a_place_of_its_own(self) -> Self:
        for path, following in pairwise(sorted(f"{place}/" for place in self.places)):
            if following.startswith(path):
                raise ValueError(f"two texts would go to {path[:-1]}")
        return self

    @property
    def places(self) -> list[str]:
        """The paths of all texts of a request."""
        return [*self.request.model_dump(exclude_none=True).values(), *self.constants]


class Verification:
    """A WSDL and the mapping to use it by, found to fit each other."""

    def __init__(self, files: VerificationContract) -> None:
        """Read both files. Raises ValueError or OSError when one is illegible, or the mapping does not fit the WSDL."""
        self._names = names = _names(files.names)
        self.contract = Contract(files.wsdl, names.binding, _PREFIXES)
        self.operation = names.operation
        if (action := self.contract.action(names.operation)) != names.action:
            raise ValueError(f"{files.names}: the action of {names.operation} in the WSDL is {action}.")
        question, answer = self.contract.bodies(names.operation)
        try:
            for path in names.places:
                _text_at(question, path)
            self._root = str(answer.qname)
            self._code = _text_at(answer, names.report.code)
            self._whole = _text_at(answer, names.verdict.whole)
            if names.elements:
                *_, each = within = _along(answer, names.elements.each)
                self._each = _joined(within)
                self._name = _text_at(each, names.elements.name)
                self._part = _text_at(each, names.elements.verdict)
        except LookupError as missing:
            raise ValueError(f"{files.names}: {missing.args[0]}.") from None

    def leaves(self, question: Verify) -> Leaves:
        """The texts of the request; what is not known is left out."""
        number, traits, names = question.number, question.traits, self._names.request
        texts = (
            (names.number, number.matricule.number),
            (names.key, number.matricule.key),
            (names.oid, number.oid),
            (names.family, traits.family),
            (names.given, traits.given[0] if traits.given else None),
            (names.given_list, traits.given_list or None),
            (names.sex, traits.sex),
            (names.birth_date, traits.birth_date),
            (names.birth_place, traits.birth_place),
            *self._names.constants.items(),
        )
        return [(tuple(path.split("/")), text) for path, text in texts if path and text is not None]

    def read(self, body: etree._Element) -> Verified | NoIdentity | SeveralIdentities:
        """The verdict in a SOAP body. Raises `Misfit` for anything but one clear yes or no."""
        answer = _one(body, self._root)
        report, code = self._names.report, _one_text(answer, self._code)
        if code in report.nobody:
            return NoIdentity()
        if code in report.several:
            return SeveralIdentities()
        if code not in report.answered:
            raise Misfit(f"{report.code} holds a code that the mapping does not name")
        whole = self._yes(_one_text(answer, self._whole))
        elements = self._elements(answer)
        if whole and not all(agrees for _, agrees in elements):
            raise Misfit("it says yes to the whole and no to an element")
        return Verified(whole, elements)

    def _elements(self, answer: etree._Element) -> tuple[tuple[str, bool], ...]:
        if self._names.elements is None:
            return ()
        parts = answer.findall(self._each)
        told = [(_one_text(part, self._name), self._yes(_one_text(part, self._part))) for part in parts]
        codes = self._names.elements.codes
        return tuple((codes.get(name, name), agrees) for name, agrees in told)

    def _yes(self, word: str) -> bool:
        if word in self._names.verdict.yes:
            return True
        if word in self._names.verdict.no:
            return False
        raise Misfit("a verdict is neither a yes nor a no of the mapping")


def _names(file: Path) -> _Names:
    try:
        return _Names.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except ValidationError as errors:
        first = errors.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{file}: {place}: {first['msg']}.") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file} is not TOML: {error}.") from None


def _along(element: Any, path: str) -> list[Any]:
    """The elements of the WSDL that `path` leads through, below `element`; raises LookupError with a sentence."""
    found = [element]
    for name in path.split("/"):
        parts = {part.name: part for _, part in getattr(found[-1].type, "elements", [])}
        if name not in parts:
            raise LookupError(f"the WSDL has no element {path} in {element.name}")
        found.append(parts[name])
    return found[1:]


def _text_at(element: Any, path: str) -> str:
    """Where lxml finds the text that `path` leads to; raises LookupError when there is no element for a text."""
    found = _along(element, path)
    if getattr(found[-1].type, "elements", []):
        raise LookupError(f"{path} in {element.name} holds elements, and no text")
    return _joined(found)


def _joined(elements: list[Any]) -> str:
    return "/".join(str(element.qname) for element in elements)


def _one(parent: etree._Element, path: str) -> etree._Element:
    elements = parent.findall(path)
    if len(elements) != 1:
        name = path.rpartition("}")[2]
        raise Misfit(f"{name} is there {len(elements)} times instead of once")
    return elements[0]


def _one_text(parent: etree._Element, path: str) -> str:
    element = _one(parent, path)
    if len(element):
        raise Misfit(f"{etree.QName(element).localname} holds elements")
    return (element.text or "").strip()
