"""perf_analyzer puts load on a model by either protocol to its end, and reports what it measured."""

import csv
import os
import platform
import subprocess
from pathlib import Path

import pytest
from servers import ENVIRONMENT, PROJECT, Server

FOLDER = PROJECT / ".venv-clients" / "perf_analyzer"
PROGRAM = FOLDER / "bin" / "perf_analyzer"
LIBRARIES = [FOLDER / "lib", FOLDER / "nvidia" / "cuda_runtime" / "lib"]
LOADER = ENVIRONMENT | {"LD_LIBRARY_PATH": ":".join(map(str, LIBRARIES))}


@pytest.fixture(scope="module", autouse=True)
def perf_analyzer_starts() -> None:
    """Skips where this program can't be had. CI has to have it."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("perf_analyzer is a program for x86-64 Linux")
    started = subprocess.run([PROGRAM, "--version"], env=LOADER, capture_output=True, text=True, check=False)
    if "Perf Analyzer Version" not in started.stdout:
        reason = f"perf_analyzer does not start: {started.stderr.strip()} (Debian's package libb64-0d)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def measure(server: Server, protocol: str, model: str, folder: Path, *arguments: str) -> tuple[dict[str, str], str]:
    """A short run: the one line of its report, and what it printed."""
    report = folder / "report.csv"
    command = [
        *[str(PROGRAM), "--service-kind", "triton", "-m", model, "-i", protocol],
        *["-u", server.http if protocol == "http" else server.grpc, "-f", str(report)],
        # Three windows of 20 requests; whether they are alike is not what is tested.
        *["--measurement-mode", "count_windows", "--measurement-request-count", "20"],
        *["--stability-percentage", "999", "--concurrency-range", "2", *arguments],
    ]
    run = subprocess.run(command, env=LOADER, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    [line] = csv.DictReader(report.read_text(encoding="utf-8").splitlines())
    return line, run.stdout


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        ("electra-mini-sentiment", ["--string-data", "A warm, funny and wonderfully acted film."]),
        ("electra-mini-sentiment", ["--string-length", "200", "-b", "4", "--async"]),
        ("electra-mini-discriminator", ["--string-data", "The quick brown fox fake over the lazy dog."]),
        ("electra-mini-chunker", ["--string-data", "The old man bought a new car in London."]),
        ("electra-mini-qa", ["--string-data", "Who wrote the letter that Maria Lopez wrote?"]),
    ],
    ids=["sentiment", "sentiment-batches", "discriminator", "chunker", "qa"],
)
def test_a_model_is_measured(
    default_server: Server, tmp_path: Path, protocol: str, model: str, arguments: list[str]
) -> None:
    line, printed = measure(default_server, protocol, model, tmp_path, *arguments)
    assert line["Concurrency"] == "2"
    assert float(line["Inferences/Second"]) > 0
    assert float(line["p50 latency"]) > 0
    # Of the server's own statistics: perf_analyzer reads them before and after.
    assert int(line["Server Compute Infer"]) > 0, printed
    assert "Failed" not in printed


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_token_ids_are_measured(default_server: Server, tmp_path: Path, protocol: str) -> None:
    data = tmp_path / "data.json"
    data.write_text('{"data": [{"input_ids": {"content": [101, 2023, 2003, 102], "shape": [4]}}]}', encoding="utf-8")
    line, _ = measure(default_server, protocol, "electra-mini-discriminator", tmp_path, "--input-data", str(data))
    assert float(line["Inferences/Second"]) > 0
