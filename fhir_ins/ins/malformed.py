"""What a domain function answers instead of a value when the input breaks a rule."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Malformed:
    """A refusal: what is wrong and what to do, in one sentence, without a whole matricule in it."""

    reason: str
