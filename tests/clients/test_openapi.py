"""schemathesis finds no difference between a server and its OpenAPI document.

It sends what the document allows and what it forbids, and checks that the first is taken and the second refused; that every
status, header, media type and body is as described; that no answer is a fault of the server; and that other methods are 405.
"""

import subprocess
import sys
from pathlib import Path

from servers import Server

HERE = Path(__file__).parent


def test_a_server_does_what_its_document_says(default_server: Server, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "schemathesis.cli", "--no-color", f"--config-file={HERE / 'schemathesis.toml'}", "run"]
    options = ["--max-examples=50", "--continue-on-failure"]
    # It stores its findings in the current folder.
    run = subprocess.run(
        [*command, *options, f"{default_server.http_url}/openapi.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "No issues found" in run.stdout, run.stdout
