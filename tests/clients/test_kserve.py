"""KServe's inference clients. Run apart from tritonclient: both claim the messages of the protocol."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import httpx
import native
import numpy as np
import pytest
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, InferResponse, RESTConfig
from servers import Server

TEXTS = ["A warm, funny film.", "Dull, clumsy and far too long."]
MODEL = "electra-mini-sentiment"


def texts(binary: bool) -> InferInput:
    tensor = InferInput(name="text", shape=[2, 1], datatype="BYTES")
    tensor.set_data_from_numpy(np.array([[text] for text in TEXTS], np.object_), binary_data=binary)
    return tensor


def over_http(server: Server, use: Callable[[InferenceRESTClient, str], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
            return await use(client, server.http_url)

    return asyncio.run(run())


def over_grpc(server: Server, use: Callable[[InferenceGRPCClient], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with InferenceGRPCClient(server.grpc) as client:
            return await use(client)

    return asyncio.run(run())


def results(answer: InferResponse) -> list[Any]:
    [output] = [output for output in answer.outputs if output.name == "result"]
    return [json.loads(result) for result in output.as_numpy().flatten()]


@pytest.mark.parametrize("binary", [False, True])
def test_texts_are_answered_over_http(default_server: Server, binary: bool) -> None:
    request = InferRequest(MODEL, [texts(binary)], request_id="first")
    answer = over_http(default_server, lambda client, url: client.infer(url, request, model_name=MODEL))
    assert answer.id == "first"
    assert results(answer) == native.results(default_server.http_url, MODEL, {"text": TEXTS})


@pytest.mark.parametrize("binary", [False, True])
def test_texts_are_answered_over_grpc(default_server: Server, binary: bool) -> None:
    request = InferRequest(MODEL, [texts(binary)], request_id="first")
    answer = over_grpc(default_server, lambda client: client.infer(request))
    assert answer.id == "first"
    assert results(answer) == native.results(default_server.http_url, MODEL, {"text": TEXTS})


def test_readiness_over_http(default_server: Server) -> None:
    async def ready(client: InferenceRESTClient, url: str) -> list[bool]:
        return [
            await client.is_server_live(url),
            await client.is_server_ready(url),
            await client.is_model_ready(url, MODEL),
            await client.is_model_ready(url, "nobody"),
        ]

    assert over_http(default_server, ready) == [True, True, True, False]


def test_readiness_over_grpc(default_server: Server) -> None:
    async def ready(client: InferenceGRPCClient) -> list[bool]:
        return [await client.is_server_live(), await client.is_server_ready(), await client.is_model_ready(MODEL)]

    assert over_grpc(default_server, ready) == [True, True, True]


def test_refusals_reach_the_caller_over_http(default_server: Server) -> None:
    request = InferRequest("nobody", [texts(binary=False)])
    with pytest.raises(httpx.HTTPStatusError, match="nobody"):
        over_http(default_server, lambda client, url: client.infer(url, request, model_name="nobody"))


def test_refusals_reach_the_caller_over_grpc(default_server: Server) -> None:
    request = InferRequest("nobody", [texts(binary=False)])
    with pytest.raises(grpc.RpcError) as caught:
        over_grpc(default_server, lambda client: client.infer(request))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
