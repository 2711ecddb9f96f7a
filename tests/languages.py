"""Whatever a test makes the server say, the server can say in French too."""

import httpx
import orjson

from fhir_ins.api.language import french


async def said_in_french_too(response: httpx.Response) -> None:
    """Fails for an OperationOutcome with a text that the catalogue does not have; for the clients of every test."""
    headers = response.headers
    if "content-language" in headers or not headers.get("content-type", "").startswith("application/fhir+json"):
        return
    body = await response.aread()
    if not body.startswith(b'{"resourceType":"OperationOutcome"'):
        return
    for issue in orjson.loads(body)["issue"]:
        text = issue["details"]["text"]
        assert french(text) != text, f"the catalogue has no {text!r}"
