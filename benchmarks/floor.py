"""The floor: the least work a server can do on this database, as a bare Starlette application.

GET /{id} is one find_one of bytes by _id; POST / is one insert_one of bytes with majority and journal.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bson import ObjectId
from pymongo import AsyncMongoClient, WriteConcern
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

DATABASE = "floor"
FHIR_JSON = "application/fhir+json"


async def read(request: Request) -> Response:
    found = await request.app.state.patients.find_one({"_id": request.path_params["id"]}, {"_id": 0})
    return Response(found["bytes"], media_type=FHIR_JSON) if found else Response(status_code=404)


async def create(request: Request) -> Response:
    id_ = str(ObjectId())
    await request.app.state.patients.insert_one({"_id": id_, "bytes": await request.body()})
    return Response(status_code=201, headers={"Location": f"/{id_}"})


@asynccontextmanager
async def connected(app: Starlette) -> AsyncIterator[None]:
    async with AsyncMongoClient[dict[str, Any]](os.environ["FLOOR_MONGODB_URI"]) as client:
        durable = WriteConcern(w="majority", j=True)
        app.state.patients = client[DATABASE].get_collection("patients", write_concern=durable)
        yield


app = Starlette(
    routes=[Route("/", create, methods=["POST"]), Route("/{id}", read, methods=["GET"])], lifespan=connected
)
