"""The address of each structure where a server holds several: [base]/t/[tenant]. What follows is as of one alone."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from fhir_ins.api.context import BASE, TENANT

_OF_A_TENANT = re.compile(rf"{BASE}/t/(?P<tenant>[A-Za-z0-9_-]{{1,64}})(?P<rest>/.*|)")


class Tenancy:
    """Pure ASGI middleware: takes the structure out of a path; none in it is no address of the API."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["path"] + "/").startswith(f"{BASE}/"):
            found = _OF_A_TENANT.fullmatch(scope["path"])
            path = BASE + found["rest"] if found else f"{BASE}/-"
            scope = {**scope, "path": path, "raw_path": path.encode(), TENANT: found and found["tenant"]}
        await self.app(scope, receive, send)
