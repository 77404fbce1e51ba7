"""Connections: those that never send a request are closed, and however many there are, health is answered."""

import contextlib
import selectors
import socket
import time

import http2
import texts
from case import Case, Context
from client import Connection, Failed, get, post
from figures import Figure
from server import Server

# What docs/operate.md says, and how much later than that still counts.
FIRST_REQUEST_WITHIN = 75  # seconds
UNFINISHED_BODY_WITHIN = 30  # seconds
GRACE = 5  # seconds
MOST_CONNECTIONS = 64
HOLDER = "127.0.0.9"
OTHERS = ["127.0.0.2", "127.0.0.3"]


def silent(context: Context) -> list[Figure]:
    """How long connections stay open that send nothing, or the beginning of something."""
    server = context.server
    kinds = [
        ("HTTP, nothing sent", server.http, b"", FIRST_REQUEST_WITHIN),
        ("HTTP, `P`", server.http, b"P", FIRST_REQUEST_WITHIN),
        ("HTTP, `PRI * HT`", server.http, http2.PREFACE[:8], FIRST_REQUEST_WITHIN),
        ("HTTP, half a header", server.http, b"GET /health/live HTTP/1.1\r\nhost: loc", FIRST_REQUEST_WITHIN),
        ("HTTP, an answered request", server.http, get("/health/live"), FIRST_REQUEST_WITHIN),
        ("HTTP, half a body", server.http, post("/classify", b'{"text":', length=1000), UNFINISHED_BODY_WITHIN),
        ("gRPC, nothing sent", server.grpc, b"", FIRST_REQUEST_WITHIN),
        ("gRPC, half a preface", server.grpc, http2.PREFACE[:12], FIRST_REQUEST_WITHIN),
    ]
    began = time.monotonic()
    latest = FIRST_REQUEST_WITHIN + GRACE
    took = {name: latest + 1.0 for name, *_ in kinds}
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for name, address, data, _ in kinds:
            connection = stack.enter_context(socket.create_connection(address, 5))
            connection.sendall(data)
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ, name)
        while selector.get_map() and time.monotonic() < began + latest:
            for key, _ in selector.select(0.5):
                try:
                    closed = not key.fileobj.recv(1 << 16)
                except OSError:
                    closed = True
                if closed:
                    took[key.data] = time.monotonic() - began
                    selector.unregister(key.fileobj)
    return [Figure(name, took[name], bar + GRACE, "s") for name, _, _, bar in kinds]


def too_many(context: Context) -> list[Figure]:
    """More connections than `max_connections`: health is answered on new ones, the rest are closed."""
    server = context.server
    with Connection(server.http, timeout=5) as before, contextlib.ExitStack() as stack:
        before.exchange(get("/health/live"))
        for _ in range(3 * MOST_CONNECTIONS):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_connection(server.http, 5))
        time.sleep(1)
        unhealthy = sum(_status(server, get("/health/live")) != 200 for _ in range(20))
        classify = texts.short()[0]
        taken = sum(_status(server, classify) == 200 for _ in range(20))
        kept = before.exchange(classify).status
    time.sleep(1)
    after = _status(server, classify)
    return [
        Figure("health probes that fail", unhealthy, 0, "of 20"),
        Figure("other requests that are taken", taken, 0, "of 20"),
        Figure("requests that fail on a connection from before", kept != 200, 0, note=f"status {kept}"),
        Figure("requests that fail once the others have closed", after != 200, 0, note=f"status {after}"),
    ]


def held_by_one(context: Context) -> list[Figure]:
    """All of `max_connections` are held by one client: others are answered all the same."""
    server = context.server
    classify = texts.short()[0]
    with contextlib.ExitStack() as stack:
        for number in range(2 * MOST_CONNECTIONS):
            connection = socket.create_connection(server.http, 5, (HOLDER, 0))
            stack.enter_context(connection)
            # Some say nothing, some half a header, and some were answered.
            with contextlib.suppress(OSError):
                connection.sendall((b"", b"GET /health/live HTTP/1.1\r\nhost: loc", get("/health/live"))[number % 3])
        time.sleep(1)
        failed = {source: sum(_status(server, classify, source) != 200 for _ in range(20)) for source in OTHERS}
        kept = [stack.enter_context(Connection(server.http, source, timeout=2)) for source in OTHERS for _ in range(8)]
        lost = 0
        for _ in range(3):
            for connection in kept:
                with contextlib.suppress(Failed, OSError):
                    lost += connection.exchange(classify).status != 200
                    continue
                lost += 1
    return [
        Figure("requests of others that fail", sum(failed.values()), 0, f"of {20 * len(OTHERS)}"),
        Figure("the same, on connections that they keep", lost, 0, f"of {3 * len(kept)}"),
    ]


def _status(server: Server, request: bytes, source: str = "127.0.0.1") -> int:
    """The status of a request on a new connection; 0 if it is closed without an answer."""
    try:
        with Connection(server.http, source, timeout=2) as connection:
            return connection.exchange(request).status
    except (Failed, OSError):
        return 0


CASES = [
    Case("more than max_connections", too_many, ("--max-connections", str(MOST_CONNECTIONS))),
    Case("max_connections held by one client", held_by_one, ("--max-connections", str(MOST_CONNECTIONS))),
    Case("connections without a request", silent, in_short=False),
]
