"""tritonclient over HTTP and gRPC. Both clients have almost the same interface, and get the same answers."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import golden
import native
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from servers import Server
from tritonclient.utils import InferenceServerException

TEXTS = ["The quick brown fox fake over the lazy dog.", "Ünïcödé 🦊 fox", "A warm, funny and wonderfully acted film."]
QUESTIONS = ["Who wrote the letter?", "When was it written?"]
CONTEXT = "The letter was written by Maria Lopez in 1912 and found a century later in the attic of a school."


@dataclass(frozen=True)
class Protocol:
    """One of the two clients."""

    name: str
    module: ModuleType

    def client(self, server: Server) -> Any:
        return self.module.InferenceServerClient(server.http if self.name == "http" else server.grpc)

    def ask(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """The response of a descriptive method, as JSON."""
        return method(*arguments, **({} if self.name == "http" else {"as_json": True}))

    def inputs(self, **tensors: Any) -> list[Any]:
        """Tensors by name: lists of strings, or arrays of numbers."""
        inputs = []
        for name, values in tensors.items():
            array = np.array(values, np.object_) if isinstance(values, list) else values
            datatype = "BYTES" if array.dtype == np.object_ else {"int64": "INT64", "int32": "INT32"}[str(array.dtype)]
            tensor = self.module.InferInput(name, array.shape, datatype)
            tensor.set_data_from_numpy(array)
            inputs.append(tensor)
        return inputs

    def outputs(self, *names: str) -> list[Any]:
        return [self.module.InferRequestedOutput(name) for name in names]

    def status(self, http: int, grpc: str) -> str:
        """The client's spelling of a status."""
        return str(http) if self.name == "http" else f"StatusCode.{grpc}"


@pytest.fixture(params=["http", "grpc"])
def protocol(request: pytest.FixtureRequest) -> Protocol:
    return Protocol(request.param, {"http": tritonclient.http, "grpc": tritonclient.grpc}[request.param])


def results(answer: Any) -> list[Any]:
    """The decoded results, one per input."""
    return [json.loads(result) for result in answer.as_numpy("result").flatten()]


def test_the_server_says_what_it_is_and_that_it_is_ready(protocol: Protocol, default_server: Server) -> None:
    client = protocol.client(default_server)
    assert client.is_server_live()
    assert client.is_server_ready()
    metadata = protocol.ask(client.get_server_metadata)
    assert metadata["name"] == "electra"
    assert {"binary_tensor_data", "model_configuration", "model_repository", "statistics"} <= set(
        metadata["extensions"]
    )


@pytest.mark.parametrize("model", native.ROUTES)
def test_a_model_says_what_it_takes(protocol: Protocol, default_server: Server, model: str) -> None:
    client = protocol.client(default_server)
    assert client.is_model_ready(model)
    assert client.is_model_ready(model, "1")
    metadata = protocol.ask(client.get_model_metadata, model)
    assert (metadata["name"], metadata["versions"], metadata["platform"]) == (model, ["1"], "onnx_onnxv1")
    texts = ["question", "context"] if model.endswith("qa") else ["text"]
    for tensor, name in zip(metadata["inputs"], texts, strict=False):
        assert (tensor["name"], tensor["datatype"], [int(size) for size in tensor["shape"]]) == (name, "BYTES", [-1, 1])
    assert "input_ids" in [tensor["name"] for tensor in metadata["inputs"]]
    assert metadata["outputs"][0]["name"] == "result"

    config = protocol.ask(client.get_model_config, model)
    config = config if protocol.name == "http" else config["config"]
    assert (config["name"], config["max_batch_size"]) == (model, 256)
    assert [tensor["name"] for tensor in config["input"]] == [tensor["name"] for tensor in metadata["inputs"]]
    # Which inputs are required depends on the others: texts or token ids.
    assert all(tensor["optional"] for tensor in config["input"])


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("electra-mini-discriminator", {}),
        ("electra-mini-discriminator", {"level": "word", "threshold": 0.25, "offsets": "utf16"}),
        ("electra-mini-sentiment", {}),
        ("electra-mini-sentiment", {"top_k": 1, "function": "none"}),
        ("electra-mini-chunker", {}),
        ("electra-mini-chunker", {"aggregation": "none"}),
        ("electra-mini-qa", {}),
        ("electra-mini-qa", {"top_k": 3, "no_answer": True}),
    ],
)
def test_texts_are_answered_as_by_the_native_route(
    protocol: Protocol, default_server: Server, model: str, options: dict[str, Any]
) -> None:
    if model.endswith("qa"):
        body = {"items": [{"question": question, "context": CONTEXT} for question in QUESTIONS]}
        inputs = protocol.inputs(question=QUESTIONS, context=[CONTEXT] * len(QUESTIONS))
    else:
        body = {"text": TEXTS}
        inputs = protocol.inputs(text=TEXTS)
    # tritonclient's gRPC parameters hold integers, booleans and strings, but no fractions.
    parameters = {name: str(value) if isinstance(value, float) else value for name, value in options.items()}
    answer = protocol.client(default_server).infer(model, inputs, parameters=parameters)
    assert results(answer) == native.results(default_server.http_url, model, body | options)


def test_decoded_outputs_are_the_results_in_columns(protocol: Protocol, default_server: Server) -> None:
    answer = protocol.client(default_server).infer("electra-mini-discriminator", protocol.inputs(text=TEXTS))
    count = answer.as_numpy("count").flatten()
    assert answer.as_numpy("token").shape == (len(TEXTS), count.max())
    for row, result in enumerate(results(answer)):
        tokens = result["tokens"]
        assert count[row] == len(tokens)
        for name in ["token", "start", "end", "score", "fake"]:
            column = answer.as_numpy(name)[row]
            wanted = [token[name].encode() if name == "token" else token[name] for token in tokens]
            assert list(column[: len(tokens)]) == pytest.approx(wanted) if name == "score" else wanted
            assert not any(column[len(tokens) :]), "a row is filled up with nothing"


@pytest.mark.parametrize("checkpoint", golden.checkpoints())
def test_token_ids_are_answered_by_the_logits_of_transformers(
    protocol: Protocol, small_server: Server, checkpoint: str
) -> None:
    batch = golden.batch(checkpoint)
    inputs = protocol.inputs(
        input_ids=batch.input_ids, attention_mask=batch.attention_mask, token_type_ids=batch.token_type_ids
    )
    answer = protocol.client(small_server).infer(checkpoint, inputs, outputs=protocol.outputs(*batch.logits))
    for name, wanted in batch.logits.items():
        found = answer.as_numpy(name)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, rtol=0, atol=golden.TOLERANCE)


def test_token_ids_may_be_of_32_bits_and_alone(protocol: Protocol, small_server: Server) -> None:
    client = protocol.client(small_server)
    ids = golden.batch("discriminator-plain").input_ids[:1, :3]
    found = client.infer("discriminator-plain", protocol.inputs(input_ids=ids.astype(np.int32)))
    wanted = client.infer("discriminator-plain", protocol.inputs(input_ids=ids))
    np.testing.assert_array_equal(found.as_numpy("logits"), wanted.as_numpy("logits"))


def test_only_the_outputs_asked_for_come_back_in_their_order(protocol: Protocol, default_server: Server) -> None:
    answer = protocol.client(default_server).infer(
        "electra-mini-sentiment",
        protocol.inputs(text=TEXTS[2:]),
        model_version="1",
        outputs=protocol.outputs("score", "label"),
        request_id="the-third",
        priority=1,
        timeout=30_000_000,
    )
    response = protocol.ask(answer.get_response)
    assert [output["name"] for output in response["outputs"]] == ["score", "label"]
    assert (response["model_name"], response["model_version"]) == ("electra-mini-sentiment", "1")
    assert response["id"] == "the-third"
    assert answer.as_numpy("label")[0, 0] == b"positive"


@pytest.mark.parametrize(
    ("model", "tensors", "options", "http", "grpc", "said"),
    [
        ("nobody", {"text": ["a"]}, {}, 404, "NOT_FOUND", "nobody"),
        ("electra-mini-sentiment", {"texts": ["a"]}, {}, 422, "INVALID_ARGUMENT", "texts"),
        ("electra-mini-sentiment", {"text": [""]}, {}, 422, "INVALID_ARGUMENT", "empty"),
        ("electra-mini-sentiment", {"text": np.ones([1, 1], np.int64)}, {}, 422, "INVALID_ARGUMENT", "BYTES"),
        ("electra-mini-sentiment", {"text": ["a"]}, {"top_k": 0}, 422, "INVALID_ARGUMENT", "top_k"),
        ("electra-mini-sentiment", {"text": ["a"]}, {"topk": 1}, 422, "INVALID_ARGUMENT", "top_k"),
        ("electra-mini-qa", {"question": ["a"]}, {}, 422, "INVALID_ARGUMENT", "context"),
        ("electra-mini-qa", {"input_ids": np.full([1, 2], 10**6)}, {}, 422, "INVALID_ARGUMENT", "1000000"),
        ("electra-mini-qa", {"input_ids": np.full([1, 600], 5)}, {}, 422, "INVALID_ARGUMENT", "512"),
    ],
)
def test_what_can_not_be_answered_says_why(
    protocol: Protocol,
    default_server: Server,
    model: str,
    tensors: dict[str, Any],
    options: dict[str, Any],
    http: int,
    grpc: str,
    said: str,
) -> None:
    with pytest.raises(InferenceServerException) as caught:
        protocol.client(default_server).infer(model, protocol.inputs(**tensors), parameters=options)
    assert said in caught.value.message()
    assert caught.value.status() == protocol.status(http, grpc)


def test_an_unknown_output_is_refused_by_name(protocol: Protocol, default_server: Server) -> None:
    with pytest.raises(InferenceServerException, match="lable"):
        protocol.client(default_server).infer(
            "electra-mini-sentiment", protocol.inputs(text=["a"]), outputs=protocol.outputs("lable")
        )


def test_what_the_client_can_add_changes_no_answer(protocol: Protocol, default_server: Server) -> None:
    client = protocol.client(default_server)
    ask = lambda **more: client.infer("electra-mini-sentiment", protocol.inputs(text=TEXTS), **more)
    plain = results(ask())
    for more in [
        {"sequence_id": 7, "sequence_start": True, "sequence_end": True},
        {"sequence_id": "a sequence", "sequence_start": True},
        {"priority": 2, "timeout": 20_000_000, "request_id": "mine"},
        {"parameters": {"content_type": "str", "beam_width": 4}},
    ]:
        assert results(ask(**more)) == plain, more
    classes = protocol.module.InferRequestedOutput("score", class_count=2)
    with pytest.raises(InferenceServerException, match="classification"):
        ask(outputs=[classes])
    with pytest.raises(InferenceServerException, match="Did you mean `top_k`"):
        ask(parameters={"top_p": 1})


def test_models_are_unloaded_and_loaded(protocol: Protocol, own_server: Callable[..., Server]) -> None:
    client = protocol.client(own_server("discriminator-plain", "token-bio"))

    def index() -> dict[str, str]:
        found = protocol.ask(client.get_model_repository_index)
        models = found if protocol.name == "http" else found["models"]
        return {model["name"]: model["state"] for model in models}

    assert index() == {"discriminator-plain": "READY", "token-bio": "READY"}
    client.unload_model("token-bio")
    assert index() == {"discriminator-plain": "READY", "token-bio": "UNAVAILABLE"}
    assert not client.is_model_ready("token-bio")
    with pytest.raises(InferenceServerException, match="unloaded"):
        client.infer("token-bio", protocol.inputs(text=["a"]))
    client.load_model("token-bio")
    assert client.is_model_ready("token-bio")
    assert results(client.infer("token-bio", protocol.inputs(text=["a"])))
    with pytest.raises(InferenceServerException, match="nobody"):
        client.load_model("nobody")
    # Files and a configuration are refused, and the loaded model stays unchanged.
    for told in [{"config": "{}"}, {"config": "{}", "files": {"file:1/model.onnx": b"AAAA"}}]:
        with pytest.raises(InferenceServerException, match="parameters.config.*electra.toml"):
            client.load_model("token-bio", **told)
    assert results(client.infer("token-bio", protocol.inputs(text=["a"])))


def test_statistics_are_those_of_what_was_asked(protocol: Protocol, own_server: Callable[..., Server]) -> None:
    client = protocol.client(own_server("discriminator-plain"))
    for _ in range(3):
        client.infer("discriminator-plain", protocol.inputs(text=["the fox", "the hill"]))
    with pytest.raises(InferenceServerException):
        client.infer("discriminator-plain", protocol.inputs(text=[]))
    [found] = protocol.ask(client.get_inference_statistics, "discriminator-plain")["model_stats"]
    assert (found["name"], found["version"]) == ("discriminator-plain", "1")
    assert int(found["inference_count"]) == 6
    assert 3 <= int(found["execution_count"]) <= 6
    figures = found["inference_stats"]
    for part in ["success", "queue", "compute_input", "compute_infer", "compute_output"]:
        assert int(figures[part]["count"]) == 3, part
        assert int(figures[part]["ns"]) > 0, part
    assert sum(int(batch["compute_infer"]["count"]) for batch in found["batch_stats"]) == int(found["execution_count"])
