"""Which behaviour a request meets: what its query string says, else the default, which the control endpoint sets.

`GET /control` tells the default, `PUT /control` sets it from a JSON object of names and values, `DELETE /control`
goes back to that of the start. A query string says the whole behaviour of its request, whatever the default is, so
that tests which share a simulator do not meet each other.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from fhir_ins.simulator.behaviour import Behaviour, UnknownBehaviour

_MOST_KEYS = 100_000


class Control:
    """The default behaviour of a process, and how often a behaviour with `times` was met, by its key."""

    def __init__(self, start: Behaviour) -> None:
        self.default = self._start = start
        self._met_by_default: Counter[str] = Counter()
        self._met_by_query: Counter[str] = Counter()

    def behaviour(self, said: Sequence[tuple[str, str]]) -> Behaviour:
        """What a request with this query string meets; raises `UnknownBehaviour`. To ask counts as a request."""
        if said:
            return _in_turn(Behaviour.parse(said), self._met_by_query)
        return _in_turn(self.default, self._met_by_default)

    def set(self, behaviour: Behaviour | None) -> None:
        """Make it the default, and count its requests from now; None for the one of the start."""
        self.default = behaviour or self._start
        self._met_by_default.clear()

    async def endpoint(self, request: Request) -> Response:
        """GET, PUT and DELETE of the default; 400 with a text for a name or a value that means nothing."""
        if request.method == "PUT":
            try:
                self.set(_from_json(await request.body()))
            except UnknownBehaviour as error:
                return PlainTextResponse(str(error), 400)
        elif request.method == "DELETE":
            self.set(None)
        return Response(orjson.dumps(self.default.texts()), media_type="application/json")


def _in_turn(behaviour: Behaviour, met: Counter[str]) -> Behaviour:
    """The behaviour, or what is left of it when its times are over."""
    if behaviour.times is None:
        return behaviour
    if len(met) >= _MOST_KEYS and behaviour.key not in met:
        met.clear()
    met[behaviour.key] += 1
    if met[behaviour.key] <= behaviour.times:
        return behaviour
    return replace(behaviour, fault=None, wire=None, delay=0.0)


def _from_json(body: bytes) -> Behaviour:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict):
        raise UnknownBehaviour("The control endpoint takes a JSON object of names and values.")
    return Behaviour.parse([(name, value if isinstance(value, str) else str(value)) for name, value in said.items()])
