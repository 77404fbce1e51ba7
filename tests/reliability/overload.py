"""Overload: more requests than the core can answer, at times that do not depend on its answers."""

import statistics
from collections.abc import Callable

import texts
from background import task
from case import Case, Context
from client import post
from figures import CaseError, Figure, percentile
from load import OpenLoop, closed_loop, open_loop, throughput
from server import Server

# Long enough that ten times what a core answers is not more than the generator's core can send.
SENTENCES_BYTES = 250
CONNECTIONS = 64
GOOD_WITHIN = 1.0  # seconds
LOAD = "127.0.0.2"
CLIENT = "127.0.0.1"
# A refusal may cost so much more than a 404.
REFUSAL_OVER_404 = 5e-6  # seconds
# Where refusals alone would fill the core.
LEAST_SHARE_LEFT = 0.1
# A client that sends later than this was too slow itself.
LATE = 0.1  # seconds


def goodput(requests: Callable[[], list[bytes]], multiple: int, least: float, context: Context) -> list[Figure]:
    """Requests that are answered in time, as a share of what the core can do beside the refusals."""
    http, seconds = context.server.http, context.pick(4, 8)
    asked = requests()
    saturation = _run(throughput, http, asked, CONNECTIONS, seconds / 2)
    # A 404 to the same bodies.
    missing = [b"POST /missing" + request[request.index(b" HTTP/") :] for request in asked]
    before = context.server.processor_seconds()
    answered = _run(throughput, http, missing, CONNECTIONS, 1)
    cost = (context.server.processor_seconds() - before) / answered + REFUSAL_OVER_404
    result: OpenLoop = _run(open_loop, http, asked, multiple * saturation, seconds, LOAD)
    refused = result.per_second(429, 503)
    possible = saturation * max(LEAST_SHARE_LEFT, 1 - refused * cost)
    accepted = result.latencies(200)
    lateness = percentile(result.lateness, 0.99)
    late = f", CLIENT LATE BY {lateness:.2f} s" if lateness > LATE else ""
    other = len(result.answers) / seconds - refused - result.per_second(200)
    note = f"saturation {saturation:.0f}/s, refused {refused:.0f}/s at {cost * 1e6:.0f} us, other {other:.0f}/s{late}"
    return [
        Figure("goodput of what is possible", result.good(GOOD_WITHIN) / possible, least, at_least=True, note=note),
        Figure("accepted, p99", percentile(accepted, 0.99), 1.5, "s", note=f"n {len(accepted)}"),
    ]


def refusals(context: Context) -> list[Figure]:
    """Processor time of a refusal, against that of a 404 to the same request."""
    server = context.server
    one, list_of_256 = {"text": texts.text(100)}, {"text": [texts.text(20, seed) for seed in range(texts.MOST_INPUTS)]}
    blocker = [texts.largest(x_request_timeout_ms=300_000)]
    figures = []
    # It fills its client's part of the queue. The requests are of the same client: one of another would be accepted.
    with task(closed_loop, server.http, blocker, [CLIENT], nice=5) as busy:
        _wait_until_refused(server, post("/discriminate", one))
        for name, body in [("one text", one), ("256 texts", list_of_256)]:
            refused, missing = [], []
            for _ in range(int(context.pick(3, 9))):
                missing.append(_cost(server, post("/missing", body), 404))
                refused.append(_cost(server, post("/discriminate", body), 429))
            over = statistics.median(refused) - statistics.median(missing)
            note = f"429 {statistics.median(refused) * 1e6:.1f}, 404 {statistics.median(missing) * 1e6:.1f}"
            bar = REFUSAL_OVER_404 * context.pick(3, 1)
            figures.append(Figure(f"refusal over a 404, {name}", over * 1e6, bar * 1e6, "us", note=note))
        busy.kill()
    return figures


def _wait_until_refused(server: Server, request: bytes) -> None:
    for _ in range(100):
        if _run(closed_loop, server.http, [request], [CLIENT], 10).statuses[429] == 10:
            return
    raise CaseError("requests beside one that fills the queue are not refused")


def _cost(server: Server, request: bytes, status: int) -> float:
    """Processor seconds of a request outside the worker, mean of many."""
    count = 2000
    before = server.processor_seconds(without="electra-worker")
    # Several connections, as under load: with one, the server would mostly wake up and go to sleep.
    loop = _run(closed_loop, server.http, [request], [CLIENT] * 16, count)
    used = server.processor_seconds(without="electra-worker") - before
    if loop.statuses[status] < 0.95 * count:
        raise CaseError(f"expected {status}: {dict(loop.statuses)}")
    return used / count


def _run(function: Callable, *arguments):
    with task(function, *arguments, nice=5) as client:
        return client.result()


def _sentences() -> list[bytes]:
    return [post("/classify", {"text": texts.text(SENTENCES_BYTES, seed)}) for seed in range(16)]


def _case(name: str, requests: Callable[[], list[bytes]], multiple: int, least: float, in_short: bool = False) -> Case:
    def run(context: Context) -> list[Figure]:
        return goodput(requests, multiple, context.pick(0.5, least), context)

    return Case(f"{name}, {multiple} times saturation", run, in_short=in_short)


CASES = [
    _case("short texts", _sentences, 2, 0.9),
    _case("short texts", _sentences, 5, 0.9),
    _case("short texts", _sentences, 10, 0.9),
    _case("mixed tasks", texts.mixed, 2, 0.8),
    _case("mixed tasks", texts.mixed, 5, 0.8, in_short=True),
    _case("mixed tasks", texts.mixed, 10, 0.8),
    Case("cost of a refusal", refusals, ("--max-queue-ms", "1", "--queue-capacity", "1")),
]
