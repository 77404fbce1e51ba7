"""grpcio without generated code: messages are built from the server's reflection."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import native
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from servers import Server

PATIENCE = 120
SENTENCES = 10_000
SERVICES = {"electra.v1.Electra", "inference.GRPCInferenceService", "grpc.health.v1.Health"}
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


class Electra:
    """A client of electra.v1.Electra, built from reflection."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.database = ProtoReflectionDescriptorDatabase(channel)
        self.service = DescriptorPool(self.database).FindServiceByName("electra.v1.Electra")

    def method(self, name: str) -> Callable[..., Any]:
        """A method that takes and returns messages, or iterators of messages for streams."""
        method = self.service.methods_by_name[name]
        kind = self.channel.stream_stream if method.client_streaming else self.channel.unary_unary
        return kind(
            f"/{self.service.full_name}/{name}",
            request_serializer=GetMessageClass(method.input_type).SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )

    def request(self, name: str, fields: dict[str, Any]) -> Any:
        return ParseDict(fields, GetMessageClass(self.service.methods_by_name[name].input_type)())


@pytest.fixture
def electra(default_server: Server) -> Iterator[Electra]:
    with grpc.insecure_channel(default_server.grpc) as channel:
        yield Electra(channel)


def test_reflection_lists_the_services(electra: Electra) -> None:
    assert set(electra.database.get_services()) >= SERVICES


@pytest.mark.parametrize(
    ("method", "model", "fields", "body"),
    [
        (
            "Discriminate",
            "electra-mini-discriminator",
            {"text": ["The quick brown fox fake over the lazy dog", "🦊 Ünï"], "level": "LEVEL_WORD"},
            {"text": ["The quick brown fox fake over the lazy dog", "🦊 Ünï"], "level": "word"},
        ),
        (
            "Classify",
            "electra-mini-sentiment",
            {"text": ["A warm, funny film."], "topK": 1},
            {"text": ["A warm, funny film."], "top_k": 1},
        ),
        (
            "Tag",
            "electra-mini-chunker",
            {"text": ["The old man bought a new car in London."], "aggregation": "AGGREGATION_FIRST"},
            {"text": ["The old man bought a new car in London."], "aggregation": "first"},
        ),
        (
            "Answer",
            "electra-mini-qa",
            {"question": "Who wrote it?", "context": "The letter was written by Maria Lopez.", "topK": 2},
            {"question": "Who wrote it?", "context": "The letter was written by Maria Lopez.", "top_k": 2},
        ),
    ],
)
def test_each_task_answers_as_over_http(
    electra: Electra,
    default_server: Server,
    method: str,
    model: str,
    fields: dict[str, Any],
    body: dict[str, Any],
) -> None:
    answer = electra.method(method)(electra.request(method, fields), timeout=PATIENCE)
    assert answer.model == model
    found = MessageToDict(answer, always_print_fields_with_no_presence=True, preserving_proto_field_name=True)
    for result, wanted in zip(found["results"], native.results(default_server.http_url, model, body), strict=True):
        for field, value in wanted.items():
            assert plain(result[field]) == approximately(value)


def plain(value: Any) -> Any:
    """A message as JSON, in which 64-bit numbers are strings."""
    if isinstance(value, list):
        return [
            {name: int(field) if name in ("start", "end") else field for name, field in element.items()}
            for element in value
        ]
    return value


def approximately(value: Any) -> Any:
    """Compares scores as fp32, since the two sides print different numbers of digits."""
    if isinstance(value, list):
        return [
            {
                name: pytest.approx(field, rel=1e-6) if isinstance(field, float) else field
                for name, field in element.items()
            }
            for element in value
        ]
    return pytest.approx(value, rel=1e-6)


def test_a_refusal_carries_its_code(electra: Electra) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        electra.method("Tag")(electra.request("Tag", {"text": ["a"], "model": "nobody"}), timeout=PATIENCE)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert "nobody" in caught.value.details()
    assert ("error-code", "model_not_found") in [(entry.key, entry.value) for entry in caught.value.trailing_metadata()]


def test_a_stream_of_many_sentences_is_answered_in_order(small_server: Server) -> None:
    with grpc.insecure_channel(small_server.grpc) as channel:
        electra = Electra(channel)
        fields = {"model": "discriminator-plain", "level": "LEVEL_WORD"}
        template = electra.request("DiscriminateStream", fields)

        def sentence(number: int) -> list[str]:
            return ["sentence", str(number), *["fox"] * (number % 7), "."]

        def requests() -> Iterator[Any]:
            for number in range(SENTENCES):
                request = type(template)()
                request.CopyFrom(template)
                request.text.append(" ".join(sentence(number)))
                yield request

        answered = 0
        for number, answer in enumerate(electra.method("DiscriminateStream")(requests(), timeout=PATIENCE)):
            assert [word.word for word in answer.results[0].words] == sentence(number)
            answered += 1
        assert answered == SENTENCES


def test_health_follows_the_models(own_server: Callable[..., Server]) -> None:
    server = own_server("discriminator-plain", "token-bio")
    with grpc.insecure_channel(server.grpc) as channel:
        health = HealthStub(channel)

        def check(service: str) -> Any:
            return health.Check(HealthCheckRequest(service=service), timeout=PATIENCE).status

        def repository(action: str) -> None:
            native.post(f"{server.http_url}/v2/repository/models/token-bio/{action}", {})

        for service in ["", "electra.v1.Electra", "inference.GRPCInferenceService", "discriminator-plain", "token-bio"]:
            assert check(service) == SERVING, service
        with pytest.raises(grpc.RpcError) as caught:
            check("nobody")
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND

        watched = health.Watch(HealthCheckRequest(service="token-bio"), timeout=PATIENCE)
        assert next(watched).status == SERVING
        repository("unload")
        assert check("token-bio") == NOT_SERVING
        assert check("discriminator-plain") == SERVING
        assert next(watched).status == NOT_SERVING
        repository("load")
        assert check("token-bio") == SERVING
        assert next(watched).status == SERVING
        watched.cancel()


def test_messages_of_the_open_inference_protocol_can_be_built_from_reflection(default_server: Server) -> None:
    with grpc.insecure_channel(default_server.grpc) as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        method = pool.FindServiceByName("inference.GRPCInferenceService").methods_by_name["ModelInfer"]
        tensor = {"name": "text", "datatype": "BYTES", "shape": ["1", "1"]}
        request = ParseDict(
            {"modelName": "electra-mini-sentiment", "inputs": [tensor]}, GetMessageClass(method.input_type)()
        )
        request.inputs[0].contents.bytes_contents.append(b"A warm, funny film.")
        infer = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=GetMessageClass(method.input_type).SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        answer = infer(request, timeout=PATIENCE)
        results = [output.name for output in answer.outputs].index("result")
        # The only element is prefixed with its length.
        labels = json.loads(answer.raw_output_contents[results][4:])["labels"]
        assert labels[0]["label"] == "positive"
