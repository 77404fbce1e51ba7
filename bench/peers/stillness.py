"""Whether the machine stood still for a while, as virtual machines do: what was measured then says nothing."""

import threading
import time
from types import TracebackType

# A process that only sleeps is never kept waiting so long by load alone.
LONGEST_GAP = 1.0  # seconds
INTERVAL = 0.1  # seconds


class Watch:
    """Sleeps in short steps on a thread of its own for as long as it is entered, and keeps the longest step."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self._longest = 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def stood_still(self) -> float | None:
        """For how many seconds, if the machine did; to be asked after the end."""
        return self._longest if self._longest > LONGEST_GAP else None

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._done.wait(INTERVAL):
            now = time.monotonic()
            self._longest = max(self._longest, now - before)
            before = now
        self._longest = max(self._longest, time.monotonic() - before)
