"""A browser's requests: preflights of a listed origin, and what pages of other sites can't do."""

import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Optional

import pytest

from servers import DEFAULT_MODELS, Server, running

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)

# The page is at `localhost` and the server at 127.0.0.1: another site, to which browsers send fetch metadata.
PAGE = """<!doctype html><title>Another site</title>
<iframe name="frame"></iframe>
<form method="post" target="frame"></form>
<script>
const server = new URLSearchParams(location.search).get("server");
const ask = async (path, options) => {
  try {
    const response = await fetch(server + path, options);
    return {
      type: response.type,
      status: response.status,
      id: response.headers.get("x-request-id"),
      body: await response.text(),
    };
  } catch (error) {
    return {failed: String(error)};
  }
};
const json = {method: "POST", headers: {"content-type": "application/json", "x-request-id": "mine"}};
const submitted = () => new Promise((resolve) => {
  document.querySelector("iframe").addEventListener("load", resolve);
  const form = document.querySelector("form");
  form.action = server + "/v2/repository/index";
  form.submit();
});
addEventListener("load", async () => {
  const report = {
    asked: await ask("/tag", {...json, body: '{"text": "a"}'}),
    refused: await ask("/tag", {...json, body: "{}"}),
    unread: await ask("/v2/repository/index", {method: "POST", mode: "no-cors"}),
  };
  await submitted();
  await fetch("/report", {method: "POST", body: JSON.stringify(report)});
});
</script>"""


class Site(ThreadingHTTPServer):
    """Serves the page, and keeps what it reports."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reports: queue.Queue[dict[str, Any]] = queue.Queue()

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:  # noqa: N802
        self._answer(PAGE.encode())

    def do_POST(self) -> None:  # noqa: N802
        self.server.reports.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self._answer(b"")

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def site() -> Iterator[Site]:
    if BROWSER is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium: install Debian's package chromium")
        pytest.skip("no Chromium: install Debian's package chromium")
    with Site() as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        yield site
        site.shutdown()
        thread.join()


@contextmanager
def visited(site: Site, server: Server) -> Iterator[dict[str, Any]]:
    """What the page reports of a server."""
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        address = f"{site.origin}/?server={server.http_url}"
        command = [str(BROWSER), *flags, f"--user-data-dir={profile}", address]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            try:
                yield site.reports.get(timeout=60)
            finally:
                browser.terminate()


def counted(server: Server, route: str, code: int) -> Optional[str]:
    with urllib.request.urlopen(f"{server.http_url}/metrics") as metrics:
        lines = metrics.read().decode().splitlines()
    start = f'electra_requests_total{{route="{route}",model="",code="{code}"}} '
    return next((line.removeprefix(start) for line in lines if line.startswith(start)), None)


def test_pages_of_a_listed_origin_ask_after_a_preflight(site: Site) -> None:
    with running(DEFAULT_MODELS, "--cors-allow-origins", site.origin) as server, visited(site, server) as report:
        asked, refused = report["asked"], report["refused"]
        assert (asked["status"], asked["id"]) == (200, "mine")
        assert json.loads(asked["body"])["results"]
        assert (refused["status"], json.loads(refused["body"])["code"]) == (422, "missing_field")
        assert counted(server, "/tag", 204), "the browser sent a preflight"
        # What needs no preflight is taken from a script, and a form is not.
        assert counted(server, "/v2/repository/index", 200) == "1"
        assert counted(server, "/v2/repository/index", 403) == "1"


def test_pages_of_other_origins_are_refused(site: Site) -> None:
    with running(DEFAULT_MODELS) as server, visited(site, server) as report:
        assert "failed" in report["asked"]
        assert counted(server, "/tag", 200) is None
        assert report["unread"]["type"] == "opaque"
        assert counted(server, "/v2/repository/index", 200) is None
        assert counted(server, "/v2/repository/index", 403) == "2", "the script's request and the form's"
