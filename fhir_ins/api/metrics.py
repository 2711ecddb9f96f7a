"""/metrics, for Prometheus: the process, and the téléservice. Nothing in it is about a patient."""

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response


async def metrics(request: Request) -> Response:
    """Everything this process counts, in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})
