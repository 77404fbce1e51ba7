"""TLS and client certificates: curl, grpcio and tritonclient."""

import datetime
import ipaddress
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from servers import DEFAULT_MODELS, Server, running

MODEL = "electra-mini-sentiment"
PATIENCE = 60
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Files:
    """A certificate and its key, and the authority that has signed it, as files in PEM."""

    ca: str
    certificate: str
    key: str


@dataclass(frozen=True)
class Setup:
    """A server, and what its clients have."""

    server: Server
    client: Files
    # Whether the server asks for a certificate.
    asks: bool


def certify(subject: str, key: Key, issuer: str, issuer_key: Key, *, is_ca: bool) -> x509.Certificate:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if is_ca:
        usage = dict.fromkeys(
            [
                "digital_signature",
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ],
            False,
        )
        builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


def files(folder: Path, key: Key, form: PrivateFormat) -> Files:
    """Makes an authority and signs a certificate for this key."""
    folder.mkdir()
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = certify("authority", authority_key, "authority", authority_key, is_ca=True)
    certificate = certify("localhost", key, "authority", authority_key, is_ca=False)
    (folder / "ca.pem").write_bytes(authority.public_bytes(Encoding.PEM))
    (folder / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, form, NoEncryption()))
    return Files(*(str(folder / name) for name in ["ca.pem", "cert.pem", "key.pem"]))


@pytest.fixture(scope="module", params=["rsa", "ecdsa, with client certificates"])
def setup(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    """A server with a key in PKCS#1, and one with a key in SEC1 that asks for certificates."""
    folder = tmp_path_factory.mktemp("tls")
    asks = request.param != "rsa"
    key = ec.generate_private_key(ec.SECP256R1()) if asks else rsa.generate_private_key(65537, 2048)
    served = files(folder / "server", key, PrivateFormat.TraditionalOpenSSL)
    shown = files(folder / "client", ec.generate_private_key(ec.SECP256R1()), PrivateFormat.PKCS8)
    arguments = ["--tls-certificate", served.certificate, "--tls-key", served.key]
    if asks:
        arguments += ["--tls-client-ca", shown.ca]
    with running(DEFAULT_MODELS, *arguments) as server:
        client = Files(ca=served.ca, certificate=shown.certificate, key=shown.key)
        yield Setup(server=server, client=client, asks=asks)


def curl(setup: Setup, *arguments: str, is_known: bool = True) -> tuple[int, str]:
    """The exit code and the output of curl."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    identity = ["--cert", setup.client.certificate, "--key", setup.client.key] if is_known else []
    command = ["curl", "--silent", "--max-time", str(PATIENCE), *identity, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize(("flag", "version"), [("--http1.1", "1.1"), ("--http2", "2")])
@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_curl_chooses_the_protocol_in_the_handshake(setup: Setup, flag: str, version: str, tls: str) -> None:
    url = f"https://{setup.server.http}/health/ready"
    versions = [f"--tlsv{tls}", "--tls-max", tls]
    form = ["--write-out", "%{http_code} %{http_version}", "--output", "/dev/null"]
    found = curl(setup, flag, *versions, "--cacert", setup.client.ca, *form, url)
    assert found == (0, f"200 {version}")


def test_curl_is_refused_over_plain_http_and_refuses_what_it_does_not_trust(setup: Setup) -> None:
    assert curl(setup, f"https://{setup.server.http}/health")[0] == 60
    code, answer = curl(setup, f"http://{setup.server.http}/health")
    assert (code != 0, answer) == (True, "")


def test_clients_without_a_certificate_are_refused_if_the_server_asks(setup: Setup) -> None:
    ca = setup.client.ca
    code, answer = curl(setup, "--cacert", ca, f"https://{setup.server.http}/health/live", is_known=False)
    assert ((code != 0), (answer == "")) == (setup.asks, setup.asks)
    credentials = grpc.ssl_channel_credentials(Path(ca).read_bytes())
    with grpc.secure_channel(setup.server.grpc, credentials) as channel:
        check = HealthStub(channel).Check
        if setup.asks:
            with pytest.raises(grpc.RpcError) as caught:
                check(HealthCheckRequest(), timeout=PATIENCE)
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        else:
            assert check(HealthCheckRequest(), timeout=PATIENCE).status == HealthCheckResponse.SERVING


def test_grpcio_is_answered(setup: Setup) -> None:
    paths = [setup.client.ca, setup.client.key, setup.client.certificate]
    credentials = grpc.ssl_channel_credentials(*(Path(path).read_bytes() for path in paths))
    with grpc.secure_channel(setup.server.grpc, credentials) as channel:
        status = HealthStub(channel).Check(HealthCheckRequest(), timeout=PATIENCE).status
    assert status == HealthCheckResponse.SERVING


def test_tritonclient_is_answered_over_grpc(setup: Setup) -> None:
    client = tritonclient.grpc.InferenceServerClient(
        setup.server.grpc,
        ssl=True,
        root_certificates=setup.client.ca,
        private_key=setup.client.key,
        certificate_chain=setup.client.certificate,
    )
    with client:
        assert labels(client, tritonclient.grpc) == [b"positive", b"negative"]


def test_tritonclient_is_answered_over_http(setup: Setup) -> None:
    def context() -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=setup.client.ca)
        context.load_cert_chain(setup.client.certificate, setup.client.key)
        return context

    with tritonclient.http.InferenceServerClient(setup.server.http, ssl=True, ssl_context_factory=context) as client:
        assert labels(client, tritonclient.http) == [b"positive", b"negative"]


def labels(client, module) -> list[bytes]:
    texts = np.array([["A warm, funny film."], ["Dull, clumsy and far too long."]], np.object_)
    tensor = module.InferInput("text", texts.shape, "BYTES")
    tensor.set_data_from_numpy(texts)
    return list(client.infer(MODEL, [tensor]).as_numpy("label")[:, 0])
