"""Replicas behind HAProxy: a killed one and a stopped one lose no request."""

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import background
import load
import server
import texts
from case import Case, Context
from client import Connection, Failed, get
from figures import CaseError, Figure

MODEL = "electra-mini-sentiment"
REPLICAS = 3
CLIENTS = 8
# Many times the interval of HAProxy's checks, which have to see that a server leaves.
DELAY_MS = 2000
PAUSE = 3  # seconds between two events

# A replica that is killed closes its connections without an answer. Inference may be repeated, so HAProxy sends such a
# request to another replica.
CONFIGURATION = """
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    retries 3
    option redispatch 1
    retry-on conn-failure empty-response
    option httpchk GET /health/ready

frontend front
    bind fd@{listener}
    default_backend replicas

backend replicas
    default-server check inter 200ms fall 2 rise 1
{servers}
"""


def replaced(_: Context) -> list[Figure]:
    """Clients in a closed loop, while one replica is killed and another told to stop."""
    with contextlib.ExitStack() as stack:
        models = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="electra-")))
        shutil.copytree(server.MODELS / MODEL, models / MODEL)
        settings = ("--shutdown-delay-ms", str(DELAY_MS))
        replicas = [stack.enter_context(server.running(*settings, models=models)) for _ in range(REPLICAS)]
        front = stack.enter_context(_haproxy(replicas))
        sources = [f"127.0.1.{number}" for number in range(1, CLIENTS + 1)]
        clients = stack.enter_context(background.task(load.closed_loop, front, texts.short(), sources))
        time.sleep(PAUSE)
        replicas[0].end(signal.SIGKILL)
        time.sleep(PAUSE)
        began = time.monotonic()
        code = replicas[1].end(signal.SIGTERM)
        took = time.monotonic() - began
        time.sleep(PAUSE)
        loop = clients.stop()
    # A server that has too much to do refuses, which is an answer.
    answered = loop.statuses[200] + loop.statuses[429]
    lost = sum(loop.statuses.values()) - answered
    return [
        Figure("requests lost", lost, 0, f"of {answered + lost}", note=str(dict(loop.statuses))),
        Figure("requests answered with 200", loop.statuses[200], 100, at_least=True),
        Figure("slowest answer", max(loop.latencies), 5, "s"),
        Figure("exit code after SIGTERM", code, 0),
        Figure("time from SIGTERM to the end", took, DELAY_MS / 1000 + 2, "s"),
    ]


@contextlib.contextmanager
def _haproxy(replicas: list[server.Server]) -> Iterator[tuple[str, int]]:
    """Runs HAProxy before servers. Yields its address once it answers."""
    program = shutil.which("haproxy", path=server.PATH)
    if program is None:
        raise CaseError("haproxy is not installed")
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        servers = "\n".join(f"    server s{number} {r.http[0]}:{r.http[1]}" for number, r in enumerate(replicas))
        file.write(CONFIGURATION.format(listener=listener.fileno(), servers=servers))
        file.flush()
        process = subprocess.Popen(
            [program, "-db", "-f", file.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
        )
        try:
            address = listener.getsockname()
            _until_it_answers(process, address)
            yield address
        finally:
            process.kill()
            process.wait()


def _until_it_answers(process: subprocess.Popen, address: tuple[str, int]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, Failed), Connection(address, timeout=2) as connection:
            if connection.exchange(get("/health/ready")).status == 200:
                return
        time.sleep(0.05)
    raise CaseError("haproxy does not start")


CASES = [Case("replicas behind HAProxy", replaced, in_short=False, program="haproxy")]
