"""What each endpoint is, takes and answers: the words of the OpenAPI description and of the page at /docs.

`routes` says where an endpoint is and which types have it; the tests hold what is said here to what is answered.
https://hl7.org/fhir/R4/http.html, https://hl7.org/fhir/R4/operations.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

_HTTP = "https://hl7.org/fhir/R4/http.html"
_BODY = (408, 413, 415)  # of what is sent
_OPERATIONS = "https://hl7.org/fhir/R4/resource-operations.html"


class Takes(Enum):
    """What is sent in the body of a POST, PUT or PATCH."""

    NOTHING = ""
    RESOURCE = "the resource"
    PATCH = "a patch"
    BUNDLE = "a Bundle"
    PARAMETERS = "Parameters"
    PARAMETERS_OR_NOTHING = "Parameters, or nothing"
    FORM = "the search parameters, as a form"


@dataclass(frozen=True, slots=True)
class Interaction:
    """`query` and `headers` name what `QUERY` and `HEADERS` explain; `answers` are all statuses it may end in.

    `versioned`: what it answers is a version of a resource, with its ETag and Last-Modified.
    """

    title: str
    text: str
    source: str | None
    answers: tuple[int, ...]
    takes: Takes = Takes.NOTHING
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    versioned: bool = False

    def ends_in(self, *methods: str) -> list[int]:
        """The statuses that one of these methods may end in; those of a body need one that sends it."""
        bodiless = not {"POST", "PUT", "PATCH"}.intersection(methods)
        return sorted(status for status in self.answers if not (bodiless and status in _BODY))


QUERY = {
    "_format": "The format of the answer, before Accept: json, xml or a media type.",
    "_pretty": "true: indented, for reading.",
    "_summary": "true, text, data: a part of each resource, tagged SUBSETTED; count, of a search: its total only.",
    "_elements": "The elements to show of each resource, comma-separated: identifier,name.",
    "_count": "How many a page, at most 200.",
    "_include": "What the matches refer to comes along: Observation:subject, or Observation:subject:Patient.",
    "_revinclude": "What refers to the matches comes along: Observation:subject.",
    "_sort": "The order, by search parameters: family,-birthdate.",
    "_total": "none, estimate (counted up to 10000) or accurate.",
    "_cursor": "The next page: follow the next link as it is, without other parameters.",
    "_since": "Only what changed at or after this instant: 2026-01-31T09:00:00Z.",
    "_at": "Only versions that were current at some time in this period: 2026-01.",
    "_type": "Only these types, comma-separated.",
    "mode": "What of it is asked for.",
    "profile": "The canonical URL of the profile to judge against.",
    "condition": "The search parameters that find the one resource to write.",
}
HEADERS = {
    "If-Match": 'Only if this version is the current one: W/"3".',
    "If-None-Match": 'Only if this version is not the current one: W/"3".',
    "If-Modified-Since": "Only if it changed since: an HTTP date.",
    "If-None-Exist": "Only if nothing matches these search parameters: identifier=urn:oid:1.2.250.1.999|42.",
    "Prefer": "return=minimal, representation or OperationOutcome for a write; handling=lenient for a search.",
}
STATUSES = {
    200: "Done; the answer is in the body.",
    201: "Created; Location has its address, ETag its version.",
    202: "INSi is away: the call is deferred, and its Task is in the answer.",
    204: "Deleted; there is no body.",
    304: "Not modified.",
    400: "The request cannot be read, or breaks base R4.",
    401: "It is not known who is calling: WWW-Authenticate says what is wrong with the token.",
    403: "The caller lacks the scope to do this, or is of another structure.",
    404: "There is no such resource, type or address.",
    405: "The address does not take this method, or the update would create.",
    406: "None of the formats that are accepted is offered.",
    408: "The body did not come in time.",
    409: "Something else stands against it: a reference to what is deleted, an INS another Patient has, another write.",
    410: "It was deleted; its past versions can be read.",
    412: "The version is not the current one, or several resources match the condition.",
    413: "The body is larger, or has more entries, than is taken.",
    415: "The body is in a format that is not taken.",
    422: "A rule of the profile or of the identity is broken; nothing was written.",
    429: "You ask too often, or too many calls wait for INSi: come again after Retry-After.",
    502: "The server's access to INSi is configured wrongly; its operator has to see to it.",
    503: "INSi or MongoDB is away: come again after Retry-After.",
}

OF_EVERY_ANSWER = ("_format", "_pretty")
_VIEW = ("_summary", "_elements")
_SEARCH = ("_include", "_revinclude", "_sort", "_total", "_count", "_cursor", *_VIEW)
_READ = (400, 401, 403, 404, 406, 429, 503)
_WRITE = (*_READ, *_BODY, 409, 412, 422)
_INSI = (502,)

INTERACTIONS: Mapping[str, Interaction] = {
    "read": Interaction(
        "Read",
        "The current version of a resource, as its caller may see it.",
        f"{_HTTP}#read",
        (200, 304, *_READ, 410),
        query=_VIEW,
        headers=("If-None-Match", "If-Modified-Since"),
        versioned=True,
    ),
    "vread": Interaction(
        "Version read",
        "A past version. It shows a matricule only while the current version is qualified with it.",
        f"{_HTTP}#vread",
        (200, *_READ, 410),
        query=_VIEW,
        versioned=True,
    ),
    "create": Interaction(
        "Create",
        "A new resource, under an id of the server's. With If-None-Exist: 200 and what is there, where one matches.",
        f"{_HTTP}#create",
        (200, 201, *_WRITE),
        Takes.RESOURCE,
        headers=("If-None-Exist", "Prefer"),
        versioned=True,
    ),
    "update": Interaction(
        "Update",
        "A new version of a resource. What is concealed from the caller stays as it is.",
        f"{_HTTP}#update",
        (200, 201, *_WRITE, 405),
        Takes.RESOURCE,
        headers=("If-Match", "Prefer"),
        versioned=True,
    ),
    "conditional_update": Interaction(
        "Conditional update",
        "A new version of the one resource that matches; a new resource where none does.",
        f"{_HTTP}#cond-update",
        (200, 201, *_WRITE, 405),
        Takes.RESOURCE,
        query=("condition",),
        headers=("If-Match", "Prefer"),
        versioned=True,
    ),
    "patch": Interaction(
        "Patch",
        "Changes to the form the caller reads: JSON Patch, merge patch, or FHIRPath Patch.",
        f"{_HTTP}#patch",
        (200, *_WRITE, 410),
        Takes.PATCH,
        headers=("If-Match", "Prefer"),
        versioned=True,
    ),
    "conditional_patch": Interaction(
        "Conditional patch",
        "The same, to the one resource that matches.",
        f"{_HTTP}#patch",
        (200, *_WRITE, 410),
        Takes.PATCH,
        query=("condition",),
        headers=("If-Match", "Prefer"),
        versioned=True,
    ),
    "delete": Interaction(
        "Delete",
        "The resource is gone, its versions stay. What others refer to is not deleted, unless the server is set to.",
        f"{_HTTP}#delete",
        (200, 204, *_READ, 409, 412),
        headers=("If-Match", "Prefer"),
    ),
    "conditional_delete": Interaction(
        "Conditional delete",
        "The one resource that matches is gone; all that match, where the server is set to.",
        f"{_HTTP}#3.1.0.7.1",
        (200, 204, *_READ, 409, 412),
        query=("condition",),
        headers=("If-Match", "Prefer"),
    ),
    "search": Interaction(
        "Search",
        "The resources that match all parameters. An unknown parameter is refused, unless handling is lenient.",
        f"{_HTTP}#search",
        (200, *_READ, *_BODY, 410),
        Takes.FORM,
        query=_SEARCH,
        headers=("Prefer",),
    ),
    "search_system": Interaction(
        "Search of several types",
        "The resources of the types that _type names, or of all, that match parameters which all these types have.",
        f"{_HTTP}#search",
        (200, *_READ, *_BODY, 410),
        Takes.FORM,
        query=("_type", *_SEARCH),
        headers=("Prefer",),
    ),
    "history_instance": Interaction(
        "History of a resource",
        "Its versions, the latest first.",
        f"{_HTTP}#history",
        (200, *_READ),
        query=("_count", "_since", "_at", "_cursor", *_VIEW),
    ),
    "history_type": Interaction(
        "History of a type",
        "The versions of all its resources, the latest first.",
        f"{_HTTP}#history",
        (200, *_READ),
        query=("_count", "_since", "_at", "_cursor", *_VIEW),
    ),
    "history_system": Interaction(
        "History of everything",
        "The versions of all resources, the latest first.",
        f"{_HTTP}#history",
        (200, *_READ),
        query=("_count", "_since", "_at", "_cursor", *_VIEW),
    ),
    "bundle": Interaction(
        "Batch and transaction",
        "Many requests at once: those of a batch stand each for itself, those of a transaction are one.",
        f"{_HTTP}#transaction",
        (200, *_WRITE, 405, 410),
        Takes.BUNDLE,
        headers=("Prefer",),
    ),
    "capabilities": Interaction(
        "Capabilities",
        "The CapabilityStatement, as this server is configured; mode=terminology: its TerminologyCapabilities.",
        f"{_HTTP}#capabilities",
        (200, 304, 400, 406),
        query=("mode", *_VIEW),
        headers=("If-None-Match", "If-Modified-Since"),
        versioned=True,
    ),
    "ins_fetch": Interaction(
        "Obtain an INS",
        "The INS of a person by their traits, from INSi.",
        None,
        (200, 202, *_WRITE, *_INSI),
        Takes.PARAMETERS,
    ),
    "ins_fetch_instance": Interaction(
        "Obtain the INS of a stored Patient",
        "The same, by the traits of the Patient.",
        None,
        (200, 202, *_WRITE, *_INSI, 410),
        Takes.PARAMETERS_OR_NOTHING,
    ),
    "ins_verify": Interaction(
        "Verify an INS",
        "Whether a matricule, its OID and the traits are what INSi has.",
        None,
        (200, *_WRITE, *_INSI),
        Takes.PARAMETERS,
    ),
    "ins_verify_instance": Interaction(
        "Verify the INS of a stored Patient",
        "The same, of the Patient; what comes of it is recorded.",
        None,
        (200, *_WRITE, *_INSI, 410),
        Takes.PARAMETERS_OR_NOTHING,
    ),
    "ins_identity": Interaction(
        "An INS in the forms other systems take",
        "HL7 v2, XDS and the DMP, CDA, MSSanté and the datamatrix, of a qualified identity.",
        None,
        (200, *_READ, *_BODY, 410, 422),
        Takes.PARAMETERS_OR_NOTHING,
    ),
    "ins_scan": Interaction(
        "Read an INS datamatrix",
        "What a scanned or photographed datamatrix says, as a Patient ready for $ins-verify.",
        None,
        (200, *_READ, *_BODY, 422),
        Takes.PARAMETERS,
    ),
    "everything": Interaction(
        "Everything of a Patient",
        "The Patient, what is in its compartment, and what that refers to.",
        "https://hl7.org/fhir/R4/patient-operation-everything.html",
        (200, *_READ, *_BODY, 410),
        Takes.PARAMETERS_OR_NOTHING,
        query=("_since", "_type", "_count", "_cursor"),
    ),
    "validate": Interaction(
        "Validate",
        "Whether a resource conforms to base R4 and its profiles: an OperationOutcome, with 200, whatever is wrong.",
        "https://hl7.org/fhir/R4/resource-operation-validate.html",
        (200, *_READ, *_BODY),
        Takes.PARAMETERS_OR_NOTHING,
        query=("mode", "profile"),
    ),
    "validate_instance": Interaction(
        "Validate a stored resource",
        "The same, of what is stored, or of what an update would make of it.",
        "https://hl7.org/fhir/R4/resource-operation-validate.html",
        (200, *_READ, *_BODY, 410),
        Takes.PARAMETERS_OR_NOTHING,
        query=("mode", "profile"),
    ),
    "meta": Interaction(
        "Meta of a resource",
        "Its profiles, security labels and tags.",
        _OPERATIONS,
        (200, *_READ, *_BODY, 410),
        Takes.PARAMETERS_OR_NOTHING,
    ),
    "meta_of_type": Interaction(
        "Meta of a type",
        "The profiles, security labels and tags its resources have.",
        _OPERATIONS,
        (200, *_READ, *_BODY),
        Takes.PARAMETERS_OR_NOTHING,
    ),
    "meta_of_system": Interaction(
        "Meta of everything",
        "The profiles, security labels and tags in use.",
        _OPERATIONS,
        (200, *_READ, *_BODY),
        Takes.PARAMETERS_OR_NOTHING,
    ),
    "meta_add": Interaction(
        "Add to the meta of a resource",
        "Profiles, security labels and tags, without a new version.",
        _OPERATIONS,
        (200, *_WRITE, 410),
        Takes.PARAMETERS,
        headers=("If-Match",),
    ),
    "meta_delete": Interaction(
        "Delete from the meta of a resource",
        "Profiles, security labels and tags, without a new version.",
        _OPERATIONS,
        (200, *_WRITE, 410),
        Takes.PARAMETERS,
        headers=("If-Match",),
    ),
    "smart_configuration": Interaction(
        "SMART discovery",
        "Where tokens come from, and which scopes they may have.",
        "https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html",
        (200, 404, 503),
    ),
    "live": Interaction("Liveness", "The process answers.", None, (200,)),
    "ready": Interaction("Readiness", "MongoDB answers, so requests can be served; and how INSi is.", None, (200, 503)),
    "metrics": Interaction("Metrics", "What this process counts, for Prometheus.", None, (200,)),
    "openapi": Interaction("This description", "The API as OpenAPI 3.1.", None, (200,)),
    "docs": Interaction("Documentation", "The API as a page, with examples.", None, (200,)),
}

# FHIR's codes of what endpoints do; of other endpoints, operations, the name is made of theirs.
_CODES = {
    **{name: name for name in ("read", "vread", "create", "update", "patch", "delete")},
    **{f"conditional_{name}": name for name in ("update", "patch", "delete")},
    "search": "search-type",
    "search_system": "search-system",
    "history_instance": "history-instance",
    "history_type": "history-type",
    "history_system": "history-system",
    "bundle": "batch",
    "meta_of_type": "meta",
    "meta_of_system": "meta",
}


def interaction_of(endpoint: str) -> str:
    """The code of what this endpoint does, or the name of its operation, without $.

    https://hl7.org/fhir/R4/valueset-type-restful-interaction.html
    """
    return _CODES.get(endpoint) or endpoint.removesuffix("_instance").replace("_", "-")
