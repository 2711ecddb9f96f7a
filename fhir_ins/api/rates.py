"""Who asks too often is told when to come again: 429 and Retry-After. RFC 6585 §4; RFC 9110 §10.2.3

A client is counted by its name, whoever is not known by its address. What is counted is the process's own: with several
processes a client has the sum of what they allow.
"""

from dataclasses import dataclass
from math import ceil

from starlette.requests import Request

from fhir_ins.fhir.outcome import TooManyRequests
from fhir_ins.security.caller import ANONYMOUS, Caller
from fhir_ins.security.network import subscriber
from fhir_ins.security.rates import Rate
from fhir_ins.settings import Settings


@dataclass(frozen=True, slots=True)
class Rates:
    """What is counted; None where it has no limit."""

    requests: Rate | None
    failures: Rate | None
    insi: Rate | None

    @classmethod
    def of(cls, settings: Settings) -> "Rates":
        limits = (settings.rate_per_minute, settings.failed_authentications_per_minute, settings.insi_rate_per_minute)
        return cls(*(Rate(limit) if limit else None for limit in limits))


def require_rate(rates: Rates, request: Request, caller: Caller | None) -> None:
    """Count a request of the caller, None where it need not be known. Raises TooManyRequests."""
    if rates.requests and (wait := rates.requests.take(_one(request, caller))):
        raise _later("More requests have come from you than this server takes in a minute: wait, then repeat it.", wait)


def require_insi_rate(rates: Rates, request: Request, caller: Caller) -> None:
    """Count a request that asks INSi. Raises TooManyRequests."""
    if rates.insi and (wait := rates.insi.take(_one(request, caller))):
        raise _later(
            "More has been asked of INSi for you than this server does in a minute: wait, then repeat it.", wait
        )


def require_few_failures(rates: Rates, request: Request) -> None:
    """Before a token is looked at. Raises TooManyRequests for an address that has sent too many wrong ones."""
    if rates.failures and (wait := rates.failures.wait(address_of(request))):
        raise _later("Too many authentications have failed from your address: wait, then send a valid token.", wait)


def count_failure(rates: Rates, request: Request) -> None:
    """An authentication has failed: its address may fail so many times a minute."""
    if rates.failures:
        rates.failures.take(address_of(request))


def address_of(request: Request) -> str:
    """The network address that is counted; of a proxy that is trusted, the one it names."""
    return subscriber(request.client.host) if request.client else ""


def _one(request: Request, caller: Caller | None) -> str:
    return address_of(request) if caller is None or caller.client == ANONYMOUS else f"{caller.tenant}/{caller.client}"


def _later(text: str, wait: float) -> TooManyRequests:
    return TooManyRequests(text, Retry_After=str(ceil(wait)))
