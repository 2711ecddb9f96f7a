"""The refusal of a request that breaks a rule of the contract or cannot be authenticated."""


class Refused(Exception):
    """Which rule is broken, as one sentence; it becomes the reason of a Sender's fault."""
