"""Features of tritonclient over gRPC only: compressed messages, callbacks, deadlines, and asyncio."""

import asyncio
import queue

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
from servers import Server
from tritonclient.utils import InferenceServerException

MODEL = "electra-mini-sentiment"
TEXTS = np.array([["A warm, funny film."], ["Dull, clumsy and far too long."]], np.object_)
PATIENCE = 60


def infer_input(module=tritonclient.grpc):
    tensor = module.InferInput("text", TEXTS.shape, "BYTES")
    tensor.set_data_from_numpy(TEXTS)
    return tensor


@pytest.fixture
def client(default_server: Server):
    with tritonclient.grpc.InferenceServerClient(default_server.grpc) as client:
        yield client


@pytest.mark.parametrize("algorithm", [None, "gzip", "deflate"])
def test_messages_are_compressed(client, algorithm: str | None) -> None:
    answer = client.infer(MODEL, [infer_input()], compression_algorithm=algorithm)
    assert list(answer.as_numpy("label")[:, 0]) == [b"positive", b"negative"]


def test_callbacks_get_their_own_answers(client) -> None:
    answers: queue.Queue = queue.Queue()
    for number in range(20):
        # The client passes these names.
        client.async_infer(
            MODEL, [infer_input()], lambda result, error: answers.put((result, error)), request_id=str(number)
        )
    seen = set()
    for _ in range(20):
        answer, error = answers.get(timeout=PATIENCE)
        assert error is None
        seen.add(answer.get_response().id)
        assert list(answer.as_numpy("label")[:, 0]) == [b"positive", b"negative"]
    assert seen == {str(number) for number in range(20)}


def test_a_passed_deadline_is_told(client) -> None:
    # One microsecond expires before anything can be computed.
    with pytest.raises(InferenceServerException) as caught:
        client.infer(MODEL, [infer_input()], timeout=1)
    assert caught.value.status() == "StatusCode.DEADLINE_EXCEEDED"


def test_the_asyncio_client_is_answered(default_server: Server) -> None:
    async def ask() -> list:
        async with tritonclient.grpc.aio.InferenceServerClient(default_server.grpc) as client:
            assert await client.is_server_ready()
            asked = (client.infer(MODEL, [infer_input(tritonclient.grpc.aio)]) for _ in range(20))
            return await asyncio.gather(*asked)

    for answer in asyncio.run(ask()):
        assert list(answer.as_numpy("label")[:, 0]) == [b"positive", b"negative"]
