#!/usr/bin/env python3
"""Write the golden files of the parity tests: what transformers 4.57.6 answers, on checkpoints small enough to commit.

    python make_golden.py                   everything that needs only this folder
    python make_golden.py --models DIR      also the trained models electra-mini-*, from their fp32 or fp16 checkpoints
    python make_golden.py --only logits     one part: checkpoints, formats, logits, graphs, tokenizer, pipelines, parameters
                                            or requests

Every run writes the same bytes on the same machine; on another one the last digits of logits may differ.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch

from maker import formats, logits, parameters, pipelines, requests, texts, tokenization
from maker.checkpoints import CHECKPOINTS, write_checkpoint
from maker.output import write_golden

HERE = Path(__file__).parent

# Task head and inputs of the trained models.
TRAINED = {
    "electra-mini-discriminator": ("discriminator", [(text, None) for text in texts.DISCRIMINATE_TEXTS]),
    "electra-mini-sentiment": ("sequence", [(text, None) for text in texts.SENTIMENT_TEXTS]),
    "electra-mini-chunker": ("token", [(text, None) for text in texts.CHUNK_TEXTS]),
    "electra-mini-qa": ("qa", texts.QA_PAIRS),
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--models", type=Path, metavar="DIR", help="folder of the trained checkpoints")
    arguments.add_argument("--output", type=Path, metavar="DIR", default=HERE, help="where to write (default: here)")
    arguments.add_argument("--only", choices=WRITERS, action="append", help="write this part alone; may be repeated")
    options = arguments.parse_args()
    # Sums in another order have other last digits.
    torch.set_num_threads(1)

    for part in options.only or WRITERS:
        WRITERS[part](options.output, options.models)


def write_checkpoints(output: Path, _models: Path | None) -> None:
    for checkpoint in CHECKPOINTS:
        write_checkpoint(checkpoint, output / "checkpoints" / checkpoint.name)


def write_formats(output: Path, _models: Path | None) -> None:
    formats.write_formats(output / "checkpoints", output / "formats")


def write_logits(output: Path, models: Path | None) -> None:
    for checkpoint in CHECKPOINTS:
        cases = logits.cases(output / "checkpoints" / checkpoint.name, checkpoint.head)
        require_varied_decisions(checkpoint.name, cases)
        write_golden(output / "logits" / f"{checkpoint.name}.json", {"checkpoint": checkpoint.name}, cases)
    if models:
        for name, (head, inputs) in TRAINED.items():
            cases = logits.cases(models / name, head, inputs)
            write_golden(output / "logits" / f"{name}.json", {"checkpoint": name}, cases)


def write_graphs(output: Path, _models: Path | None) -> None:
    # Imported here, since Optimum and ONNX are wanted for nothing else.
    from maker.graphs import GRAPHS, write_graph

    for graph in GRAPHS:
        cases = write_graph(graph, output / "checkpoints", output / "graphs" / graph.name)
        if cases:
            require_varied_decisions(graph.name, cases)
            write_golden(output / "logits" / f"{graph.name}.json", {"graph": graph.name}, cases)


def write_tokenizer(output: Path, models: Path | None) -> None:
    small = output / "checkpoints"
    folders = {"uncased": small / "discriminator-plain", "cased": small / "discriminator-cased"}
    if models:
        folders["electra-mini"] = models / "electra-mini-discriminator"
    for name, folder in folders.items():
        write_golden(output / "tokenizer" / f"{name}.json", {"checkpoint": folder.name}, tokenization.cases(folder))
    header = tokenization.configuration_header()
    write_golden(output / "tokenizer" / "configurations.json", header, tokenization.configuration_cases())
    small_folders = {name: folders[name] for name in ("uncased", "cased")}
    write_golden(output / "tokenizer" / "code-points.json", {}, tokenization.code_point_cases(small_folders))


def write_pipelines(output: Path, models: Path | None) -> None:
    if not models:
        print("pipelines: left as they are, for they need the trained models too (--models DIR)")
        return
    small = output / "checkpoints"
    makers = {
        "text-classification": pipelines.text_classification,
        "token-classification": pipelines.token_classification,
        "question-answering": pipelines.question_answering,
    }
    for task, make in makers.items():
        header = {"task": task}
        if task == "question-answering":
            header["contexts"] = pipelines.CONTEXTS
        write_golden(output / "pipelines" / f"{task}.json", header, make(models, small))


def write_parameters(output: Path, _models: Path | None) -> None:
    write_golden(output / "pipelines" / "parameters.json", {}, parameters.cases(output / "checkpoints"))


def write_requests(output: Path, _models: Path | None) -> None:
    small = output / "checkpoints"
    makers = {
        "text-classification": requests.text_classification,
        "token-classification": requests.token_classification,
        "question-answering": requests.question_answering,
    }
    for task, make in makers.items():
        write_golden(output / "pipelines" / "requests" / f"{task}.json", {"task": task}, make(small))


def require_varied_decisions(name: str, cases: list) -> None:
    """A checkpoint that answers everything alike would hide mistakes: choose another seed then."""
    decisions = [decision for case in cases for decision in logits.decisions(case)]
    commonest = max(map(decisions.count, decisions))
    if commonest > 0.9 * len(decisions):
        raise ValueError(f"{name}: {commonest} of {len(decisions)} decisions are alike")


WRITERS = {
    "checkpoints": write_checkpoints,
    "formats": write_formats,
    "logits": write_logits,
    "graphs": write_graphs,
    "tokenizer": write_tokenizer,
    "pipelines": write_pipelines,
    "parameters": write_parameters,
    "requests": write_requests,
}

if __name__ == "__main__":
    main()
