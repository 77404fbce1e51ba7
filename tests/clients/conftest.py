"""Servers shared by the tests of all clients."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from servers import DEFAULT_MODELS, Server, running, small_checkpoints

# In fp32, so that answers can be compared with golden files.
FP32 = ["--precision", "fp32"]


@pytest.fixture(scope="session")
def default_server() -> Iterator[Server]:
    """Serves the four default models. No test unloads any."""
    with running(DEFAULT_MODELS) as server:
        yield server


@pytest.fixture(scope="session")
def small_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serves every small checkpoint of tests/golden. No test unloads any."""
    with running(small_checkpoints(tmp_path_factory.mktemp("models")), *FP32) as server:
        yield server


@pytest.fixture(scope="session")
def http_url(small_server: Server) -> str:
    """The HTTP address of the server of small checkpoints."""
    return small_server.http_url


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts a server of the named small checkpoints for one test."""
    with ExitStack() as stack:
        yield lambda *names: stack.enter_context(running(small_checkpoints(tmp_path, *names), *FP32))
