"""Runs `electra serve` pinned to one core, and reads what it costs: memory, processor time, batches."""

import contextlib
import json
import os
import re
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import client
from figures import CaseError

PROJECT = Path(__file__).resolve().parents[2]
MODELS = PROJECT / "models"
STARTED_WITHIN = 60  # seconds
STOPPED_WITHIN = 40  # seconds; the default drain timeout is 30

_cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
SERVER_CORES = set(_cores[:1])
# They share the server's if there is no other.
CLIENT_CORES = set(_cores[1:]) or SERVER_CORES

# These variables of the environment would change the results.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ELECTRA_")}
for name in ["ELECTRA_ONNXRUNTIME_LIBRARY"]:
    if name in os.environ:
        ENVIRONMENT[name] = os.environ[name]


# Where Debian installs daemons is not in every user's path.
PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin"


def binary() -> Path:
    """The program under test: ELECTRA_BINARY, or the one that `make build` builds."""
    named = os.environ.get("ELECTRA_BINARY")
    if named:
        return Path(named).resolve()
    return Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target")).resolve() / "release" / "electra"


@dataclass(frozen=True)
class Usage:
    """What a server takes of the machine."""

    resident: int  # bytes of memory
    descriptors: int
    threads: int


class Server:
    """A running server with one worker."""

    def __init__(self, process: subprocess.Popen, http: tuple[str, int], grpc: tuple[str, int]) -> None:
        self._process = process
        self.may_end = False
        self.http = http
        self.grpc = grpc

    def end(self, signal: int) -> int:
        """Sends a signal, and returns the exit code."""
        self.may_end = True
        self._process.send_signal(signal)
        try:
            return self._process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            raise CaseError(f"the server does not end after signal {signal}") from None

    def resident(self) -> int:
        """Resident memory, in bytes."""
        return self._memory("VmRSS")

    def usage(self) -> Usage:
        """What it takes now."""
        descriptors = len(os.listdir(f"/proc/{self._process.pid}/fd"))
        threads = len(os.listdir(f"/proc/{self._process.pid}/task"))
        return Usage(self.resident(), descriptors, threads)

    @contextlib.contextmanager
    def limited_memory(self, spare: int) -> Iterator[None]:
        """Lets it take no more than `spare` further bytes of address space."""
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        most = self._memory("VmSize") + spare
        resource.prlimit(self._process.pid, resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
        try:
            yield
        finally:
            resource.prlimit(self._process.pid, resource.RLIMIT_AS, unlimited)

    def reset_peak(self) -> None:
        """Makes `peak` count from now on."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")

    def peak(self) -> int:
        """Most resident memory since the last `reset_peak`, in bytes."""
        return self._memory("VmHWM")

    def processor_seconds(self, without: Optional[str] = None) -> float:
        """Processor time used so far, `without` the threads whose names begin so. Finer than the ticks of `stat`."""
        total = 0
        for task in Path(f"/proc/{self._process.pid}/task").iterdir():
            # A thread may end between the listing and the reading.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if without is None or not (task / "comm").read_text().startswith(without):
                    total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def batches(self) -> dict[float, int]:
        """Batches run so far, by the upper bound of their duration in seconds."""
        with client.Connection(self.http) as connection:
            text = connection.exchange(client.get("/metrics"), keep=True).body.decode()
        counts: dict[float, int] = {}
        buckets = r'^electra_inference_duration_seconds_bucket\{.*le="([^"]+)".*\} (\d+)'
        for bound, count in re.findall(buckets, text, re.M):
            counts[float(bound)] = counts.get(float(bound), 0) + int(count)
        below = 0
        result = {}
        for bound in sorted(counts):
            result[bound], below = counts[bound] - below, counts[bound]
        return result

    def _memory(self, field: str) -> int:
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(rf"^{field}:\s+(\d+) kB$", text, re.M)
        if found is None:
            raise CaseError("the server has ended")
        return int(found.group(1)) * 1024


@contextlib.contextmanager
def running(*settings: str, models: Path = MODELS) -> Iterator[Server]:
    """Serves models on free ports. Yields once they are loaded, and stops the server at the end."""
    addresses = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
    command = [str(binary()), "serve", "--models", str(models), "--workers", "1", "--log-format", "json"]
    with tempfile.NamedTemporaryFile("w+", prefix="electra-", suffix=".log") as log:
        process = subprocess.Popen(
            [*command, *addresses, *settings],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd=PROJECT,
            env=ENVIRONMENT,
            preexec_fn=lambda: os.sched_setaffinity(0, SERVER_CORES),
        )
        try:
            found = _addresses(process, Path(log.name))
            server = Server(process, found["HTTP"], found["gRPC"])
            yield server
            if process.poll() is not None and not server.may_end:
                raise CaseError(f"the server ended with {process.returncode}:\n{_end_of(Path(log.name))}")
        finally:
            process.terminate()
            try:
                process.wait(STOPPED_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _addresses(process: subprocess.Popen, log: Path) -> dict[str, tuple[str, int]]:
    """Reads the log until models are loaded, and returns the addresses by protocol."""
    deadline = time.monotonic() + STARTED_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        found = {}
        for line in log.read_text().splitlines():
            with contextlib.suppress(ValueError):  # half a line
                fields = json.loads(line)["fields"]
                if fields["message"].startswith("listening for "):
                    host, port = fields["address"].rsplit(":", 1)
                    found[fields["message"][len("listening for ") :]] = (host, int(port))
        with contextlib.suppress(OSError, client.Failed):
            if "HTTP" in found and "gRPC" in found:
                with client.Connection(found["HTTP"]) as connection:
                    if connection.exchange(client.get("/health/ready")).status == 200:
                        return found
        time.sleep(0.05)
    raise CaseError(f"the server does not start:\n{_end_of(log)}")


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-10:])
