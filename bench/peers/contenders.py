"""Who is compared: how each is started, asked and read."""

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from environments import FOLDER, PROJECT, pinned, requirements_of

PRECISIONS = ("int8", "fp32")
KEYS = ("electra", "onnxruntime-batched", "onnxruntime-single", "infinity", "transformers", "bare")

# What infinity-emb's requests name the model by.
INFINITY_MODEL = "peer"


@dataclass(frozen=True)
class Setup:
    """What the contenders share."""

    electra: Path
    """The program."""
    work: Path
    """Where prepare.py and `electra export` wrote to."""
    checkpoint: Path
    texts: Path
    threads: int
    serving: Path
    """Programs of the environment of requirements-serving.txt."""
    infinity: Path | None
    """Programs of the environment of requirements-infinity.txt, where it takes part."""

    def graphs(self) -> Path:
        return self.work / "graphs"

    def electra_models(self, precision: str) -> Path:
        return self.work / "electra" / precision

    def infinity_model(self, precision: str) -> Path:
        return self.work / "infinity" / precision


@dataclass(frozen=True)
class Server:
    """A contender that is a process with a port."""

    key: str
    name: str
    precision: str
    command: Callable[[int], list[str]]
    """By the port, on the loopback interface."""
    ready: str = "/health"
    route: str = "/classify"
    body: str = '{"text": {text}}'
    """With `{text}` for the text as a JSON string."""
    labels: Callable[[Any], list[dict]] = lambda answer: answer["labels"]
    """From its answer, a list of `label` and `score`."""


@dataclass(frozen=True)
class InProcess:
    """A contender without a server, that measures itself: onnxruntime_bare.py."""

    key: str
    name: str
    precision: str
    command: Callable[[float], list[str]]
    """By the seconds to measure."""


Contender = Server | InProcess


def contenders(setup: Setup) -> list[Contender]:
    """All of them; each precision begins with electra."""
    found: list[Contender] = []
    for precision in PRECISIONS:
        found.append(electra(setup, precision))
        found.append(onnxruntime_batched(setup, precision))
        found.append(onnxruntime_single(setup, precision))
        if setup.infinity:
            found.append(infinity(setup, setup.infinity, precision))
        if precision == "fp32":
            found.append(transformers_server(setup))
        found.append(onnxruntime_bare(setup, precision))
    return found


def electra(setup: Setup, precision: str) -> Server:
    named = subprocess.run([setup.electra, "--version"], capture_output=True, text=True, check=True)
    version = named.stdout.split()[-1]
    return Server(
        key="electra",
        name=f"**electra** {version}{commit()}, ONNX Runtime {electra_runtime()}",
        precision=precision,
        command=lambda port: [
            *(str(setup.electra), "serve", "--models", str(setup.electra_models(precision))),
            *("--http", f"127.0.0.1:{port}", "--grpc", "off"),
            *("--device", "cpu", "--workers", str(setup.threads), "--log", "warn"),
        ],
        ready="/health/ready",
        labels=lambda answer: answer["results"][0]["labels"],
    )


def transformers_server(setup: Setup) -> Server:
    return Server(
        key="transformers",
        name=f"transformers pipeline behind FastAPI ({versions('serving', 'transformers', 'torch', 'fastapi')})",
        precision="fp32",
        command=lambda port: [
            *script(setup, "transformers_server.py"),
            *("--checkpoint", str(setup.checkpoint), "--threads", str(setup.threads), "--port", str(port)),
        ],
    )


def onnxruntime_batched(setup: Setup, precision: str) -> Server:
    return onnxruntime_server(setup, precision, "onnxruntime-batched", "batches padded", batch=32, sessions=1)


def onnxruntime_single(setup: Setup, precision: str) -> Server:
    how = "a text a thread"
    return onnxruntime_server(setup, precision, "onnxruntime-single", how, batch=1, sessions=setup.threads)


def onnxruntime_server(setup: Setup, precision: str, key: str, how: str, *, batch: int, sessions: int) -> Server:
    return Server(
        key=key,
        name=f"ONNX Runtime behind FastAPI, {how} ({versions('serving', 'onnxruntime', 'fastapi')})",
        precision=precision,
        command=lambda port: [
            *script(setup, "onnxruntime_server.py"),
            *("--graph", str(setup.graphs() / f"{precision}.onnx"), "--checkpoint", str(setup.checkpoint)),
            *("--batch", str(batch), "--sessions", str(sessions)),
            *("--threads", str(setup.threads), "--port", str(port)),
        ],
    )


def infinity(setup: Setup, programs: Path, precision: str) -> Server:
    return Server(
        key="infinity",
        name=f"infinity-emb, its ONNX engine ({versions('infinity', 'infinity_emb', 'optimum', 'onnxruntime')})",
        precision=precision,
        command=lambda port: [
            *(str(programs / "infinity_emb"), "v2", "--model-id", str(setup.infinity_model(precision))),
            *("--served-model-name", INFINITY_MODEL, "--engine", "optimum", "--device", "cpu"),
            *("--host", "127.0.0.1", "--port", str(port), "--no-model-warmup", "--log-level", "error"),
        ],
        body=f'{{"input": [{{text}}], "model": "{INFINITY_MODEL}"}}',
        labels=lambda answer: answer["data"][0],
    )


def onnxruntime_bare(setup: Setup, precision: str) -> InProcess:
    return InProcess(
        key="bare",
        name=f"ONNX Runtime in the process, no server ({versions('serving', 'onnxruntime')})",
        precision=precision,
        command=lambda seconds: [
            *script(setup, "onnxruntime_bare.py"),
            *("--graphs", str(setup.graphs()), "--checkpoint", str(setup.checkpoint), "--precision", precision),
            *("--texts", str(setup.texts), "--threads", str(setup.threads), "--seconds", str(seconds)),
        ],
    )


def script(setup: Setup, name: str) -> list[str]:
    return [str(setup.serving / "python"), str(FOLDER / name)]


def environment(setup: Setup) -> dict[str, str]:
    """For every contender: no network, no telemetry, and as many threads where there is no other way to say it."""
    return os.environ | {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(setup.work / "huggingface"),
        "DO_NOT_TRACK": "1",
        "INFINITY_ANONYMOUS_USAGE_STATS": "0",
        "OMP_NUM_THREADS": str(setup.threads),
    }


def versions(environment_name: str, *packages: str) -> str:
    pins = pinned(requirements_of(environment_name))
    return ", ".join(f"{package} {pins[package]}" for package in packages)


def electra_runtime() -> str:
    """The ONNX Runtime that electra runs: the pinned one, or as a library's own file name tells."""
    library = os.environ.get("ELECTRA_ONNXRUNTIME_LIBRARY")
    if not library:
        return pinned(PROJECT / "scripts" / "onnxruntime-requirements.txt")["onnxruntime"]
    version = re.search(r"\d+(\.\d+)+", Path(library).resolve().name)
    return version.group() if version else "of ELECTRA_ONNXRUNTIME_LIBRARY"


def commit() -> str:
    """The commit that this tree is at, where git knows."""
    command = ["git", "-C", str(PROJECT), "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return f" ({found.stdout.strip()})" if found.returncode == 0 else ""
