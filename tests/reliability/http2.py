"""As much of HTTP/2 as it takes to leave requests unfinished and answers unread."""

import contextlib
import socket
import struct
import time
from collections.abc import Mapping

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GO_AWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACKNOWLEDGED, END_STREAM, END_HEADERS = 1, 1, 4
MOST_STREAMS, INITIAL_WINDOW = 3, 4  # settings
LONGEST_FRAME = 16384


class Connection:
    """Obeys the server's windows and its most streams: a client that did not would be disconnected."""

    def __init__(self, address: tuple[str, int], window: int = 65535) -> None:
        self._socket = socket.create_connection(address, 5)
        self._received = b""
        self._next = 1
        self._window = 65535
        self._initial = 65535
        self._windows: dict[int, int] = {}
        self.most_streams = 1 << 31
        self.closed = False
        self._socket.sendall(PREFACE + _frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW, window)))
        self.listen(0.2)

    def close(self) -> None:
        self._socket.close()

    def open_streams(self) -> int:
        return len(self._windows)

    def request(self, method: str, path: str, headers: Mapping[str, str], ended: bool) -> int:
        """Begins a request. Returns its stream."""
        stream, self._next = self._next, self._next + 2
        fields = {":method": method, ":scheme": "http", ":path": path, ":authority": "localhost", **headers}
        block = b"".join(b"\0" + _string(name) + _string(value) for name, value in fields.items())
        self._windows[stream] = self._initial
        self._send(_frame(HEADERS, END_HEADERS | (END_STREAM if ended else 0), stream, block))
        return stream

    def send(self, stream: int, data: bytes) -> int:
        """Sends as much of a body as the windows allow. Returns how much that was."""
        piece = data[: max(0, min(self._window, self._windows.get(stream, 0), LONGEST_FRAME))]
        if piece:
            self._window -= len(piece)
            self._windows[stream] -= len(piece)
            self._send(_frame(DATA, 0, stream, piece))
        return len(piece)

    def is_open(self, stream: int) -> bool:
        return not self.closed and stream in self._windows

    def listen(self, seconds: float) -> None:
        """Reads frames for so long. Never widens a window of its own."""
        deadline = time.monotonic() + seconds
        while not self.closed:
            rest = deadline - time.monotonic()
            self._socket.settimeout(max(0.001, rest))
            try:
                data = self._socket.recv(1 << 16)
                self.closed = not data
                self._received += data
            except socket.timeout:
                pass
            except OSError:
                self.closed = True
            self._handle()
            if rest <= 0:
                return

    def _handle(self) -> None:
        while len(self._received) >= 9:
            length = int.from_bytes(self._received[:3], "big")
            if len(self._received) < 9 + length:
                return
            kind, flags = self._received[3], self._received[4]
            stream = int.from_bytes(self._received[5:9], "big") & 0x7FFFFFFF
            payload, self._received = self._received[9 : 9 + length], self._received[9 + length :]
            if kind == SETTINGS and not flags & ACKNOWLEDGED:
                for identifier, value in struct.iter_unpack(">HI", payload):
                    if identifier == MOST_STREAMS:
                        self.most_streams = value
                    elif identifier == INITIAL_WINDOW:
                        self._windows = {name: left + value - self._initial for name, left in self._windows.items()}
                        self._initial = value
                self._send(_frame(SETTINGS, ACKNOWLEDGED, 0, b""))
            elif kind == PING and not flags & ACKNOWLEDGED:
                self._send(_frame(PING, ACKNOWLEDGED, 0, payload))
            elif kind == WINDOW_UPDATE:
                more = int.from_bytes(payload, "big")
                if stream == 0:
                    self._window += more
                elif stream in self._windows:
                    self._windows[stream] += more
            elif kind == RESET or (kind in (DATA, HEADERS) and flags & END_STREAM):
                self._windows.pop(stream, None)
            elif kind == GO_AWAY:
                self.closed = True

    def _send(self, data: bytes) -> None:
        self._socket.settimeout(5)
        with contextlib.suppress(OSError):
            self._socket.sendall(data)
            return
        self.closed = True


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _string(value: str) -> bytes:
    """HPACK's string literal, without Huffman coding."""
    assert len(value) < 127
    return bytes([len(value)]) + value.encode()
