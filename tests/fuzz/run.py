#!/usr/bin/env python3
"""Runs the fuzz targets, one after another: README.md describes them.

    run.py [--time 20m] [--runs N] [TARGET ...]

A target that fails, takes over 5 s for an input, or needs over 400 MB ends its run. Its input is kept and named.
"""

import argparse
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile

PROJECT = pathlib.Path(__file__).parents[2]
CORPUS = PROJECT / "tests/fuzz/corpus"
TARGETS = sorted(folder.name for folder in CORPUS.iterdir())

# Of address space: an allocation fails here even if nothing is written to it.
MEMORY_MB = 400
LONGEST_S = 5


def seconds(text):
    match = re.fullmatch(r"(\d+)([smh]?)", text)
    if not match:
        raise argparse.ArgumentTypeError("a number with s, m or h, such as 20m")
    return int(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def build():
    """Returns the program that runs the targets."""
    command = [os.environ.get("CARGO", "cargo"), "build", "--locked", "--features", "fuzzing", "--example", "fuzz"]
    # Optimising the package would take longer than it saves.
    environment = {
        **os.environ,
        "CARGO_PROFILE_DEV_OPT_LEVEL": "0",
        "RUSTC_WORKSPACE_WRAPPER": str(PROJECT / "tests/fuzz/rustc.sh"),
    }
    subprocess.run(command, check=True, cwd=PROJECT, env=environment)
    return folder() / "debug/examples/fuzz"


def folder():
    return PROJECT / os.environ.get("CARGO_TARGET_DIR", "target")


def bounded():
    most = MEMORY_MB << 20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def run(program, target, arguments):
    """Runs a target and prints one line about it. Returns whether it held."""
    work = folder() / "fuzz"
    seen, findings = work / "corpus" / target, work / "findings"
    seen.mkdir(parents=True, exist_ok=True)
    findings.mkdir(exist_ok=True)
    log = work / f"{target}.log"
    command = [
        program,
        seen,
        CORPUS / target,
        f"-rss_limit_mb={MEMORY_MB}",
        f"-timeout={LONGEST_S}",
        f"-max_total_time={arguments.time}",
        f"-runs={arguments.runs}",
        "-max_len=16384",
        "-print_final_stats=1",
        f"-artifact_prefix={findings}/{target}-",
    ]
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory) as scratch, open(log, "wb") as output:
        environment = {**os.environ, "FUZZ_TARGET": target, "TMPDIR": scratch, "MALLOC_ARENA_MAX": "1"}
        # Reading debug information takes more memory than an input may.
        environment["RUST_BACKTRACE"] = "0"
        ended = subprocess.run(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, preexec_fn=bounded, cwd=PROJECT
        )
    text = log.read_text(errors="replace")
    stats = dict(re.findall(r"stat::(\w+): +(\d+)", text))
    done = re.search(r"Done (\d+) runs in (\d+) second", text)
    coverage = re.findall(r"cov: (\d+)", text)
    print(
        f"{target:12} {stats.get('number_of_executed_units', '?'):>9} inputs"
        f" {done[2] if done else '?':>6} s {stats.get('peak_rss_mb', '?'):>5} MB"
        f" {coverage[-1] if coverage else '?':>7} edges  {'held' if ended.returncode == 0 else 'FAILED'}",
        flush=True,
    )
    if ended.returncode:
        print("\n".join(text.splitlines()[-60:]))
        print(f"log: {log}\nto repeat: FUZZ_TARGET={target} {program} FILE, with the file that the log names")
    return ended.returncode == 0


def main():
    parser = argparse.ArgumentParser(description="Runs the fuzz targets.")
    parser.add_argument("--time", type=seconds, default=seconds("1m"), help="for each target; default: 1m")
    parser.add_argument("--runs", type=int, default=-1, help="inputs at most for each target; default: no limit")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    arguments = parser.parse_args()
    unknown = set(arguments.targets) - set(TARGETS)
    if unknown:
        parser.error(f"there is no target {', '.join(unknown)}; the targets are {', '.join(TARGETS)}")
    program = build()
    held = [run(program, target, arguments) for target in arguments.targets or TARGETS]
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
