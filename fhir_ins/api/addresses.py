"""An address of the server: which methods it takes, and how what they answer goes out."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from fhir_ins.api.auditing import audited
from fhir_ins.api.authenticating import authenticate
from fhir_ins.api.binary import CONTENT, asks_for_content
from fhir_ins.api.context import CALLER, caller_of, context_of
from fhir_ins.api.interactions import interaction_of
from fhir_ins.api.matricule_in_url import require_no_matricule_in_url
from fhir_ins.api.negotiation import FHIR, Format, answer_format
from fhir_ins.api.rates import require_insi_rate, require_rate
from fhir_ins.api.responses import ENTRY, FORMAT, PRIVATE, rendered
from fhir_ins.fhir.outcome import MethodNotAllowed, NotFound
from fhir_ins.security.caller import LETTERS

Endpoint = Callable[[Request], Awaitable[Response]]

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
_ASK_INSI = ("/$ins-fetch", "/$ins-verify")
_NAMED = re.compile(r"\{(type|compartment):\w+\}")


class _FhirId(StringConvertor):
    """A logical id, so that an operation's name is never taken for one. https://hl7.org/fhir/R4/datatypes.html#id"""

    regex = r"[A-Za-z0-9\-.]{1,64}"


class _FhirType(StringConvertor):
    """The name of a resource type. https://hl7.org/fhir/R4/resourcelist.html"""

    regex = r"[A-Z][A-Za-z]{1,63}"


class _PatientType(StringConvertor):
    """Patient, as an address names it."""

    regex = "Patient"


register_url_convertor("fhir_id", _FhirId())
register_url_convertor("fhir_type", _FhirType())
register_url_convertor("patient", _PatientType())


@dataclass(frozen=True, slots=True)
class Offer:
    """What a method does at an address; `interaction` is its code, which the type must have."""

    endpoint: Endpoint
    interaction: str | None = None


class Address(Route):
    """A route and what it offers, its methods given as GET=…, POST=…; any other is answered 405, with a remedy.

    Unless it is `public`, its caller must be known, and hold what an offer's interaction needs. What the endpoint
    answers goes out in the format that was asked for, one of `formats`; none: it is not FHIR.
    """

    def __init__(
        self, path: str, *, formats: tuple[Format, ...] = FHIR, public: bool = False, **offers: Endpoint | Offer
    ) -> None:
        self.formats = formats
        self.public = public
        self.offers: Mapping[str, Offer] = {
            method: offer if isinstance(offer, Offer) else Offer(offer) for method, offer in offers.items()
        }
        super().__init__(path, self._asked, methods=_METHODS)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """With a slash at its end or without, it is one address. https://hl7.org/fhir/R4/http.html#root"""
        path = scope["path"]
        return super().matches({**scope, "path": path[:-1]} if self.formats and path.endswith("/") else scope)

    async def _asked(self, request: Request) -> Response:
        """The answer to whoever may ask at all; what a known caller asks goes into the audit trail."""
        request.scope["route"] = self.path  # what the access log may say of the address
        if self.public or request.method == "OPTIONS":
            self._require_rates(request)
            return await self._answer(request)
        await authenticate(request)
        self._require_rates(request)
        offer = self.offers.get("GET" if request.method == "HEAD" else request.method)
        return await audited(request, interaction_of(offer.endpoint.__name__) if offer else "", self._answer)

    async def _answer(self, request: Request) -> Response:
        here = self._offered_here(request)
        request.scope["route"] = _NAMED.sub(lambda found: request.path_params.get(found[1], ""), self.path)
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={**PRIVATE, "Allow": _allowed(here)})
        offer = here.get("GET" if request.method == "HEAD" else request.method)
        if offer is None:
            allowed = _allowed(here)
            raise MethodNotAllowed(f"This address takes {allowed}: see [base]/metadata.", Allow=allowed)
        if offer.interaction:
            caller_of(request).require_on(LETTERS[offer.interaction], request.path_params["type"])
        if not self.formats:
            return await offer.endpoint(request)
        if asks_for_content(request, offer.interaction):
            request.scope[CONTENT] = True
            return await offer.endpoint(request)
        request.scope[FORMAT] = answer_format(request, self.formats)
        require_no_matricule_in_url(request)
        return rendered(request, await offer.endpoint(request))

    def _require_rates(self, request: Request) -> None:
        """Count the request as its caller's. Raises TooManyRequests. Whether the server is well may always be asked.

        The entries of a Bundle are part of its one request; those that ask INSi are counted as such.
        """
        if self.path.startswith("/health/"):
            return
        rates, caller = context_of(request).rates, request.scope.get(CALLER)
        if ENTRY not in request.scope:
            require_rate(rates, request, caller)
        if caller and self.path.endswith(_ASK_INSI):
            require_insi_rate(rates, request, caller)

    def _offered_here(self, request: Request) -> Mapping[str, Offer]:
        """What the type that is named here has. Raises NotFound for a type that is not served."""
        if "type" not in request.path_params:
            return self.offers
        served = context_of(request).served
        interactions = served.of(request.path_params["type"])
        if not interactions or not served.of(request.path_params.get("compartment", "Patient")):
            raise NotFound(
                "This server has no resources of this type: see [base]/metadata.",
                code="not-supported",
                message="MSG_UNKNOWN_TYPE",
            )
        return {
            method: offer
            for method, offer in self.offers.items()
            if offer.interaction is None or offer.interaction in interactions
        }


def _allowed(offers: Mapping[str, Offer]) -> str:
    return ", ".join(sorted({*offers, "OPTIONS", *(["HEAD"] if "GET" in offers else [])}))
