"""Keys, as clients send them: curl, grpcio, tritonclient and huggingface_hub."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import grpc
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import PrivateFormat
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from servers import DEFAULT_MODELS, Server, running
from test_grpcio import Electra
from test_tls import files
from tritonclient.utils import InferenceServerException

MODEL = "electra-mini-sentiment"
KEYS = {"a-key-to-infer": "infer", "a-key-to-watch": "metrics", "a-key-to-operate": "infer,admin"}
INFER, WATCH, OPERATE = KEYS


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    lines = [f"{key} {scopes} sha256:{sha256(key.encode()).hexdigest()}\n" for key, scopes in KEYS.items()]
    file: Path = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text("".join(lines), encoding="utf-8")
    return str(file)


@pytest.fixture(scope="module")
def server(key_file: str) -> Iterator[Server]:
    """Serves the default models to whoever has a key."""
    with running(DEFAULT_MODELS, "--api-keys", key_file) as server:
        yield server


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def curl(server: Server, path: str, key: str = "", *arguments: str) -> tuple[int, str]:
    """The status and the body of an answer."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    sent = ["--oauth2-bearer", key] if key else []
    form = ["--silent", "--write-out", "\n%{http_code}"]
    done = subprocess.run(
        ["curl", *form, *sent, *arguments, server.http_url + path], capture_output=True, text=True, check=True
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2-prior-knowledge"])
def test_curl(server: Server, protocol: str) -> None:
    classify = [protocol, "--json", '{"text": "a fox"}']
    status, body = curl(server, "/classify", "", *classify)
    assert (status, json.loads(body)["code"]) == (401, "unauthenticated")
    assert curl(server, "/classify", "another", *classify)[0] == 401
    assert curl(server, "/classify", WATCH, *classify)[0] == 403
    assert curl(server, "/classify", INFER, *classify)[0] == 200
    assert curl(server, "/metrics", WATCH, protocol)[0] == 200
    assert curl(server, "/health/ready", "", protocol)[0] == 200
    load = f"/v2/repository/models/{MODEL}/load"
    assert curl(server, load, INFER, protocol, "--request", "POST")[0] == 403
    assert curl(server, load, OPERATE, protocol, "--request", "POST")[0] == 200


def texts(module):
    tensor = module.InferInput("text", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([b"A warm, funny film."], np.object_))
    return [tensor]


@pytest.mark.parametrize("module", [tritonclient.http, tritonclient.grpc])
def test_tritonclient(server: Server, module) -> None:
    address = server.http if module is tritonclient.http else server.grpc
    with module.InferenceServerClient(address) as client:
        assert client.is_server_live() and client.is_model_ready(MODEL)
        answer = client.infer(MODEL, texts(module), headers=bearer(INFER))
        assert answer.as_numpy("label").size == 2
        for headers in [{}, bearer("another"), bearer(WATCH)]:
            with pytest.raises(InferenceServerException):
                client.infer(MODEL, texts(module), headers=headers)
        with pytest.raises(InferenceServerException, match="admin"):
            client.load_model(MODEL, headers=bearer(INFER))
        client.load_model(MODEL, headers=bearer(OPERATE))


def test_huggingface_hub(server: Server) -> None:
    url = f"{server.http_url}/models/{MODEL}"
    found = InferenceClient(model=url, token=INFER).text_classification("A warm, funny film.")
    assert found[0].label == "positive"
    with pytest.raises(HfHubHTTPError) as refused:
        InferenceClient(model=url, token="another").text_classification("A warm, funny film.")
    assert refused.value.response.status_code == 401


class WithKey(grpc.UnaryUnaryClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Adds a key to the metadata of each call."""

    def __init__(self, key: str) -> None:
        self.metadata = tuple(bearer(key).items())

    def intercept_unary_unary(self, continuation, client_call_details, request):
        return continuation(client_call_details._replace(metadata=self.metadata), request)

    def intercept_stream_stream(self, continuation, client_call_details, request_iterator):
        return continuation(client_call_details._replace(metadata=self.metadata), request_iterator)


def test_grpcio(server: Server) -> None:
    with grpc.insecure_channel(server.grpc) as channel:
        health = HealthStub(channel).Check(HealthCheckRequest(), timeout=60)
        assert health.status == HealthCheckResponse.SERVING
        client = Electra(grpc.intercept_channel(channel, WithKey(INFER)))
        request = client.method("Classify")
        message = client.request("Classify", {"text": ["a fox"]})
        assert len(request(message, timeout=60).results) == 1
        stream = client.method("ClassifyStream")(iter([message] * 5), timeout=60)
        assert len(list(stream)) == 5
        for key, code in [("another", grpc.StatusCode.UNAUTHENTICATED), (WATCH, grpc.StatusCode.PERMISSION_DENIED)]:
            call = grpc.intercept_channel(channel, WithKey(key)).unary_unary(
                "/electra.v1.Electra/Classify", request_serializer=type(message).SerializeToString
            )
            with pytest.raises(grpc.RpcError) as refused:
                call(message, timeout=60)
            assert refused.value.code() == code


def test_grpcio_call_credentials(key_file: str, tmp_path: Path) -> None:
    """grpcio sends credentials of calls over TLS alone."""
    tls = files(tmp_path / "tls", ec.generate_private_key(ec.SECP256R1()), PrivateFormat.PKCS8)
    arguments = ["--api-keys", key_file, "--tls-certificate", tls.certificate, "--tls-key", tls.key]
    with running(DEFAULT_MODELS, *arguments) as server:
        for key, code in [(INFER, None), ("another", grpc.StatusCode.UNAUTHENTICATED)]:
            credentials = grpc.composite_channel_credentials(
                grpc.ssl_channel_credentials(Path(tls.ca).read_bytes()), grpc.access_token_call_credentials(key)
            )
            with grpc.secure_channel(server.grpc, credentials) as channel:
                if code is None:
                    client = Electra(channel)
                    answer = client.method("Classify")(client.request("Classify", {"text": ["a fox"]}), timeout=60)
                    assert len(answer.results) == 1
                    continue
                call = channel.unary_unary("/electra.v1.Electra/Classify")
                with pytest.raises(grpc.RpcError) as refused:
                    call(b"", timeout=60)
                assert refused.value.code() == code
