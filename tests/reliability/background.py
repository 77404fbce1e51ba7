"""Runs clients in processes of their own, so that none waits for another's share of the interpreter."""

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator
from typing import Any

from figures import CaseError

ENDED_WITHIN = 60  # seconds

_fork = multiprocessing.get_context("fork")


class Task:
    """A function in another process. It is given an event, and should return soon after that is set."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...], nice: int) -> None:
        self._stop = _fork.Event()
        self._results, sender = _fork.Pipe(duplex=False)
        self._process = _fork.Process(target=_run, args=(sender, nice, function, self._stop, arguments), daemon=True)
        self._process.start()
        sender.close()

    def stop(self) -> Any:
        """Ends the function, and returns what it returned."""
        self._stop.set()
        return self.result()

    def result(self, within: float = ENDED_WITHIN) -> Any:
        """What the function returned, once it has."""
        try:
            if not self._results.poll(within):
                raise CaseError("a client does not end")
            ok, value = self._results.recv()
        except EOFError:
            raise CaseError("a client ended without a result") from None
        if not ok:
            raise CaseError(value)
        return value

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


@contextlib.contextmanager
def task(function: Callable[..., Any], *arguments: Any, nice: int = 0) -> Iterator[Task]:
    """Runs a function with an event and these arguments. What puts on load is nice to what measures beside it."""
    running = Task(function, arguments, nice)
    try:
        yield running
    finally:
        running.kill()


def _run(results: Any, nice: int, function: Callable[..., Any], stop: Any, arguments: tuple[Any, ...]) -> None:
    os.nice(nice)
    try:
        results.send((True, function(stop, *arguments)))
    except Exception as error:  # noqa: BLE001 - the parent reports it
        results.send((False, f"{type(error).__name__}: {error}"))
