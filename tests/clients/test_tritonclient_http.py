"""Features of tritonclient over HTTP only: JSON and binary data, compressed bodies, and two kinds of concurrency."""

import asyncio

import numpy as np
import pytest
import tritonclient.http
import tritonclient.http.aio
from servers import Server

MODEL = "electra-mini-sentiment"
TEXTS = np.array([["A warm, funny film."], ["Dull, clumsy and far too long."]], np.object_)


def infer_input(module=tritonclient.http, *, texts: np.ndarray = TEXTS, binary: bool = True):
    tensor = module.InferInput("text", texts.shape, "BYTES")
    tensor.set_data_from_numpy(texts, binary_data=binary)
    return tensor


def strings(array: np.ndarray) -> list:
    """BYTES are bytes in binary data, and strings in JSON."""
    return [value.decode() if isinstance(value, bytes) else value for value in array.flat]


@pytest.fixture
def client(default_server: Server):
    with tritonclient.http.InferenceServerClient(default_server.http, concurrency=4) as client:
        yield client


@pytest.mark.parametrize("binary_input", [False, True])
@pytest.mark.parametrize("binary_output", [False, True])
def test_json_and_binary_data_are_the_same(client, binary_input: bool, binary_output: bool) -> None:
    names = ["label", "score", "truncated", "result"]
    outputs = [tritonclient.http.InferRequestedOutput(name, binary_data=binary_output) for name in names]
    answer = client.infer(MODEL, [infer_input(binary=binary_input)], outputs=outputs)
    for output in answer.get_response()["outputs"]:
        assert ("data" in output) is not binary_output
    wanted = client.infer(MODEL, [infer_input()])
    for name in ["label", "truncated", "result"]:
        text = [str(value, "utf-8") if isinstance(value, bytes) else value for value in answer.as_numpy(name).flat]
        assert text == [
            str(value, "utf-8") if isinstance(value, bytes) else value for value in wanted.as_numpy(name).flat
        ]
    # Binary scores are fp32. JSON has the fewest digits that identify the same fp32.
    np.testing.assert_array_equal(answer.as_numpy("score").astype(np.float32), wanted.as_numpy("score"))
    assert answer.as_numpy("score").shape == (2, 2)


@pytest.mark.parametrize("request_algorithm", [None, "gzip", "deflate"])
@pytest.mark.parametrize("response_algorithm", [None, "gzip", "deflate"])
def test_bodies_are_compressed_both_ways(client, request_algorithm: str | None, response_algorithm: str | None) -> None:
    long = np.array([["A warm, funny film. " * 20]] * 50, np.object_)
    answer = client.infer(
        MODEL,
        [infer_input(texts=long)],
        request_compression_algorithm=request_algorithm,
        response_compression_algorithm=response_algorithm,
    )
    assert list(answer.as_numpy("label")[:, 0]) == [b"positive"] * 50


def test_requests_run_side_by_side(client) -> None:
    pending = [client.async_infer(MODEL, [infer_input()], request_id=str(number)) for number in range(20)]
    for number, asked in enumerate(pending):
        answer = asked.get_result()
        assert answer.get_response()["id"] == str(number)
        assert list(answer.as_numpy("label")[:, 0]) == [b"positive", b"negative"]


def test_the_asyncio_client_is_answered(default_server: Server) -> None:
    async def ask() -> list:
        async with tritonclient.http.aio.InferenceServerClient(default_server.http) as client:
            assert await client.is_server_ready()
            asked = (client.infer(MODEL, [infer_input(tritonclient.http.aio)]) for _ in range(20))
            return await asyncio.gather(*asked)

    for answer in asyncio.run(ask()):
        assert list(answer.as_numpy("label")[:, 0]) == [b"positive", b"negative"]
