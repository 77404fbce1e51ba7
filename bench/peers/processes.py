"""A contender's server as a process: started on a free port, waited for, asked, stopped."""

import contextlib
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contenders import Server
from errors import ComparisonError

READY_WITHIN = 300  # seconds
STOPPED_WITHIN = 30  # seconds
ANSWERED_WITHIN = 60  # seconds


@contextlib.contextmanager
def started(server: Server, environment: dict[str, str], log: Path) -> Iterator[str]:
    """Run the server, and give its address once it is ready: http://127.0.0.1:PORT."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            server.command(port), env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            wait_until_ready(process, address + server.ready, log)
            yield address
        finally:
            stop(process)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until_ready(process: subprocess.Popen, url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while process.poll() is None and time.monotonic() < deadline:
        # Refused connections, and 503 as long as models load.
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=ANSWERED_WITHIN):
            return
        time.sleep(0.1)
    what = "is not ready" if process.poll() is None else f"ended with code {process.returncode}"
    raise ComparisonError(f"{process.args[0]} {what}; the end of its log {log}:\n{tail(log)}")


def stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(STOPPED_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def ask(server: Server, address: str, text: str) -> Any:
    """Post one text, and give the answer."""
    body = server.body.replace("{text}", json.dumps(text)).encode()
    request = urllib.request.Request(address + server.route, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=ANSWERED_WITHIN) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise ComparisonError(
            f"{server.name} answers {error.code}: {error.read().decode(errors='replace')[:500]}"
        ) from error
    except OSError as error:
        raise ComparisonError(f"{server.name} does not answer: {error}") from error


def tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
