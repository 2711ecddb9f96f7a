"""SMART discovery: GET [base]/.well-known/smart-configuration.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html. Tokens come from the issuers that are configured; this
server has no authorisation endpoint of its own, and shows that of the first issuer of the structure.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from fhir_ins.api.context import context_of, tenant_of
from fhir_ins.fhir.outcome import NotFound, Unavailable
from fhir_ins.security.fetching import IssuerAway
from fhir_ins.security.scopes import supported

_OF_THE_ISSUER = (
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "introspection_endpoint",
    "revocation_endpoint",
    "registration_endpoint",
    "grant_types_supported",
    "response_types_supported",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
)
_HEADERS = {"Cache-Control": "max-age=300"}


async def smart_configuration(request: Request) -> JSONResponse:
    """Raises NotFound where no issuer gives tokens for this structure, and Unavailable while it does not answer."""
    context = context_of(request)
    issuers = context.authentication.issuers_of(tenant_of(request))
    if not issuers:
        raise NotFound("No issuer of tokens is configured here: callers of this machine need none.")
    try:
        found = await issuers[0].discovered()
    except IssuerAway as error:
        raise Unavailable(f"{error} Try again later.", Retry_After="10") from error
    stated: dict[str, Any] = {name: found[name] for name in _OF_THE_ISSUER if name in found}
    configuration = {
        "issuer": issuers[0].trust.issuer,
        **stated,
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": supported(context.served.interactions),
        "capabilities": ["permission-user", "permission-v1", "permission-v2"],
        "issuers": [issuer.trust.issuer for issuer in issuers],
    }
    return JSONResponse(configuration, headers=_HEADERS)
