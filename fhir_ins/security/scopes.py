"""The scopes of an access token: SMART's for the types of resources, ours for what is done with an INS.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html: `system/Patient.rs`, `user/*.cruds`, and
those of its first version, `.read`, `.write` and `.*`. `patient/` scopes need a launch in the context of one patient,
which this server does not offer: they grant nothing, and neither does what is unknown here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fhir_ins.security.caller import EVERY_TYPE, Right

_SCOPE = re.compile(r"(?P<context>system|user)/(?P<type>\*|[A-Z][A-Za-z]{1,63})\.(?P<letters>[a-z*]{1,5})")
_LETTERS = re.compile(r"(?=.)c?r?u?d?s?")
_OF_THE_FIRST_VERSION = {"read": "rs", "write": "cud", "*": "cruds"}
_OURS = {right.value: right for right in Right if "." in right.value}


@dataclass(frozen=True, slots=True)
class Granted:
    """What scopes let their bearer do: which of `cruds` on which type, and which of our rights."""

    access: Mapping[str, frozenset[str]] = field(default_factory=dict)
    rights: frozenset[Right] = frozenset()


def granted(scopes: Iterable[str], *, has_user: bool) -> Granted:
    """What these scopes grant. `user/` scopes are of a person: without one they grant nothing.

    A scope with a search refinement (`system/Observation.rs?category=laboratory`) is narrower than what is held to
    here: it grants nothing, rather than too much.
    """
    access: dict[str, frozenset[str]] = {}
    rights: set[Right] = set()
    for scope in scopes:
        if scope in _OURS:
            rights.add(_OURS[scope])
        elif found := _SCOPE.fullmatch(scope):
            if found["context"] == "user" and not has_user:
                continue
            letters = _OF_THE_FIRST_VERSION.get(found["letters"], found["letters"])
            if _LETTERS.fullmatch(letters):
                access[found["type"]] = access.get(found["type"], frozenset()) | frozenset(letters)
    return Granted(access, frozenset(rights))


def supported(types: Iterable[str]) -> list[str]:
    """The scopes that are of use here, as `scopes_supported` lists them."""
    of_types = [f"{context}/{type_}.cruds" for context in ("system", "user") for type_ in (EVERY_TYPE, *types)]
    return ["openid", "fhirUser", *of_types, *_OURS]
