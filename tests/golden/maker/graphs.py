"""Graphs as other exporters write them: of the small checkpoints, and of small BERT and DistilBERT models."""

import inspect
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.float16 import convert_float_to_float16
from optimum.exporters.onnx import main_export
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertTokenizerFast,
    DistilBertConfig,
    DistilBertForQuestionAnswering,
    DistilBertTokenizerFast,
    PreTrainedModel,
)

from . import logits
from .checkpoints import randomize
from .vocabulary import CASED, UNCASED

# Exports a checkpoint's folder to model.onnx and its data files in an existing folder.
Exporter = Callable[[Path, Path], None]
# Converts model.onnx in place.
Conversion = Callable[[Path], None]

TRUNK_TOKENS = 64


@dataclass(frozen=True)
class OtherGraph:
    """A model folder as another exporter writes it. `covers` names the features that it alone covers."""

    name: str
    checkpoint: str
    export: Exporter
    covers: str
    convert: Conversion | None = None
    file: str = "model.onnx"  # where Optimum writes it; `onnx/model.onnx` for the hub's layout


def optimum(task: str) -> Exporter:
    """The output of `optimum-cli export onnx --task TASK`."""

    def export(checkpoint: Path, output: Path) -> None:
        main_export(str(checkpoint), output=output, task=task, dtype="fp32", do_validation=False)

    return export


def by_hand(inputs: list[str], dtype: torch.dtype, output: str, width_of_one: bool) -> Exporter:
    """A discriminator exported with `torch.onnx.export`. Users call it directly, because no tool supports this head.

    `width_of_one` gives [sequences, tokens, 1] in place of [sequences, tokens].
    """

    class Discriminator(torch.nn.Module):
        def __init__(self, model: PreTrainedModel) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
            found = self.model(**dict(zip(inputs, tensors, strict=True))).logits
            return found.unsqueeze(-1) if width_of_one else found

    def export(checkpoint: Path, folder: Path) -> None:
        model, tokenizer = logits.load(checkpoint, "discriminator")
        model.config.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        axes = {0: "batch", 1: "sequence"}
        torch.onnx.export(
            Discriminator(model).eval(),
            tuple(torch.ones((2, 7), dtype=dtype) for _ in inputs),
            str(folder / "model.onnx"),
            input_names=inputs,
            output_names=[output],
            dynamic_axes={name: axes for name in [*inputs, output]},
            opset_version=17,
            dynamo=False,
        )

    return export


def trunk(model_of: Callable[[], PreTrainedModel], tokenizer_class: type, cased: bool, seed: int, task: str) -> Exporter:
    """Optimum's export of a random model other than ELECTRA. Its checkpoint is left in `checkpoint`."""

    def export(checkpoint: Path, output: Path) -> None:
        vocabulary = CASED if cased else UNCASED
        model = model_of()
        randomize(model, seed)
        model.save_pretrained(checkpoint)
        vocab_file = checkpoint / "vocab.txt"
        vocab_file.write_text("".join(f"{token}\n" for token in vocabulary.tokens), encoding="utf-8")
        tokenizer = tokenizer_class(str(vocab_file), do_lower_case=not cased, model_max_length=TRUNK_TOKENS)
        tokenizer.save_pretrained(checkpoint)
        optimum(task)(checkpoint, output)

    return export


def _bert() -> PreTrainedModel:
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=len(UNCASED.tokens),
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=TRUNK_TOKENS,
            id2label={0: "bad", 1: "good", 2: "neither"},
            label2id={"bad": 0, "good": 1, "neither": 2},
        )
    )


def _distilbert() -> PreTrainedModel:
    return DistilBertForQuestionAnswering(
        DistilBertConfig(
            vocab_size=len(CASED.tokens), dim=24, n_layers=1, n_heads=3, hidden_dim=40, max_position_embeddings=TRUNK_TOKENS
        )
    )


def weights_beside(path: Path) -> None:
    """Move the weights into an external file, as in exports of more than 2 GB."""
    graph = onnx.load(path)
    onnx.save(graph, path, save_as_external_data=True, location="model.onnx_data", size_threshold=512)


def halve(path: Path) -> None:
    """Convert the graph to fp16 throughout, outputs included."""
    onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=False), path)


def quantize(path: Path) -> None:
    """Quantize weights to int8. Activations get one scale per tensor at run time, so answers depend on their batch.

    Weights have 7 bits: products are then equal on processors that saturate and on those that do not.
    """
    whole = path.with_suffix(".fp32")
    path.rename(whole)
    quantize_dynamic(whole, path, weight_type=QuantType.QInt8, reduce_range=True)
    whole.unlink()


BY_HAND = by_hand(["input_ids", "attention_mask", "token_type_ids"], torch.int64, "logits", width_of_one=False)
SEQUENCE = optimum("text-classification")

GRAPHS = [
    OtherGraph(
        name="optimum-sequence",
        checkpoint="sequence-regression",
        export=SEQUENCE,
        covers="[sequences, labels]; onnx/model.onnx",
        file="onnx/model.onnx",
    ),
    OtherGraph(
        name="optimum-token",
        checkpoint="token-cased",
        export=optimum("token-classification"),
        covers="[sequences, tokens, labels]",
    ),
    OtherGraph(
        name="optimum-qa",
        checkpoint="qa-plain",
        export=optimum("question-answering"),
        covers="start_logits and end_logits; onnx/model.onnx",
        file="onnx/model.onnx",
    ),
    OtherGraph(
        name="torch-discriminator",
        checkpoint="discriminator-cased",
        export=BY_HAND,
        covers="[sequences, tokens]",
    ),
    OtherGraph(
        name="torch-discriminator-int32",
        checkpoint="discriminator-cased",
        export=by_hand(
            ["token_type_ids", "attention_mask", "position_ids", "input_ids"], torch.int32, "scores", width_of_one=True
        ),
        covers="int32 inputs in another order, position_ids, [sequences, tokens, 1] by another name, model.onnx_data",
        convert=weights_beside,
    ),
    OtherGraph(
        name="torch-discriminator-fp16",
        checkpoint="discriminator-cased",
        export=BY_HAND,
        covers="16-bit weights and outputs",
        convert=halve,
    ),
    OtherGraph(
        name="optimum-sequence-int8",
        checkpoint="sequence-regression",
        export=SEQUENCE,
        covers="int8 weights and products",
        convert=quantize,
    ),
    OtherGraph(
        name="optimum-bert",
        checkpoint="",
        export=trunk(_bert, BertTokenizerFast, cased=False, seed=3, task="text-classification"),
        covers="BERT",
        file="onnx/model.onnx",
    ),
    OtherGraph(
        name="optimum-distilbert",
        checkpoint="",
        export=trunk(_distilbert, DistilBertTokenizerFast, cased=True, seed=4, task="question-answering"),
        covers="DistilBERT, without token_type_ids",
    ),
    OtherGraph(
        name="optimum-headless",
        checkpoint="discriminator-cased",
        export=optimum("feature-extraction"),
        covers="refused: last_hidden_state alone",
    ),
]


def write_graph(graph: OtherGraph, checkpoints: Path, folder: Path) -> list[dict[str, Any]]:
    """Write a model folder anew. Returns the cases that no golden file of its checkpoint answers.

    If the checkpoint is not kept, transformers answers them. If the graph is converted to another precision, ONNX
    Runtime does.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / graph.file).parent.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        source = checkpoints / graph.checkpoint if graph.checkpoint else Path(scratch)
        graph.export(source, folder)
        path = folder / "model.onnx"
        if graph.convert:
            graph.convert(path)
        cases = []
        if not graph.checkpoint:
            cases = _cases(folder, _transformers(source))
        elif graph.convert in (halve, quantize):
            cases = _cases(folder, _onnxruntime(path))
        path.rename(folder / graph.file)
    # tokenizer.json is complete, so the tokenizer's other files are not kept.
    for name in ["vocab.txt", "special_tokens_map.json"]:
        if (folder / "tokenizer.json").exists():
            (folder / name).unlink(missing_ok=True)
    return cases


def _cases(folder: Path, rows_of: Callable[[dict[str, list[int]]], Any]) -> list[dict[str, Any]]:
    tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True)
    cases = [logits.encode(tokenizer, *given) for given in logits.inputs_for(tokenizer, tokenizer.model_max_length)]
    return [{**case, "logits": rows_of(case)} for case in cases]


def _tensors(names: list[str], case: dict[str, Any]) -> dict[str, torch.Tensor]:
    known = {
        "input_ids": case["input_ids"],
        "attention_mask": [1] * len(case["input_ids"]),
        "token_type_ids": case["token_type_ids"],
    }
    return {name: torch.tensor([known[name]]) for name in names if name in known}


def _transformers(checkpoint: Path) -> Callable[[dict[str, Any]], Any]:
    classes = [BertForSequenceClassification, DistilBertForQuestionAnswering]
    config = (checkpoint / "config.json").read_text(encoding="utf-8")
    [model_class] = [found for found in classes if found.__name__ in config]
    model = model_class.from_pretrained(checkpoint).eval()
    names = list(inspect.signature(model.forward).parameters)

    def rows(case: dict[str, Any]) -> Any:
        with torch.inference_mode():
            output = model(**_tensors(names, case))
        return output.logits if "logits" in output else torch.stack([output.start_logits[0], output.end_logits[0]], -1)

    return rows


def _onnxruntime(path: Path) -> Callable[[dict[str, Any]], Any]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def rows(case: dict[str, Any]) -> Any:
        feed = {name: tensor.numpy() for name, tensor in _tensors(names, case).items()}
        [found] = session.run(["logits"], feed)
        # A discriminator's [1, tokens] becomes one row per token; [1, labels] is the single row of a sequence.
        return found[0, :, None] if found.shape[1] == len(case["input_ids"]) else found

    return rows
