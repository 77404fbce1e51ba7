#!/usr/bin/env python3
"""Compare electra with other servers: the same model, texts, threads and load, one table.

    make bench-peers [ARGS="--size base --write"]

See README.md in this folder. Needs Python 3.11 or 3.12, and about 12 GB of disk.
"""

import argparse
import concurrent.futures
import datetime
import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import agreement
import environments
import processes
import report
import stillness
from contenders import KEYS, PRECISIONS, Contender, InProcess, Server, Setup, contenders, environment
from environments import FOLDER, PROJECT
from errors import ComparisonError
from report import Measurement
from samples import TEXTS

# At one measurement, on a machine that stands still now and then.
ATTEMPTS = 10

TARGET = PROJECT / os.environ.get("CARGO_TARGET_DIR", "target")


def main() -> None:
    options = parse_arguments()
    try:
        compare(options)
    except ComparisonError as error:
        sys.exit(f"error: {error}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=["small", "base"], default="small", help="ELECTRA's size (default: small)")
    parser.add_argument("--checkpoint", type=Path, metavar="DIR", help="a real classifier instead of random weights")
    parser.add_argument("--texts", type=Path, metavar="FILE", help="texts to send, one a line (default: generated)")
    parser.add_argument("--threads", type=int, metavar="COUNT", help="cores, shared with the client (default: all)")
    parser.add_argument("--concurrency", type=int, default=16, metavar="COUNT", help="requests in flight (default: 16)")
    parser.add_argument("--seconds", type=float, default=10, help="measured time per contender and round (default: 10)")
    parser.add_argument("--warm-up-seconds", type=float, default=2, metavar="SECONDS", help="before that (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, metavar="COUNT", help="rounds; the median counts (default: 3)")
    parser.add_argument("--only", nargs="+", choices=KEYS, default=KEYS, help="only these contenders (default: all)")
    parser.add_argument("--write", action="store_true", help="write the table into docs/performance.md")
    parser.add_argument("--electra", type=Path, default=TARGET / "release" / "electra", help="the electra binary")
    return parser.parse_args()


def compare(options: argparse.Namespace) -> None:
    environments.require_python()
    if not options.electra.is_file():
        raise ComparisonError(f"{options.electra} is not there; `make build` makes it.")
    threads = confine(options.threads)
    setup = prepare(options, threads)
    reference = json.loads((setup.work / "reference.json").read_text(encoding="utf-8"))
    chosen = [contender for contender in contenders(setup) if contender.key in options.only]
    # In turn, so that a machine that slows down for a while slows all of them.
    measured: list[list[Measurement]] = [[] for _ in chosen]
    for number in range(1, options.rounds + 1):
        for contender, found in zip(chosen, measured, strict=True):
            print(f"Round {number} of {options.rounds}: {contender.key}, {contender.precision}", flush=True)
            found.append(measure_undisturbed(contender, setup, options, reference))
    rows = [
        report.Row(contender.key, contender.name, contender.precision, found)
        for contender, found in zip(chosen, measured, strict=True)
    ]
    table = report.render(rows, conditions(options, setup))
    results = setup.work / "results.json"
    document = {"machine": report.machine(), "contenders": [asdict(row) for row in rows]}
    results.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if options.write:
        report.write(PROJECT / "docs" / "performance.md", table)
    print(f"\n{table}\n\nEvery round: {results}")


def confine(threads: int | None) -> int:
    """Keep this process, and hence all that it starts, to so many cores; give their number."""
    if not hasattr(os, "sched_setaffinity"):
        if threads not in (None, os.cpu_count()):
            raise ComparisonError(
                "--threads needs a system on which a process can be kept to some cores, such as Linux."
            )
        return os.cpu_count() or 1
    cores = sorted(os.sched_getaffinity(0))
    if threads is not None:
        if not 1 <= threads <= len(cores):
            raise ComparisonError(f"--threads is {threads}, and this process may use 1 to {len(cores)} cores.")
        os.sched_setaffinity(0, cores[:threads])
    return threads or len(cores)


def prepare(options: argparse.Namespace, threads: int) -> Setup:
    """Make everything that the contenders need, anew."""
    serving = environments.make("serving")
    infinity = environments.make("infinity") if "infinity" in options.only else None
    work = TARGET / "peers" / ("checkpoint" if options.checkpoint else options.size)
    shutil.rmtree(work, ignore_errors=True)
    (work / "logs").mkdir(parents=True)
    checkpoint = options.checkpoint.resolve() if options.checkpoint else work / "checkpoint"
    texts = options.texts.resolve() if options.texts else work / "texts.txt"
    setup = Setup(options.electra.resolve(), work, checkpoint, texts, threads, serving, infinity)

    print(f"Making the models in {work} ...", flush=True)
    source = ["--checkpoint", str(checkpoint)] if options.checkpoint else ["--size", options.size]
    logged([str(serving / "python"), str(FOLDER / "prepare.py"), str(work), *source], setup, "prepare")
    for precision in PRECISIONS:
        # Random weights leave decisions on the edge, where int8 changes some; agreement.py bounds it its own way.
        output = str(setup.electra_models(precision) / "peer")
        export = [str(setup.electra), "export", str(checkpoint), "--output", output, "--precision", precision]
        logged([*export, "--accept-changed-decisions"], setup, f"export-{precision}")
        if infinity:
            lay_out_for_infinity(setup, precision)
    return setup


def lay_out_for_infinity(setup: Setup, precision: str) -> None:
    """Make a folder as on the Hugging Face hub; infinity-emb prefers a graph with `quantize` in its name on the CPU."""
    folder = setup.infinity_model(precision)
    (folder / "onnx").mkdir(parents=True)
    for path in setup.checkpoint.glob("*.json"):
        shutil.copy(path, folder)
    name = {"fp32": "model.onnx", "int8": "model_quantized.onnx"}[precision]
    shutil.copy(setup.graphs() / f"{precision}.onnx", folder / "onnx" / name)


def logged(command: list[str], setup: Setup, name: str) -> None:
    log = setup.work / "logs" / f"{name}.log"
    with log.open("wb") as output:
        ended = subprocess.run(
            command, env=environment(setup), stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        )
    if ended.returncode != 0:
        raise ComparisonError(f"{name} failed; the end of its log {log}:\n{processes.tail(log)}")


def measure_undisturbed(
    contender: Contender, setup: Setup, options: argparse.Namespace, reference: list[agreement.Scores]
) -> Measurement:
    """Measure again where the machine stood still meanwhile; servers may fail requests then, past their deadline."""
    for _ in range(ATTEMPTS):
        watch = stillness.Watch()
        try:
            with watch:
                found = measure(contender, setup, options, reference)
        except ComparisonError:
            if watch.stood_still() is None:
                raise
        else:
            if watch.stood_still() is None:
                return found
        print(f"  The machine stood still for {watch.stood_still():.0f} s; once more.", flush=True)
    raise ComparisonError(
        f"The machine stood still in {ATTEMPTS} attempts in a row; nothing can be measured on it now."
    )


def measure(
    contender: Contender, setup: Setup, options: argparse.Namespace, reference: list[agreement.Scores]
) -> Measurement:
    match contender:
        case InProcess():
            output = json.loads(printed(contender.command(options.seconds), setup))
            scores = output.pop("scores")
            agreement.require(contender.name, contender.precision, scores, reference)
            return Measurement(**output)
        case Server():
            log = setup.work / "logs" / f"{contender.key}-{contender.precision}.log"
            with processes.started(contender, environment(setup), log) as address:
                scores = sample_scores(contender, address)
                agreement.require(contender.name, contender.precision, scores, reference)
                return load(contender, address, setup, options)


def sample_scores(server: Server, address: str) -> list[agreement.Scores]:
    """Ask for all samples at once, so that they share batches where the server makes any."""
    with concurrent.futures.ThreadPoolExecutor(len(TEXTS)) as pool:
        answers = list(pool.map(lambda text: processes.ask(server, address, text), TEXTS))
    return [{label["label"]: label["score"] for label in server.labels(answer)} for answer in answers]


def load(server: Server, address: str, setup: Setup, options: argparse.Namespace) -> Measurement:
    """Put the load on a server by `electra bench`."""
    # Of a model, the client only reads the tokenizer, to count tokens.
    command = [
        *(str(setup.electra), "bench", "--models", str(setup.electra_models("fp32"))),
        *("--url", address + server.route, "--body", server.body, "--texts", str(setup.texts)),
        *("--concurrency", str(options.concurrency), "--seconds", str(options.seconds)),
        *("--warm-up-seconds", str(options.warm_up_seconds), "--json"),
    ]
    found = json.loads(printed(command, setup))
    if found["failures"]:
        raise ComparisonError(f"Requests to {server.name} failed: {found['failures']}")
    return Measurement(
        requests_per_second=found["throughput"]["requests_per_second"],
        tokens_per_second=found["throughput"]["tokens_per_second"],
        p50_ms=found["latency_ms"]["p50"],
        p99_ms=found["latency_ms"]["p99"],
    )


def printed(command: list[str], setup: Setup) -> str:
    ended = subprocess.run(
        command, env=environment(setup), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        raise ComparisonError(f"This failed: {shlex.join(command)}\n{ended.stderr.strip()}")
    return ended.stdout


def conditions(options: argparse.Namespace, setup: Setup) -> report.Conditions:
    config = json.loads((setup.checkpoint / "config.json").read_text(encoding="utf-8"))
    source = options.checkpoint.name if options.checkpoint else f"ELECTRA {options.size} with random weights"
    texts = setup.texts.read_text(encoding="utf-8").splitlines()
    lengths = "" if options.texts else ", 5 to 128 tokens each, uniform"
    arguments = shlex.join(sys.argv[1:])
    return report.Conditions(
        model=f"{source}, a classifier of {config['num_hidden_layers']} layers of width {config['hidden_size']}",
        load=f"closed loop, {options.concurrency} requests in flight of one text each; {len(texts)} texts{lengths}; "
        f"{setup.threads} compute threads, on the same cores as the client",
        rounds=options.rounds,
        date=datetime.date.today().isoformat(),
        command="make bench-peers" + (f' ARGS="{arguments}"' if arguments else ""),
    )


if __name__ == "__main__":
    main()
