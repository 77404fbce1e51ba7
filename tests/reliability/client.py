"""A client of HTTP/1.1 on plain sockets: cheap, from any loopback address, and able to stop anywhere."""

import contextlib
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Optional

PIECE = 1 << 20  # bytes read at once
ANSWERED_WITHIN = 320  # seconds, more than the longest timeout that a request can have
# The longest time without a look at whether the client should stop.
LOOK_EVERY = 0.2  # seconds


class Failed(Exception):
    """A connection that closed, or was given up, before its answer was complete."""


@dataclass(frozen=True)
class Answer:
    status: int
    head: bytes
    body: bytes

    @property
    def inference(self) -> float:
        """Seconds of the longest batch of this request."""
        found = re.search(rb"inference;dur=([\d.]+)", self.head)
        return float(found.group(1)) / 1000 if found else 0.0


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()


def post(path: str, body: Any, length: Optional[int] = None, **headers: object) -> bytes:
    """A request with a JSON body, or with bytes as they are. `length` announces more than is there."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"content-type": "application/json", "content-length": length or len(content)}
    fields.update({name.replace("_", "-"): value for name, value in headers.items()})
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {path} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n".encode() + content


class Connection:
    """A kept-alive connection that carries one request at a time."""

    def __init__(
        self,
        address: tuple[str, int],
        source: str = "127.0.0.1",
        given_up: Callable[[], bool] = lambda: False,
        timeout: float = ANSWERED_WITHIN,
    ) -> None:
        self._given_up = given_up
        self._timeout = timeout
        self._socket = socket.create_connection(address, timeout=timeout, source_address=(source, 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(min(timeout, LOOK_EVERY))
        self._unread = b""

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def exchange(self, request: bytes, keep: bool = False) -> Answer:
        """Sends a request and reads its answer, whose body is thrown away unless it is to be kept."""
        self._deadline = time.monotonic() + self._timeout
        self._send(request)
        while b"\r\n\r\n" not in self._unread:
            self._unread += self._receive()
        head, self._unread = self._unread.split(b"\r\n\r\n", 1)
        head = head.lower()
        pieces = self._chunks() if b"\r\ntransfer-encoding: chunked" in head else self._exactly(_length(head))
        body = b"".join(piece for piece in pieces if keep)
        return Answer(int(head[9:12]), head, body)

    def send(self, request: bytes) -> None:
        """Sends a request whose answer is not waited for."""
        self._deadline = time.monotonic() + self._timeout
        self._send(request)

    def _send(self, request: bytes) -> None:
        rest = memoryview(request)
        while rest:
            with contextlib.suppress(socket.timeout):
                rest = rest[self._socket.send(rest) :]
            self._check()

    def _receive(self) -> bytes:
        while True:
            with contextlib.suppress(socket.timeout):
                data = self._socket.recv(PIECE)
                if not data:
                    raise Failed("closed")
                return data
            self._check()

    def _check(self) -> None:
        if self._given_up() or time.monotonic() > self._deadline:
            raise Failed("given up")

    def _exactly(self, length: int) -> Iterator[bytes]:
        while length > 0:
            data = self._unread or self._receive()
            piece, self._unread = data[:length], data[length:]
            length -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while True:
            while b"\r\n" not in self._unread:
                self._unread += self._receive()
            size, self._unread = self._unread.split(b"\r\n", 1)
            length = int(size, 16)
            yield from self._exactly(length)
            for _ in self._exactly(2):
                pass
            if length == 0:
                return


def _length(head: bytes) -> int:
    found = re.search(rb"\r\ncontent-length: (\d+)", head)
    return int(found.group(1)) if found else 0
