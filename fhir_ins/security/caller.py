"""The caller: made at the edge, passed to every layer that answers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fhir_ins.fhir.outcome import Forbidden

EVERY_TYPE = "*"
ANONYMOUS = "anonymous"  # the client of a caller without a token

# What each interaction needs on its type, as SMART App Launch 2 spells it (cruds).
LETTERS: Mapping[str, str] = {
    "create": "c",
    "read": "r",
    "vread": "r",
    "history-instance": "r",
    "update": "u",
    "patch": "u",
    "delete": "d",
    "search-type": "s",
    "history-type": "s",
}


class Right(StrEnum):
    """What a caller may do beside what its scopes say of types of resources.

    `read` and `write` are all types at once, for callers without a token. `ins.reference` sees matricules of identities
    that are not qualified; `ins.trusted-source` is believed when it says that an identity is qualified, as the master
    of identities of a structure is; `ins.audit` reads the audit trail.
    """

    READ = "read"
    WRITE = "write"
    FETCH = "ins.fetch"
    VERIFY = "ins.verify"
    QUALIFY = "ins.qualify"
    REFERENCE = "ins.reference"
    TRUSTED_SOURCE = "ins.trusted-source"
    AUDIT = "ins.audit"


# What no scope of a type lets anybody see, but a right alone.
OF_ONE_RIGHT = {"AuditEvent": Right.AUDIT}
_ON_ALL_TYPES = {**dict.fromkeys("rs", Right.READ), **dict.fromkeys("cud", Right.WRITE)}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose data (`tenant`), which software (`client`), on whose behalf (`user`), with which rights.

    `access`: the letters of `LETTERS` it has on each type, those under `EVERY_TYPE` on all. `sector`: the user's sector
    of activity, where the issuer of the token knows it (Pro Santé Connect, nomenclature TRE_R02).
    """

    tenant: str
    client: str
    rights: frozenset[Right] = frozenset()
    user: str | None = None
    access: Mapping[str, frozenset[str]] = field(default_factory=dict)
    sector: str | None = None

    def may(self, right: Right) -> bool:
        return right in self.rights

    def require(self, right: Right) -> None:
        """Raise Forbidden unless the caller holds `right`."""
        if right not in self.rights:
            raise Forbidden(
                f"This needs the scope {right.value}, which the caller does not hold.",
                WWW_Authenticate=_insufficient(right.value),
            )

    def may_on(self, letter: str, type_: str) -> bool:
        """Whether the caller has this letter of `LETTERS` on a type."""
        if right := OF_ONE_RIGHT.get(type_):
            return right in self.rights
        return (
            _ON_ALL_TYPES[letter] in self.rights
            or letter in self.access.get(EVERY_TYPE, ())
            or letter in self.access.get(type_, ())
        )

    def require_on(self, letters: str, *types: str) -> None:
        """Raise Forbidden unless the caller has these letters of `LETTERS` on all these types."""
        for type_ in types:
            for letter in letters:
                if right := OF_ONE_RIGHT.get(type_):
                    self.require(right)
                elif not self.may_on(letter, type_):
                    needed = f"{type_}.{letter}"
                    raise Forbidden(
                        f"This needs the scope system/{needed} or user/{needed}, which the caller does not hold.",
                        WWW_Authenticate=_insufficient(f"system/{needed}"),
                    )

    def among(self, letter: str, types: Iterable[str]) -> tuple[str, ...]:
        """Those of these types that the caller has the letter on. Raises Forbidden where it has it on none."""
        held = tuple(type_ for type_ in types if self.may_on(letter, type_))
        if not held:
            self.require_on(letter, EVERY_TYPE)
        return held

    @property
    def actor(self) -> str:
        """Who is recorded as having acted: the user, else the client."""
        return self.user or self.client


def _insufficient(scope: str) -> str:
    """https://www.rfc-editor.org/rfc/rfc6750#section-3.1"""
    return f'Bearer realm="fhir-ins", error="insufficient_scope", scope="{scope}"'
