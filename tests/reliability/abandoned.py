"""Abandoned work: requests whose clients no longer wait must cost nothing."""

import time
from typing import Any

import texts
from background import task
from case import Case, Context
from client import Connection, Failed
from figures import Figure
from load import closed_loop

CLIENTS = [f"127.0.0.{number}" for number in range(2, 10)]
REQUESTS = 40
WAITED = 0.3  # seconds
# About what is running when the last client leaves: a batch, and a text that is being tokenized.
MOST_SECONDS_AFTER = 1.0


def expired(context: Context) -> list[Figure]:
    """The largest bodies with a timeout that they can't meet."""
    body = texts.largest(x_request_timeout_ms=int(WAITED * 1000))
    with task(closed_loop, context.server.http, [body], CLIENTS, REQUESTS, nice=5) as clients:
        statuses = clients.result(120).statuses
    return [_work_after(context, str(dict(statuses)))]


def hung_up(context: Context) -> list[Figure]:
    """The largest bodies of clients that close the connection after a moment."""
    with task(_hang_up, context.server.http, nice=5) as clients:
        clients.result(120)
    return [_work_after(context, "")]


def _hang_up(_stop: Any, address: tuple[str, int]) -> None:
    body = texts.largest()
    for number in range(REQUESTS):
        try:
            with Connection(address, CLIENTS[number % len(CLIENTS)], timeout=WAITED) as connection:
                connection.exchange(body)
        except (Failed, OSError):
            pass


def _work_after(context: Context, note: str) -> Figure:
    """Processor seconds after the last client has left, beyond what a server at rest uses."""
    before = context.server.processor_seconds()
    time.sleep(context.pick(4, 20))
    used = context.server.processor_seconds() - before
    return Figure("work after the last answer", used, MOST_SECONDS_AFTER, "core-s", note=note)


CASES = [
    Case("40 largest bodies, 300 ms timeout", expired),
    Case("40 largest bodies, clients hang up", hung_up, in_short=False),
]
