"""Hours: memory, threads and descriptors of a server that answers, loads and unloads all the time."""

import contextlib
import os
import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import background
import server
import texts
from case import Case, Context
from client import Connection, Failed, post
from figures import CaseError, Figure

# The smallest checkpoints of the project: what a request leaves behind is easiest seen where it costs least.
CHECKPOINTS = server.PROJECT / "tests" / "golden" / "checkpoints"
SERVED = {"discriminator-plain": "/discriminate", "sequence-three-labels": "/classify", "token-bio": "/tag"}
CHURNED = ["discriminator-relu", "token-cased"]

CLIENTS = 4
MOST_WORDS = 300
PER_CONNECTION = 500  # requests, after which a client comes anew
SENT_AT_ONCE = 8
SAMPLE_EVERY = 0.5  # seconds
CHANGE_EVERY = 0.5  # seconds

# By how much memory may seem to grow in a run without a leak: what mimalloc keeps differs from moment to moment.
NOISE_BYTES = 12e6
# The first part of a run, in which buffers and the allocator's pools grow to what the load needs.
SETTLING = 0.4


def soak(context: Context) -> list[Figure]:
    """Requests of changing lengths from clients that come and go, while other models are loaded and unloaded."""
    seconds = 60 * float(os.environ.get("SOAK_MINUTES", context.pick(0.25, 5)))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="electra-")))
        for name in [*SERVED, *CHURNED]:
            _export(CHECKPOINTS / name, folder / name)
        soaked = stack.enter_context(server.running("--model-control", "on", models=folder))
        resting = soaked.usage()
        clients = [stack.enter_context(background.task(_ask, soaked.http, seed)) for seed in range(CLIENTS)]
        changes = stack.enter_context(background.task(_load_and_unload, soaked.http))
        samples = list(_samples(soaked, seconds))
        statuses: Counter = Counter()
        for client in clients:
            statuses += client.stop()
        loads = changes.stop()
        time.sleep(3)  # until connections and models out of service are gone
        rested = soaked.usage()
    settled = samples[int(len(samples) * SETTLING) :]
    times, sizes = [at for at, _ in settled], [usage.resident for _, usage in settled]
    growth = _slope(times, sizes) * (times[-1] - times[0])
    answered = statuses.pop(200)
    most = max(usage.threads for _, usage in samples)
    megabytes = f"{resting.resident / 1e6:.0f} at first, {sizes[0] / 1e6:.0f} to {sizes[-1] / 1e6:.0f} MB under load"
    return [
        Figure("requests answered", answered, 1000, at_least=True, note=f"others {dict(statuses)}"),
        Figure("requests that fail", sum(statuses.values()), 0),
        Figure("loads and unloads", loads, 4, at_least=True),
        Figure("growth of memory once settled", growth / 1e6, NOISE_BYTES / 1e6, "MB", note=megabytes),
        Figure(
            "descriptors afterwards",
            rested.descriptors,
            resting.descriptors + 2,
            note=f"{resting.descriptors} at first",
        ),
        Figure("threads afterwards", rested.threads, resting.threads + 4, note=f"{resting.threads} at first, {most} most"),
    ]


def _export(checkpoint: Path, folder: Path) -> None:
    command = [server.binary(), "export", checkpoint, "--output", folder, "--precision", "fp32"]
    exported = subprocess.run(command, env=server.ENVIRONMENT, capture_output=True, text=True)
    if exported.returncode != 0:
        raise CaseError(f"{checkpoint.name} can't be exported: {exported.stderr[-300:]}")


def _samples(soaked: server.Server, seconds: float) -> Iterator[tuple[float, server.Usage]]:
    began = time.monotonic()
    while (at := time.monotonic() - began) < seconds:
        yield at, soaked.usage()
        time.sleep(SAMPLE_EVERY)


def _ask(stop: Any, address: tuple[str, int], seed: int) -> Counter:
    """Sends requests of many lengths, some at a time, and every so often leaves without waiting for its answers."""
    chance = random.Random(seed)
    statuses: Counter = Counter()
    while not stop.is_set():
        try:
            with Connection(address, given_up=stop.is_set) as connection:
                for _ in range(PER_CONNECTION // SENT_AT_ONCE):
                    requests = [_request(chance) for _ in range(SENT_AT_ONCE)]
                    statuses[connection.exchange(b"".join(requests)).status] += 1
                    for _ in requests[1:]:
                        statuses[connection.exchange(b"").status] += 1
                connection.send(_request(chance))
        except (Failed, OSError) as error:
            if not stop.is_set():
                statuses[type(error).__name__] += 1
    return statuses


def _request(chance: random.Random) -> bytes:
    path = chance.choice(list(SERVED.values()))
    # Mostly short, seldom long.
    words = int(MOST_WORDS ** chance.random())
    body = {"text": " ".join(chance.choices(texts.WORDS, k=words))}
    if path == "/classify":
        body["truncate"] = True
    return post(path, body)


def _load_and_unload(stop: Any, address: tuple[str, int]) -> int:
    """Loads and unloads models in turn. Returns how often it did."""
    changed = 0
    while not stop.is_set():
        for name in CHURNED:
            for change in ["unload", "load"]:
                with Connection(address) as connection:
                    status = connection.exchange(post(f"/v2/repository/models/{name}/{change}", {})).status
                if status != 200:
                    raise CaseError(f"{change} of {name}: {status}")
                changed += 1
                time.sleep(CHANGE_EVERY / 2)
    return changed


def _slope(times: Sequence[float], values: Sequence[float]) -> float:
    """By least squares, a second."""
    time_mean, value_mean = sum(times) / len(times), sum(values) / len(values)
    spread = sum((at - time_mean) ** 2 for at in times)
    together = sum((at - time_mean) * (value - value_mean) for at, value in zip(times, values))
    return together / spread if spread else 0.0


CASES = [Case("requests, loads and unloads for minutes", soak)]
