"""The native routes over HTTP, with Python's own library, as the reference for every other interface."""

import json
import urllib.request
from typing import Any

ROUTES = {
    "electra-mini-discriminator": "/discriminate",
    "electra-mini-sentiment": "/classify",
    "electra-mini-chunker": "/tag",
    "electra-mini-qa": "/qa",
}


def results(http_url: str, model: str, body: dict[str, Any]) -> list[Any]:
    """The results of a default model's native route."""
    return post(http_url + ROUTES[model], body)["results"]


def post(url: str, body: dict[str, Any]) -> Any:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null")
