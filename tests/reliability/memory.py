"""Memory: request bodies that never end, and answers that nobody reads."""

import contextlib
import select
import socket
import time
from functools import partial

import http2
import texts
from case import ALLOWANCE_BYTES, Case, Context
from client import post
from figures import Figure
from server import Server

BODY_BYTES = 2_000_000  # announced
STREAMS = 200  # on an HTTP/2 connection
GIVEN_BACK_WITHIN = 20  # seconds
# The server may keep an unfinished body as long as it can.
HEADERS = {"content-type": "application/json", "x-request-timeout-ms": "300000"}


def unfinished_streams(connections: int, context: Context) -> list[Figure]:
    """Bodies of 1.5 MB on HTTP/2 streams, as far as the server's windows allow."""
    sent = 0
    with contextlib.ExitStack() as stack:
        for _ in range(connections):
            connection = http2.Connection(context.server.http)
            stack.callback(connection.close)
            sent += _fill(connection, 1_500_000)
        time.sleep(context.pick(1, 5))
    return [_given_back(context, f"sent {sent / 1e6:.0f} MB")]


def _fill(connection: http2.Connection, size: int) -> int:
    """Opens all streams that it may, and sends so much of each body. Stops when the server's windows stay shut."""
    headers = {**HEADERS, "content-length": str(BODY_BYTES)}
    piece = bytes([ord(" ")]) * http2.LONGEST_FRAME
    left: dict[int, int] = {}
    opened = sent = 0
    shut_since = None
    while not connection.closed:
        while opened < STREAMS and connection.open_streams() < min(STREAMS, connection.most_streams):
            left[connection.request("POST", "/classify", headers, ended=False)] = size
            opened += 1
        before = sent
        for stream in [stream for stream, rest in left.items() if rest > 0 and connection.is_open(stream)]:
            taken = connection.send(stream, piece[: left[stream]])
            left[stream] -= taken
            sent += taken
        connection.listen(0)
        if not any(rest > 0 and connection.is_open(stream) for stream, rest in left.items()):
            break
        if sent > before:
            shut_since = None
        elif shut_since is None:
            shut_since = time.monotonic()
        elif time.monotonic() > shut_since + 1:
            break
        else:
            connection.listen(0.01)
    return sent


def unfinished_bodies(context: Context) -> list[Figure]:
    """Half a body on each of 200 HTTP/1.1 connections."""
    request = post("/classify", b" " * (1 << 20), length=BODY_BYTES, x_request_timeout_ms=300_000)
    left: dict[socket.socket, memoryview] = {}
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            connection = stack.enter_context(socket.create_connection(context.server.http, 5))
            connection.setblocking(False)
            left[connection] = memoryview(request)
        # Ends when the server reads no more.
        while left:
            _, writable, _ = select.select([], list(left), [], 1)
            if not writable:
                break
            for connection in writable:
                try:
                    left[connection] = left[connection][connection.send(left[connection]) :]
                except BlockingIOError:
                    continue
                except OSError:
                    left[connection] = left[connection][:0]
                if not left[connection]:
                    del left[connection]
        time.sleep(context.pick(1, 5))
    return [_given_back(context)]


def unread_answers(context: Context) -> list[Figure]:
    """Requests of 9 kB whose answers are 17 MB, from clients that read nothing."""
    count = int(context.pick(16, 40))
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(5)
            connection.connect(context.server.http)
            connection.sendall(texts.filled_up())
            # One after another, as more of them would fill the queue. Waits for the answer without reading it.
            select.select([connection], [], [], 5)
        time.sleep(context.pick(1, 5))
    return [_given_back(context)]


def shut_windows(context: Context) -> list[Figure]:
    """Answers of 100 kB on HTTP/2 streams whose windows are 0."""
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            connection = http2.Connection(context.server.http, window=0)
            stack.callback(connection.close)
            for _ in range(min(STREAMS, connection.most_streams)):
                connection.request("GET", "/openapi.json", {}, ended=True)
            connection.listen(1)
        time.sleep(context.pick(1, 5))
    return [_given_back(context)]


def _given_back(context: Context, note: str = "") -> Figure:
    """Resident memory over the idle server's, some time after the connections have closed."""
    deadline = time.monotonic() + GIVEN_BACK_WITHIN
    while time.monotonic() < deadline and _over_idle(context.server, context.idle_bytes) > ALLOWANCE_BYTES:
        time.sleep(0.5)
    over = _over_idle(context.server, context.idle_bytes)
    return Figure("memory kept afterwards", over / 1e6, ALLOWANCE_BYTES / 1e6, "MB", note=note)


def _over_idle(server: Server, idle: int) -> int:
    return server.resident() - idle


CASES = [
    Case("200 unfinished bodies on HTTP/2", partial(unfinished_streams, 1), in_short=False),
    Case("3 times 200 unfinished bodies on HTTP/2", partial(unfinished_streams, 3)),
    Case("200 connections, 1 MiB of a body each", unfinished_bodies),
    Case("answers of 17 MB that nobody reads", unread_answers),
    Case("HTTP/2 answers without a window", shut_windows),
]
