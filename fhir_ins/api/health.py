"""Liveness and readiness, for orchestrators: /health/live and /health/ready. They tell nothing about patients."""

from pymongo.errors import PyMongoError
from starlette.requests import Request
from starlette.responses import JSONResponse

from fhir_ins.api.context import context_of

_NO_STORE = {"Cache-Control": "no-store"}


async def live(request: Request) -> JSONResponse:
    """The process answers."""
    return JSONResponse({"status": "up"}, headers=_NO_STORE)


async def ready(request: Request) -> JSONResponse:
    """200 when requests can be served: MongoDB answers. INSi's state is shown; without it the rest goes on."""
    context = context_of(request)
    try:
        await context.database.ping()
        mongodb = "up"
    except PyMongoError:
        mongodb = "down"
    insi = dict(context.insi.state()) if context.insi else {"status": "not configured"}
    status = {"status": mongodb, "components": {"mongodb": {"status": mongodb}, "insi": insi}}
    return JSONResponse(status, 200 if mongodb == "up" else 503, headers=_NO_STORE)
