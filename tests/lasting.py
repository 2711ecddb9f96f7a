"""What stays the same when an answer is given again."""

import re

_VOLATILE = [
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "<instant>"),
    (re.compile(r'("dateCollection","valueDate":)"[\d-]+"'), r'\1"<day>"'),
]


def lasting(answer: str) -> str:
    """The answer without its ids, instants and the day of a call."""
    for volatile, shown in _VOLATILE:
        answer = volatile.sub(shown, answer)
    return answer.strip()
