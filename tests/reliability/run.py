#!/usr/bin/env python3
"""Attacks a server the way that one client can take it away from all others, and holds what it does to bars.

    make test-reliability [ARGS="--short"]

See README.md in this folder.
"""

import argparse
import os
import resource
import shutil
import sys
import time

import abandoned
import background
import connections
import fairness
import faults
import load
import memory
import overload
import rolling
import server
import soak
import texts
import threads
from case import ALLOWANCE_BYTES, INFLIGHT_BYTES, Case, Context
from client import Connection, Failed, post
from figures import CaseError, Figure, percentile, table

GROUPS = {
    "fairness": fairness.CASES,
    "overload": overload.CASES,
    "abandoned": abandoned.CASES,
    "threads": threads.CASES,
    "memory": memory.CASES,
    "connections": connections.CASES,
    "faults": faults.CASES,
    "rolling": rolling.CASES,
    "soak": soak.CASES,
}

# A failing case is measured again so often. The short form runs where other programs have the cores too.
RETRIES = 1
SHORT_RETRIES = 3


def main() -> None:
    options = parse_arguments()
    if sys.platform != "linux":
        sys.exit("these cases need Linux: they pin processes to cores and read /proc")
    if not server.binary().exists():
        sys.exit(f"{server.binary()} does not exist: build it with `make build`, or set ELECTRA_BINARY")
    _raise_the_limit_of_files()
    os.sched_setaffinity(0, server.CLIENT_CORES)
    began = time.monotonic()
    rows: list[tuple[str, Figure]] = []
    for group in options.only:
        for case in GROUPS[group]:
            if options.case not in case.name or (options.short and not case.in_short):
                continue
            if case.needs_root and os.geteuid() != 0:
                print(f"{case.name}\n  SKIPPED: only root can mount a small disk", flush=True)
            elif case.program and shutil.which(case.program, path=server.PATH) is None:
                print(f"{case.name}\n  SKIPPED: {case.program} is not installed", flush=True)
            else:
                rows += [(f"{group}: {case.name}", figure) for figure in measured(case, options.short)]
    failed = sum(not figure.passes for _, figure in rows)
    print(f"\n{table(rows)}\n\n{len(rows)} figures in {time.monotonic() - began:.0f} s, {failed} failed")
    sys.exit(failed > 0)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="fewer cases and looser bars, in two minutes")
    parser.add_argument("--only", nargs="+", choices=list(GROUPS), default=list(GROUPS), help="groups (default: all)")
    parser.add_argument("--case", default="", metavar="TEXT", help="cases whose names contain this (default: all)")
    return parser.parse_args()


def measured(case: Case, short: bool) -> list[Figure]:
    """A case's figures. One that fails is measured again, because other programs may have had the cores."""
    figures = attempt(case, short)
    for _ in range(SHORT_RETRIES if short else RETRIES):
        if all(figure.passes for figure in figures):
            break
        print("  measured again", flush=True)
        figures = attempt(case, short)
    return figures


def attempt(case: Case, short: bool) -> list[Figure]:
    """Runs a case on a fresh server, with the health probe beside it."""
    began = time.monotonic()
    print(case.name, flush=True)
    try:
        with server.running(*case.settings) as running:
            _warm_up(running)
            context = Context(running, short, running.resident())
            running.reset_peak()
            with background.task(load.probe, running.http) as probe:
                figures = case.run(context)
                health = probe.stop()
            figures += [*_health(health, context), _memory(context)]
    except (CaseError, Failed, OSError) as error:
        print(f"  {error}", flush=True)
        figures = [Figure("not measured", 1, 0, note=" ".join(str(error).split())[:120])]
    for figure in figures:
        verdict = "ok" if figure.passes else "FAIL"
        print(f"  {verdict:4}  {figure.name}: {figure.value:.4g} {figure.unit}  {figure.note}", flush=True)
    print(f"  {time.monotonic() - began:.0f} s", flush=True)
    return figures


def _warm_up(running: server.Server) -> None:
    """The first requests grow the buffers that a server at rest has."""
    with Connection(running.http) as connection:
        for request in texts.mixed():
            connection.exchange(request)
        connection.exchange(post("/discriminate", {"text": [texts.text(100, seed) for seed in range(64)]}))


def _health(health: load.Health, context: Context) -> list[Figure]:
    bar = context.pick(300, 50)
    return [
        _latency("health, p99, kept connection", health.kept, bar),
        _latency("health, p99, new connections", health.new, bar),
        Figure("health probes that fail", health.failed, 0),
    ]


def _latency(name: str, latencies: list[float], bar: float) -> Figure:
    note = f"p50 {percentile(latencies, 0.5) * 1000:.2f}"
    return Figure(name, percentile(latencies, 0.99) * 1000, bar, "ms", note=note)


def _memory(context: Context) -> Figure:
    over = context.server.peak() - context.idle_bytes
    bar = INFLIGHT_BYTES + ALLOWANCE_BYTES
    return Figure("memory over idle, peak", over / 1e6, bar / 1e6, "MB", note=f"idle {context.idle_bytes / 1e6:.0f}")


def _raise_the_limit_of_files() -> None:
    """For the clients' connections, and for the server, which inherits it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
