"""Who sends a request, judged once at its address; the entries of a Bundle are of the caller of the whole.

https://www.rfc-editor.org/rfc/rfc6750 for the header. Where nobody needs a token, the caller is one of this machine: a
request that a browser was lured into by another host's name, or that came through a proxy, is not.
"""

from ipaddress import ip_address

from starlette.requests import Request

from fhir_ins.api.context import CALLER, context_of, tenant_of
from fhir_ins.api.rates import count_failure, require_few_failures
from fhir_ins.fhir.outcome import Unauthenticated
from fhir_ins.security.authentication import Credentials, unauthenticated
from fhir_ins.security.caller import ANONYMOUS, Caller
from fhir_ins.security.client_certificate import peer_certificate

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


async def authenticate(request: Request) -> Caller:
    """The caller of a request. Raises Unauthenticated, Forbidden for another structure's address, Unavailable."""
    known: Caller | None = request.scope.get(CALLER)
    if known is None:
        known = request.scope[CALLER] = await _judged(request)
    return known


async def _judged(request: Request) -> Caller:
    context, tenant = context_of(request), tenant_of(request)
    token = _token(request)
    if token is not None:
        require_few_failures(context.rates, request)
    try:
        caller = await context.authentication.caller(Credentials(tenant, token, peer_certificate(request.scope)))
    except Unauthenticated:
        count_failure(context.rates, request)
        raise
    if caller is None and context.anonymous and _is_of_this_machine(request):
        return Caller(tenant, ANONYMOUS, context.anonymous)
    if caller is None:
        raise unauthenticated()
    return caller


def _token(request: Request) -> str | None:
    """The bearer token, if one came. Raises Unauthenticated for credentials of another kind, or several."""
    given = request.headers.getlist("authorization")
    if not given:
        return None
    scheme, _, token = given[0].partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise unauthenticated()
    return token.strip()


def _is_of_this_machine(request: Request) -> bool:
    """Whether a request comes straight from this machine, to it by a name of its own."""
    peer = request.client.host if request.client else ""
    return (
        _is_loopback(peer)
        and _is_loopback(request.url.hostname or "")
        and not any(name in request.headers for name in _FORWARDED)
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
