"""Runs `electra serve` as a child process, for clients in Python."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DEFAULT_MODELS = PROJECT / "models"
CHECKPOINTS = PROJECT / "tests" / "golden" / "checkpoints"

# These variables of the environment would change the results of tests.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ELECTRA_")} | {
    name: os.environ[name] for name in ["ELECTRA_ONNXRUNTIME_LIBRARY"] if name in os.environ
}


@dataclass(frozen=True)
class Server:
    """The addresses of a server, as HOST:PORT."""

    http: str
    grpc: str

    @property
    def http_url(self) -> str:
        return f"http://{self.http}"


def binary() -> Path:
    """The program under test: ELECTRA_BINARY, or the one that `cargo test` builds."""
    named = os.environ.get("ELECTRA_BINARY")
    if named:
        return Path(named)
    return Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target")) / "debug" / "electra"


@contextmanager
def running(models: Path, *arguments: str) -> Iterator[Server]:
    """Serves a model repository on free ports. Yields once its models are loaded."""
    addresses = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
    command = [str(binary()), "serve", "--models", str(models), *addresses, "--log-format", "json", "--model-control", "on", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=PROJECT, env=ENVIRONMENT) as process:
        log = process.stderr
        assert log is not None
        try:
            found = _addresses(log)
            # If nobody reads the pipe, it fills up, and the server blocks as soon as it logs.
            rest = threading.Thread(target=log.read)
            rest.start()
            yield Server(http=found["HTTP"], grpc=found["gRPC"])
        finally:
            process.terminate()
        rest.join()
        assert process.wait() == 0, "the server stops cleanly"


def _addresses(log: Iterator[str]) -> dict[str, str]:
    """Reads the log until models are loaded, and returns the addresses by protocol."""
    found: dict[str, str] = {}
    lines = []
    for line in log:
        lines.append(line)
        fields = json.loads(line)["fields"] if line.startswith("{") else {"message": line}
        message = fields["message"]
        if message.startswith("listening for "):
            found[message.removeprefix("listening for ")] = fields["address"].removeprefix("https://")
        if message == "default model":
            return found
    raise AssertionError("the server ended before its models were loaded:\n" + "".join(lines))


def small_checkpoints(folder: Path, *names: str) -> Path:
    """A model repository of the random checkpoints of tests/golden. The server exports them when it loads them."""
    for name in names or [checkpoint.name for checkpoint in CHECKPOINTS.iterdir()]:
        shutil.copytree(CHECKPOINTS / name, folder / name)
    return folder
