"""Faults of the machine: memory that can't be had within a session, and a disk that is full while a model is exported."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import server
import texts
from case import MIB, Case, Context
from client import Connection, get, post
from figures import CaseError, Figure

CHECKPOINT = server.PROJECT / "tests" / "golden" / "checkpoints" / "sequence-three-labels"
SERVED = "electra-mini-sentiment"
# More than the answers to short requests take, and far less than a batch of so many tokens.
SPARE = 16 * MIB
TOKENS = "32768"
SHORT = post("/classify", {"text": "A warm, funny film."})


def no_memory(context: Context) -> list[Figure]:
    """A batch whose session can't have the memory fails its own requests. Short ones are answered meanwhile."""
    large = post("/discriminate", {"text": [texts.text(600, seed) for seed in range(200)]})
    served = context.server
    with served.limited_memory(SPARE):
        failed = [_status(served.http, large) for _ in range(3)]
        others = [_status(served.http, SHORT) for _ in range(20)]
    again = _status(served.http, large)
    with Connection(served.http) as connection:
        metrics = connection.exchange(get("/metrics"), keep=True).body.decode()
    counted = [line for line in metrics.splitlines() if 'code="500"' in line and "/discriminate" in line]
    return [
        Figure("requests without memory that are not answered 500", sum(status != 500 for status in failed), 0),
        Figure("others that fail", sum(status != 200 for status in others), 0),
        Figure("the same request with memory, not answered 200", float(again != 200), 0),
        Figure("failures counted", float(counted[0].split()[-1]) if counted else 0, 3, at_least=True),
    ]


def full_disk(_: Context) -> list[Figure]:
    """An export that fills its disk fails by name. What serves goes on, and the model loads once there is room."""
    with contextlib.ExitStack() as stack:
        models = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="electra-")))
        shutil.copytree(server.MODELS / SERVED, models / SERVED)
        model = models / "new"
        needed = sum(file.stat().st_size for file in CHECKPOINT.iterdir())
        stack.enter_context(_small_disk(model, needed + MIB // 8))
        settings = ("--model-control", "on", "--watch-interval-ms", "0")
        served = stack.enter_context(server.running(*settings, models=models))
        shutil.copytree(CHECKPOINT, model, dirs_exist_ok=True)
        load = post("/v2/repository/models/new/load", {})
        with Connection(served.http) as connection:
            refusal = connection.exchange(load, keep=True)
        other = _status(served.http, SHORT)
        ready = _status(served.http, get("/health/ready"))
        subprocess.run(["mount", "-o", f"remount,size={64 * MIB}", model], check=True)
        loaded = _status(served.http, load)
        is_named = b"No space left on device" in refusal.body and b"model.onnx" in refusal.body
        return [
            Figure("an export without room, not refused by name", float(refusal.status != 503 or not is_named), 0),
            Figure("others that fail meanwhile", float(other != 200) + float(ready != 200), 0),
            Figure("the same export with room, not loaded", float(loaded != 200), 0),
        ]


@contextlib.contextmanager
def _small_disk(folder: Path, size: int) -> Iterator[None]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        raise CaseError(f"a small disk can't be mounted: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def _status(address: tuple[str, int], request: bytes) -> int:
    with Connection(address) as connection:
        return connection.exchange(request).status


CASES = [
    Case("memory that a session can't have", no_memory, ("--batch-tokens", TOKENS)),
    Case("a disk that is full while a model is exported", full_disk, program="mount", needs_root=True),
]
