"""Fairness: short requests of one client beside a flood of another. See README.md for the bars."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Optional

import texts
from background import task
from case import Case, Context
from client import post
from figures import CaseError, Figure, percentile
from load import Loop, closed_loop, throughput
from server import Server

VICTIM = ["127.0.0.1"]
EIGHT_CLIENTS = [f"127.0.0.{number}" for number in range(2, 10)]
ONE_CLIENT = ["127.0.0.2"]
# Long enough for the server to begin what it accepts of the largest bodies.
LONGEST_TIMEOUT = 300_000  # milliseconds
# Asks for windows like those of long texts, whose answers tell how long such batches take.
WITNESS = ["127.0.0.200"]
UNDER_WAY = 1.5  # seconds
MOST_IN_FLIGHT = 1000


def beside(flood: Sequence[bytes], sources: Sequence[str], context: Context) -> list[Figure]:
    """The short requests' p99 beside a flood, against their p99 alone."""
    server = context.server
    seconds = context.pick(4, 10)
    alone = _short_requests(server, seconds / 2)
    window = [texts.single(900)]
    before = server.batches()
    with task(closed_loop, server.http, flood, sources, nice=5) as others, task(
        closed_loop, server.http, window, WITNESS, nice=5
    ) as witness:
        time.sleep(UNDER_WAY)
        victim = _short_requests(server, seconds)
        loops = [victim, others.stop(), witness.stop()]
    longest = _longest_batch(before, server.batches(), max(loop.longest_batch for loop in loops))
    p99_alone = percentile(alone.latencies, 0.99)
    bar = p99_alone + 2 * longest + context.pick(0.2, 0)
    note = f"alone {p99_alone * 1000:.1f}, longest batch {longest * 1000:.1f}, n {len(victim.latencies)}"
    return [
        Figure("short requests, p99", percentile(victim.latencies, 0.99) * 1000, bar * 1000, "ms", note=note),
        Figure("short requests that fail", victim.failed, 0, note=_statuses(victim, *loops[1:])),
    ]


def many_in_flight(context: Context) -> list[Figure]:
    """Requests of 2 kB beside a thousand of 16 KiB, all in flight at once: what waits is what is beside the models."""
    server = context.server
    seconds = context.pick(4, 10)
    alone = _short_requests(server, seconds / 2, _medium)
    before = server.batches()
    flood = [post("/classify", {"text": texts.text(16 << 10, seed)}) for seed in range(8)]
    with task(throughput, server.http, flood, MOST_IN_FLIGHT, 60, ONE_CLIENT[0], nice=5):
        time.sleep(UNDER_WAY)
        victim = _short_requests(server, seconds, _medium)
        longest = _longest_batch(before, server.batches(), victim.longest_batch)
    p99_alone = percentile(alone.latencies, 0.99)
    bar = p99_alone + 2 * longest + context.pick(0.2, 0)
    note = f"alone {p99_alone * 1000:.1f}, longest batch {longest * 1000:.1f}, n {len(victim.latencies)}"
    return [
        Figure("requests of 2 kB, p99", percentile(victim.latencies, 0.99) * 1000, bar * 1000, "ms", note=note),
        Figure("requests of 2 kB that fail", victim.failed, 0, note=f"{dict(victim.statuses)}"),
    ]


def _short_requests(server: Server, seconds: float, requests: Optional[Sequence[bytes]] = None) -> Loop:
    with task(closed_loop, server.http, requests or _short, VICTIM) as victim:
        time.sleep(seconds)
        return victim.stop()


def _longest_batch(before: dict[float, int], after: dict[float, int], seen: float) -> float:
    """The longest batch in seconds: exact if a request that it answered told, else its bucket's upper bound."""
    grown = [bound for bound, count in after.items() if count > before.get(bound, 0)]
    if not grown:
        raise CaseError("no batch was run")
    highest = max(grown)
    lower = max((bound for bound in after if bound < highest), default=0.0)
    return seen if seen > lower else highest


def _statuses(victim: Loop, flood: Loop, witness: Loop) -> str:
    return f"{dict(victim.statuses)}, flood {dict(flood.statuses)}, witness {dict(witness.statuses)}"


def _flood(*requests: bytes, sources: Sequence[str] = ONE_CLIENT) -> Callable[[Context], list[Figure]]:
    return partial(beside, requests, sources)


# With the flood's timeout: an order by deadlines would favour whoever has less time.
_short = texts.short(x_request_timeout_ms=LONGEST_TIMEOUT)
_medium = [post("/classify", {"text": texts.text(2000, seed)}) for seed in range(16)]
_tags = [post("/tag", {"text": texts.text(100, seed)}) for seed in range(16)]

CASES = [
    Case(
        "beside 8 clients, largest bodies",
        _flood(texts.largest(x_request_timeout_ms=LONGEST_TIMEOUT), sources=EIGHT_CLIENTS),
    ),
    Case(
        "beside 8 clients, largest bodies, default timeout",
        _flood(texts.largest(), sources=EIGHT_CLIENTS),
        in_short=False,
    ),
    Case(
        "beside largest bodies from the same address",
        _flood(texts.largest(x_request_timeout_ms=LONGEST_TIMEOUT), sources=VICTIM * 8),
        in_short=False,
    ),
    Case(
        "beside 8 clients, largest bodies, priority 1",
        _flood(texts.largest(x_request_timeout_ms=LONGEST_TIMEOUT, x_request_priority=1), sources=EIGHT_CLIENTS),
    ),
    Case(
        "beside 8 clients, bodies that are admitted",
        _flood(texts.admitted(x_request_timeout_ms=LONGEST_TIMEOUT), sources=EIGHT_CLIENTS),
        in_short=False,
    ),
    Case(
        "beside bodies that are admitted, from the same address",
        _flood(texts.admitted(x_request_timeout_ms=LONGEST_TIMEOUT), sources=VICTIM * 8),
        in_short=False,
    ),
    Case("beside one 128 KiB text, repeated", _flood(texts.single(texts.LONGEST_TEXT_BYTES)), in_short=False),
    Case("beside one 16 kB text, repeated", _flood(texts.single(16_000)), in_short=False),
    Case("beside 1,000 requests of 16 KiB", many_in_flight, in_short=False),
    Case("beside 64 connections on another model", _flood(*_tags, sources=EIGHT_CLIENTS * 8)),
]
