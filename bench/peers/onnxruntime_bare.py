"""ONNX Runtime in the process, without a server: padded batches of texts tokenized before, one after another.

Tries every combination of graph (plain or with fused attention), threads (one session on all, or a session of one
thread each) and batch size for a moment, measures the fastest, and prints JSON.
"""

import argparse
import itertools
import json
import math
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy
from onnxruntime import InferenceSession
from tokenizers import Tokenizer

import padded
from samples import TEXTS

BATCH_SIZES = (1, 8, 32)
# Of the measured time, for each combination.
TRIAL_SHARE = 0.1


@dataclass(frozen=True)
class Batch:
    feeds: dict[str, numpy.ndarray]
    texts: int
    tokens: int


@dataclass(frozen=True)
class Combination:
    graph: str
    sessions: list[InferenceSession]
    threads_a_session: int
    batch_size: int
    batches: list[Batch]

    def describe(self) -> str:
        graph = "fused graph" if self.graph.startswith("fused-") else "plain graph"
        sessions = f"{len(self.sessions)} session{'s' if len(self.sessions) > 1 else ''}"
        threads = f"{self.threads_a_session} thread{'s' if self.threads_a_session > 1 else ''}"
        return f"{graph}, batches of {self.batch_size}, {sessions} of {threads}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--graphs", type=Path, required=True)
    arguments.add_argument("--checkpoint", type=Path, required=True)
    arguments.add_argument("--precision", choices=["fp32", "int8"], required=True)
    arguments.add_argument("--texts", type=Path, required=True)
    arguments.add_argument("--threads", type=int, required=True)
    arguments.add_argument("--seconds", type=float, required=True)
    options = arguments.parse_args()

    config = json.loads((options.checkpoint / "config.json").read_text(encoding="utf-8"))
    tokenizer = padded.open_tokenizer(options.graphs / "tokenizer.json", config["pad_token_id"])
    texts = [line for line in options.texts.read_text(encoding="utf-8").splitlines() if line.strip()]

    combinations = []
    for graph in (options.precision, f"fused-{options.precision}"):
        # With one thread both ways to use them are the same.
        for sessions, threads in sorted({(1, options.threads), (options.threads, 1)}):
            opened = [padded.open_session(options.graphs / f"{graph}.onnx", threads) for _ in range(sessions)]
            for size in BATCH_SIZES:
                batches = make_batches(opened[0], tokenizer, texts, size)
                combinations.append(Combination(graph, opened, threads, size, batches))
    trial = options.seconds * TRIAL_SHARE
    best = max(combinations, key=lambda combination: measure(combination, trial)["tokens_per_second"])
    print(json.dumps({"scores": scores_of(best, tokenizer, config), **measure(best, options.seconds)}))


def make_batches(session: InferenceSession, tokenizer: Tokenizer, texts: list[str], size: int) -> list[Batch]:
    """The texts in the order in which they are sent to servers, so many at a time."""
    batches = []
    for start in range(0, len(texts), size):
        encodings = tokenizer.encode_batch(texts[start : start + size])
        tokens = sum(sum(encoding.attention_mask) for encoding in encodings)
        batches.append(Batch(padded.feeds(session, encodings), len(encodings), tokens))
    return batches


def measure(combination: Combination, seconds: float) -> dict:
    """Run batches on every session for so long; latency is a batch's time."""
    for session in combination.sessions:
        session.run(None, combination.batches[0].feeds)
    next_batch = itertools.count()  # its `next` is atomic
    finished: list[tuple[Batch, float]] = []
    start = time.perf_counter()

    def work(session: InferenceSession) -> None:
        while (begin := time.perf_counter()) < start + seconds:
            batch = combination.batches[next(next_batch) % len(combination.batches)]
            session.run(None, batch.feeds)
            finished.append((batch, time.perf_counter() - begin))

    threads = [threading.Thread(target=work, args=[session]) for session in combination.sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - start
    times = sorted(1000 * taken for _, taken in finished)
    return {
        "how": combination.describe(),
        "requests_per_second": sum(batch.texts for batch, _ in finished) / elapsed,
        "tokens_per_second": sum(batch.tokens for batch, _ in finished) / elapsed,
        "p50_ms": percentile(times, 50),
        "p99_ms": percentile(times, 99),
    }


def percentile(ordered: list[float], percent: int) -> float:
    """The nearest rank, as `electra bench` has it."""
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def scores_of(combination: Combination, tokenizer: Tokenizer, config: dict) -> list[dict[str, float]]:
    session = combination.sessions[0]
    [logits] = session.run(None, padded.feeds(session, tokenizer.encode_batch(TEXTS)))
    return padded.label_scores(logits, config["id2label"])


if __name__ == "__main__":
    main()
