"""perf_analyzer completes a load over either protocol, and reports its measurements."""

import csv
import json
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from servers import ENVIRONMENT, PROJECT, Server

FOLDER = PROJECT / ".venv-clients" / "perf_analyzer"
PROGRAM = FOLDER / "bin" / "perf_analyzer"
LIBRARIES = [FOLDER / "lib", FOLDER / "nvidia" / "cuda_runtime" / "lib"]
LOADER = ENVIRONMENT | {"LD_LIBRARY_PATH": ":".join(map(str, LIBRARIES))}


@pytest.fixture(scope="module", autouse=True)
def perf_analyzer_starts() -> None:
    """Skips if the program is not installed. CI must have it."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("perf_analyzer is a program for x86-64 Linux")
    command = [PROGRAM, "--version"]
    said = subprocess.run(
        command, env=LOADER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    ).stdout
    if "Perf Analyzer Version" not in said:
        reason = f"perf_analyzer does not start: {said.strip()} (Debian's package libb64-0d)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def measure(
    server: Server, protocol: str, model: str, data: list[Any], folder: Path, *arguments: str
) -> tuple[dict[str, str], str]:
    """Runs a short load. Returns the only line of its report, and its output."""
    report, inputs = folder / "report.csv", folder / "inputs.json"
    inputs.write_text(json.dumps({"data": data}), encoding="utf-8")
    command = [
        *[str(PROGRAM), "--service-kind", "triton", "-m", model, "-i", protocol],
        *["-u", server.http if protocol == "http" else server.grpc, "-f", str(report)],
        *["--input-data", str(inputs)],
        # Three windows of 20 requests. Their stability is not tested.
        *["--measurement-mode", "count_windows", "--measurement-request-count", "20"],
        *["--stability-percentage", "999", "--concurrency-range", "2", *arguments],
    ]
    run = subprocess.run(command, env=LOADER, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    [line] = csv.DictReader(report.read_text(encoding="utf-8").splitlines())
    return line, run.stdout


# Data is given, since perf_analyzer would generate data for all inputs at once, texts and token ids.
DOCUMENT = PROJECT / "docs" / "inference-protocol.md"
TEXTS = [{"text": ["A warm, funny and wonderfully acted film."]}, {"text": ["Dull."]}]
QUESTIONS = [{"question": ["Who wrote it?"], "context": ["The letter was written by Maria Lopez."]}]
TOKEN_IDS = [{"input_ids": {"content": [101, 2023, 2003, 102], "shape": [4]}}]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize(
    ("model", "data", "arguments"),
    [
        ("electra-mini-discriminator", TEXTS, []),
        ("electra-mini-sentiment", TEXTS, ["-b", "8"]),
        ("electra-mini-chunker", TEXTS, ["--async"]),
        ("electra-mini-qa", QUESTIONS, []),
        ("electra-mini-discriminator", TOKEN_IDS, ["-b", "2"]),
    ],
    ids=["discriminate", "classify-batches", "tag-async", "qa", "token-ids"],
)
def test_a_model_is_measured(
    default_server: Server, tmp_path: Path, protocol: str, model: str, data: list[Any], arguments: list[str]
) -> None:
    line, printed = measure(default_server, protocol, model, data, tmp_path, *arguments)
    assert line["Concurrency"] == "2"
    assert float(line["Inferences/Second"]) > 0
    assert float(line["p50 latency"]) > 0
    # From the server's statistics, which perf_analyzer reads before and after the run.
    assert int(line["Server Compute Infer"]) > 0, printed


def test_the_documented_data_is_all_that_a_run_needs(default_server: Server, tmp_path: Path) -> None:
    documented = DOCUMENT.read_text(encoding="utf-8")
    [data] = re.findall(r"^echo '(.*)' > texts.json$", documented, re.MULTILINE)
    line, _ = measure(default_server, "http", "electra-mini-sentiment", json.loads(data)["data"], tmp_path)
    assert float(line["Inferences/Second"]) > 0
    command = [PROGRAM, "-m", "electra-mini-sentiment", "-u", default_server.http]
    without = subprocess.run(command, env=LOADER, capture_output=True, text=True, timeout=60, check=False)
    [reason] = re.findall(r"It then\s+ends\s+with `([^`]*)`", documented)
    assert without.returncode != 0
    assert reason in without.stdout + without.stderr
