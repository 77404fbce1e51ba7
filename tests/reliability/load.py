"""Load on a server: closed loops, an open loop, and the health probe that watches beside them.

Each function runs in a process of its own (background.py) until its event is set.
"""

import contextlib
import random
import select
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import client
from client import Connection, Failed, get

PROBE_EVERY = 0.02  # seconds
PROBE_TIMEOUT = 5.0  # seconds
# Fewer than the server's default `max_connections`.
MOST_CONNECTIONS = 3000
MOST_AT_ONCE = 32  # requests sent between two looks at answers
# How long answers of an open loop are waited for after the last request: more than an answer that counts may take.
ANSWERS_WITHIN = 5.0  # seconds


@dataclass
class Loop:
    """What a closed loop saw."""

    latencies: list[float] = field(default_factory=list)  # seconds
    statuses: Counter = field(default_factory=Counter)  # by status, or by the kind of failure
    longest_batch: float = 0.0  # seconds

    @property
    def failed(self) -> int:
        return sum(count for status, count in self.statuses.items() if status != 200)


def closed_loop(
    stop: Any, address: tuple[str, int], requests: Sequence[bytes], sources: Sequence[str], count: Optional[int] = None
) -> Loop:
    """One connection per source, each with one request at a time. Ends after `count` requests, if given."""
    loop = Loop()
    todo = iter(range(count)) if count is not None else None
    threads = [
        threading.Thread(target=_exchange, args=(stop, loop, todo, address, requests, source), daemon=True)
        for source in sources
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return loop


def _exchange(
    stop: Any, loop: Loop, todo: Any, address: tuple[str, int], requests: Sequence[bytes], source: str
) -> None:
    connection: Optional[Connection] = None
    turn = random.Random(source).randrange(len(requests))
    while not stop.is_set() and (todo is None or next(todo, None) is not None):
        began = time.perf_counter()
        try:
            connection = connection or Connection(address, source, stop.is_set)
            answer = connection.exchange(requests[turn % len(requests)])
            loop.statuses[answer.status] += 1
            loop.longest_batch = max(loop.longest_batch, answer.inference)
            closes = b"\r\nconnection: close" in answer.head
        except (Failed, OSError) as error:
            # A request that is still unanswered at the end took at least so long.
            if not stop.is_set():
                loop.statuses[type(error).__name__] += 1
                time.sleep(0.01)
            closes = True
        loop.latencies.append(time.perf_counter() - began)
        turn += 1
        if closes and connection:
            connection.__exit__()
            connection = None


@dataclass
class Health:
    """Seconds from when a probe was due to its answer, on one kept connection and on new ones."""

    kept: list[float] = field(default_factory=list)
    new: list[float] = field(default_factory=list)
    failed: int = 0


def probe(stop: Any, address: tuple[str, int]) -> Health:
    """Asks /health/live at fixed times, on a kept connection and on a new one in turn."""
    health = Health()
    kept: Optional[Connection] = None
    due = time.perf_counter()
    new = False
    while not stop.is_set():
        time.sleep(max(0.0, due - time.perf_counter()))
        try:
            if new or kept is None:
                connection = Connection(address, timeout=PROBE_TIMEOUT)
            if new:
                with connection:
                    status = connection.exchange(get("/health/live")).status
            else:
                kept = kept or connection
                status = kept.exchange(get("/health/live")).status
            health.failed += status != 200
        except (Failed, OSError):
            health.failed += 1
            kept = kept if new else None
        # From when it was due: a server that stalls for a second delays all probes of that second.
        (health.new if new else health.kept).append(time.perf_counter() - due)
        due += PROBE_EVERY
        new = not new
    return health


@dataclass
class OpenLoop:
    """What an open loop saw: for each request its status (0 without an answer) and the seconds from due to answered."""

    seconds: float
    answers: list[tuple[int, float]] = field(default_factory=list)
    # How late requests were sent, in seconds. If this is long, the client is what was measured.
    lateness: list[float] = field(default_factory=list)

    def good(self, within: float) -> float:
        """Requests per second that were answered with 200 within so many seconds of their due time."""
        return sum(status == 200 and took <= within for status, took in self.answers) / self.seconds

    def per_second(self, *statuses: int) -> float:
        return sum(status in statuses for status, _ in self.answers) / self.seconds

    def latencies(self, status: int) -> list[float]:
        return [took for answered, took in self.answers if answered == status]


def open_loop(
    _stop: Any, address: tuple[str, int], requests: Sequence[bytes], rate: float, seconds: float, source: str
) -> OpenLoop:
    """Sends requests at random (Poisson) times at this rate, whether or not earlier ones were answered."""
    return _Generator(address, requests, source).run(rate, seconds)


class _Generator:
    """One thread that does little per request, so that one core sends and reads some ten thousand requests a second."""

    def __init__(self, address: tuple[str, int], requests: Sequence[bytes], source: str) -> None:
        self._address = address
        self._requests = requests
        self._source = source
        self._poll = select.epoll()
        self._idle: list[socket.socket] = []
        self._open: dict[int, socket.socket] = {}
        # By descriptor: when the request was due, and what has been read of its answer.
        self._asked: dict[int, tuple[float, bytes]] = {}

    def run(self, rate: float, seconds: float) -> OpenLoop:
        result = OpenLoop(seconds)
        chance = random.Random(0)
        clock = time.perf_counter
        start = clock()
        end = start + seconds
        due = start + chance.expovariate(rate)
        waiting: deque[float] = deque()
        while True:
            now = clock()
            while due <= now and due < end:
                waiting.append(due)
                due += chance.expovariate(rate)
            # Only a few, so that answers are read in between, and their connections carry the next requests.
            for _ in range(MOST_AT_ONCE):
                if not waiting or not self._send(waiting[0], chance):
                    break
                result.lateness.append(clock() - waiting.popleft())
            if now >= end and (not (self._asked or waiting) or now > end + ANSWERS_WITHIN):
                break
            pause = 0.0 if waiting and self._idle else max(0.0, min(0.1, due - clock()))
            for descriptor, _ in self._poll.poll(pause):
                if self._read(descriptor, result):
                    self._idle.append(self._open[descriptor])
        result.answers += [(0, now - asked) for asked, _ in self._asked.values()]
        result.answers += [(0, now - asked) for asked in waiting]
        for connection in self._open.values():
            connection.close()
        return result

    def _send(self, due: float, chance: random.Random) -> bool:
        """Whether there was a connection to send on."""
        if not self._idle and not self._connect():
            return False
        connection = self._idle.pop()
        # Requests are small, so a connection without an unanswered request takes one whole.
        with contextlib.suppress(OSError):
            connection.send(chance.choice(self._requests))
        self._asked[connection.fileno()] = (due, b"")
        return True

    def _connect(self) -> bool:
        if len(self._open) >= MOST_CONNECTIONS:
            return False
        try:
            connection = socket.create_connection(self._address, 1, (self._source, 0))
        except OSError:
            return False
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        self._open[connection.fileno()] = connection
        self._poll.register(connection, select.EPOLLIN)
        self._idle.append(connection)
        return True

    def _read(self, descriptor: int, result: OpenLoop) -> bool:
        """Reads what is there. Whether the connection can carry the next request."""
        connection = self._open[descriptor]
        try:
            data = connection.recv(1 << 16)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        asked = self._asked.get(descriptor)
        if not data:
            self._poll.unregister(connection)
            del self._open[descriptor]
            connection.close()
            if asked:
                del self._asked[descriptor]
                result.answers.append((0, time.perf_counter() - asked[0]))
            elif connection in self._idle:
                self._idle.remove(connection)
            return False
        if not asked:
            return False
        due, before = asked
        data = before + data
        head = data.find(b"\r\n\r\n")
        if head >= 0:
            at = data.find(b"content-length: ", 0, head)
            length = int(data[at + 16 : data.find(b"\r", at)]) if at >= 0 else 0
            if len(data) >= head + 4 + length:
                del self._asked[descriptor]
                result.answers.append((int(data[9:12]), time.perf_counter() - due))
                return True
        self._asked[descriptor] = (due, data)
        return False


def throughput(
    stop: Any,
    address: tuple[str, int],
    requests: Sequence[bytes],
    connections: int,
    seconds: float,
    source: str = "127.0.0.1",
) -> float:
    """Requests per second that a closed loop of many connections gets answered, refusals not counted."""
    selector = select.epoll()
    chance = random.Random(0)
    sockets = {}
    for _ in range(connections):
        connection = socket.create_connection(address, client.ANSWERED_WITHIN, (source, 0))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, select.EPOLLIN)
        sockets[connection.fileno()] = connection
        connection.sendall(chance.choice(requests))
    answered = 0
    start = time.perf_counter()
    while time.perf_counter() < start + seconds and not stop.is_set():
        for descriptor, _ in selector.poll(0.1):
            connection = sockets[descriptor]
            data = connection.recv(1 << 16)
            if not data:
                raise Failed("closed")
            # On a slow machine, some of the requests would wait too long. A refusal is soon sent, so it says nothing of
            # what the server can do.
            if data.startswith((b"HTTP/1.1 429 ", b"HTTP/1.1 503 ")):
                time.sleep(0.001)
            else:
                # Answers of a few hundred bytes arrive whole.
                answered += 1
            connection.sendall(chance.choice(requests))
    elapsed = time.perf_counter() - start
    for connection in sockets.values():
        connection.close()
    return answered / elapsed
