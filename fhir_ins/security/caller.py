"""The caller: made at the edge, passed to every layer that answers.

Until tokens exist its rights come from a setting (see `settings.Settings.rights`).
"""

from dataclasses import dataclass
from enum import StrEnum

from fhir_ins.fhir.outcome import Forbidden


class Right(StrEnum):
    """What a caller may do.

    `ins.reference` sees matricules of identities that are not qualified; `ins.trusted-source` is believed when it says
    that an identity is qualified, as the master of identities of a structure is.
    """

    READ = "read"
    WRITE = "write"
    FETCH = "ins.fetch"
    VERIFY = "ins.verify"
    QUALIFY = "ins.qualify"
    REFERENCE = "ins.reference"
    TRUSTED_SOURCE = "ins.trusted-source"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose data (`tenant`), which software (`client`), on whose behalf (`user`), with which rights."""

    tenant: str
    client: str
    rights: frozenset[Right]
    user: str | None = None

    def may(self, right: Right) -> bool:
        return right in self.rights

    def require(self, right: Right) -> None:
        """Raise Forbidden unless the caller holds `right`."""
        if right not in self.rights:
            raise Forbidden(f"This needs the right {right.value}, which the caller does not hold.")

    @property
    def actor(self) -> str:
        """Who is recorded as having acted: the user, else the client."""
        return self.user or self.client
