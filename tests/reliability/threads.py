"""Threads that carry connections: small requests that are expensive to tokenize must not delay other connections."""

import time
from collections.abc import Sequence
from functools import partial

import texts
from background import task
from case import Case, Context
from figures import Figure
from load import closed_loop

CONNECTIONS = 64


def flood(requests: Sequence[bytes], context: Context) -> list[Figure]:
    """Only the health probe's latency, which the runner reports, and that something was answered."""
    sources = ["127.0.0.2"] * CONNECTIONS
    with task(closed_loop, context.server.http, requests, sources, nice=5) as clients:
        time.sleep(context.pick(4, 10))
        loop = clients.stop()
    answered = sum(count for status, count in loop.statuses.items() if isinstance(status, int))
    return [Figure("requests answered", answered, 1, at_least=True, note=str(dict(loop.statuses)))]


CASES = [Case("8 kB of 99-letter words, 64 connections", partial(flood, texts.long_words()))]
