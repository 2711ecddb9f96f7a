"""OperationOutcome and the few exceptions that become one. https://hl7.org/fhir/R4/operationoutcome.html

An exception carries the HTTP status and the issues; one place (`api.errors`) turns it into a response.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue: its code of http://hl7.org/fhir/issue-type, what is wrong and what to do, and where (FHIRPath).

    `published` marks an error the resource cannot help: the published definitions contradict themselves there.
    """

    code: str
    text: str
    expression: str | None = None
    severity: str = "error"
    codings: tuple[Mapping[str, str], ...] = ()
    published: bool = False

    def as_json(self) -> dict[str, Any]:
        details: dict[str, Any] = {"coding": [dict(coding) for coding in self.codings]} if self.codings else {}
        details["text"] = self.text
        issue: dict[str, Any] = {"severity": self.severity, "code": self.code, "details": details}
        if self.expression:
            issue["expression"] = [self.expression]
        return issue


def operation_outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """The resource, as JSON values; `issues` holds at least one (OperationOutcome.issue is 1..*)."""
    return {"resourceType": "OperationOutcome", "issue": [issue.as_json() for issue in issues]}


MESSAGES = "http://terminology.hl7.org/CodeSystem/operation-outcome"


class FhirError(Exception):
    """A request that ends in an OperationOutcome. `headers` join those of the response.

    `message` is the code of R4's own list of messages that says the same, for details.coding, where there is one.
    https://hl7.org/fhir/R4/codesystem-operation-outcome.html
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "invalid"
    message: ClassVar[str | None] = None

    def __init__(
        self,
        text: str | Iterable[Issue],
        expression: str | None = None,
        *,
        code: str | None = None,
        message: str | None = None,
        **headers: str,
    ) -> None:
        if isinstance(text, str):
            said = message or self.message
            codings = ({"system": MESSAGES, "code": said},) if said else ()
            self.issues: tuple[Issue, ...] = (Issue(code or self.code, text, expression, codings=codings),)
        else:
            self.issues = tuple(text)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        super().__init__("; ".join(issue.text for issue in self.issues))


def placed(issue: Issue, expression: str, root: str) -> Issue:
    """The issue pointing into the resource (of type `root`) that stands at `expression`, or at it where at nothing."""
    own = issue.expression
    if own and root and own.startswith(root):
        return replace(issue, expression=expression + own.removeprefix(root))
    return issue if own else replace(issue, expression=expression)


@contextmanager
def placed_at(expression: str, root: str) -> Iterator[None]:
    """Errors raised inside point into the resource (of type `root`) that stands at `expression` in the request."""
    try:
        yield
    except FhirError as error:
        error.issues = tuple(placed(issue, expression, root) if issue.expression else issue for issue in error.issues)
        raise


class BadRequest(FhirError):
    """What cannot be parsed or breaks base R4."""


class Unauthenticated(FhirError):
    """It is not known who is calling; WWW-Authenticate says how to say so."""

    status = 401
    code = "login"


class Forbidden(FhirError):
    """The caller lacks a right."""

    status = 403
    code = "forbidden"


class NotFound(FhirError):
    status = 404
    code = "not-found"
    message = "MSG_NO_EXIST"


class MethodNotAllowed(FhirError):
    status = 405
    code = "not-supported"
    message = "MSG_OP_NOT_ALLOWED"


class NotAcceptable(FhirError):
    status = 406
    code = "not-supported"


class RequestTimeout(FhirError):
    """The client was too slow; the connection ends with the answer."""

    status = 408
    code = "timeout"


class Conflict(FhirError):
    status = 409
    code = "conflict"


class Gone(FhirError):
    status = 410
    code = "deleted"
    message = "MSG_DELETED"


class PreconditionFailed(FhirError):
    status = 412
    code = "conflict"


class TooLarge(FhirError):
    status = 413
    code = "too-long"


class UnsupportedMediaType(FhirError):
    status = 415
    code = "not-supported"


class Unprocessable(FhirError):
    """A profile or a business rule is broken by a well-formed request."""

    status = 422
    code = "business-rule"


class TooManyRequests(FhirError):
    """More is asked than this server takes at once; Retry-After says when to come back."""

    status = 429
    code = "throttled"


class BadGateway(FhirError):
    """Our own configuration of a component behind us is wrong: retrying does not help."""

    status = 502
    code = "exception"


class Unavailable(FhirError):
    """A named component is away; Retry-After says when to come back."""

    status = 503
    code = "transient"
