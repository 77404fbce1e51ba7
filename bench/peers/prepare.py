"""Make what the contenders share: a checkpoint, its padded ONNX graphs, the texts of the load, and the right scores.

    python prepare.py FOLDER --size small|base
    python prepare.py FOLDER --checkpoint DIR

Runs in the environment of requirements-serving.txt. FOLDER gets:

    checkpoint/          unless --checkpoint names one: random weights, since speed does not depend on them
    graphs/              fp32.onnx, int8.onnx, and fused-fp32.onnx, fused-int8.onnx with attention as one operator
    texts.txt            the texts of the load, one a line
    reference.json       what transformers answers in fp32 to samples.py's texts: a score by label for each
"""

import argparse
import json
import os
import platform
import random
import shutil
import warnings
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.optimizer import optimize_model
from tokenizers import Tokenizer
from transformers import AutoTokenizer, ElectraConfig, ElectraForSequenceClassification

from samples import TEXTS

PROJECT = Path(__file__).resolve().parents[2]
TOKENIZER = PROJECT / "models" / "electra-mini-sentiment" / "tokenizer.json"
SEED = 0

# As google/electra-small-discriminator and google/electra-base-discriminator; the first is ElectraConfig's default.
SIZES = {
    "small": {},
    "base": {"embedding_size": 768, "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
}

# The load: lengths in tokens, special tokens included, uniform between these.
SHORTEST, LONGEST = 5, 128
TEXT_COUNT = 512

GRAPH_INPUTS = ["input_ids", "attention_mask", "token_type_ids"]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path, metavar="FOLDER")
    source = arguments.add_mutually_exclusive_group(required=True)
    source.add_argument("--size", choices=SIZES)
    source.add_argument("--checkpoint", type=Path, metavar="DIR")
    options = arguments.parse_args()
    # What torch's exporter and ONNX Runtime's tools say here is about their own deprecations.
    warnings.simplefilter("ignore")

    checkpoint = options.checkpoint or write_checkpoint(options.folder / "checkpoint", options.size)
    # Attention as the plain products: the form that ONNX Runtime's optimizer knows as one operator.
    model = ElectraForSequenceClassification.from_pretrained(checkpoint, attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    write_graphs(options.folder / "graphs", model, tokenizer)
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.save(str(options.folder / "graphs" / "tokenizer.json"))
    write_texts(options.folder / "texts.txt", tokenizer.backend_tokenizer)
    scores = [reference(model, tokenizer, text) for text in TEXTS]
    (options.folder / "reference.json").write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")


def write_checkpoint(folder: Path, size: str) -> Path:
    folder.mkdir(parents=True)
    shutil.copy(TOKENIZER, folder / "tokenizer.json")
    settings = {"tokenizer_class": "ElectraTokenizer", "do_lower_case": True, "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings) + "\n", encoding="utf-8")

    torch.manual_seed(SEED)
    config = ElectraConfig(
        **SIZES[size],
        vocab_size=Tokenizer.from_file(str(TOKENIZER)).get_vocab_size(),
        initializer_range=0.03,
    )
    model = ElectraForSequenceClassification(config).eval()
    spread_scores(model, AutoTokenizer.from_pretrained(folder))
    model.save_pretrained(folder)
    # transformers leaves out label names that are its defaults; others need them to see that this is a classifier.
    path = folder / "config.json"
    saved = json.loads(path.read_text(encoding="utf-8"))
    saved |= {"id2label": {"0": "negative", "1": "positive"}, "label2id": {"negative": 0, "positive": 1}}
    path.write_text(json.dumps(saved, indent=2) + "\n", encoding="utf-8")
    return folder


@torch.no_grad()
def spread_scores(model: ElectraForSequenceClassification, tokenizer) -> None:
    """Scale and shift the last layer so that the sample texts get clearly different scores.

    Random weights give every text nearly the same score, and contenders would agree whatever they computed.
    """
    logits = torch.cat([model(**tokenizer(text, return_tensors="pt")).logits for text in TEXTS])
    differences = logits[:, 1] - logits[:, 0]
    last = model.classifier.out_proj
    scale = 1 / differences.std()
    last.weight *= scale
    last.bias[1] -= differences.mean() * scale


def write_graphs(folder: Path, model: ElectraForSequenceClassification, tokenizer) -> None:
    folder.mkdir()
    fp32, fused = folder / "fp32.onnx", folder / "fused-fp32.onnx"
    sample = tokenizer(TEXTS[:2], padding=True, return_tensors="pt")
    # The older exporter: ONNX Runtime runs its graph faster than that of the newer one.
    torch.onnx.export(
        LogitsOnly(model).eval(),
        tuple(sample[name] for name in GRAPH_INPUTS),
        fp32,
        input_names=GRAPH_INPUTS,
        output_names=["logits"],
        dynamic_axes={**{name: {0: "batch", 1: "tokens"} for name in GRAPH_INPUTS}, "logits": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    heads, hidden = model.config.num_attention_heads, model.config.hidden_size
    optimize_model(str(fp32), "bert", num_heads=heads, hidden_size=hidden, opt_level=0).save_model_to_file(str(fused))
    for graph in (fp32, fused):
        quantize_dynamic(
            graph,
            folder / graph.name.replace("fp32", "int8"),
            per_channel=True,
            # As ONNX Runtime's documentation advises where 8-bit products would saturate.
            reduce_range=saturates(),
            weight_type=QuantType.QInt8,
            # Shape inference does not know the types behind fused operators.
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )


class LogitsOnly(torch.nn.Module):
    """The model with inputs by position and one output, as the exporter wants it."""

    def __init__(self, model: ElectraForSequenceClassification) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).logits


def saturates() -> bool:
    """Whether this is an x86 processor without VNNI, which adds pairs of 8-bit products in 16 bits."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return platform.machine() == "x86_64" and "vnni" not in flags


def write_texts(path: Path, tokenizer: Tokenizer) -> None:
    """Write texts of whole words that are one token each, so that their lengths are exactly as drawn."""
    drawn = random.Random(SEED)
    # The vocabulary's order is not the same in every run.
    words = [word for word in sorted(tokenizer.get_vocab()) if word.isascii() and word.isalpha() and word.islower()]
    special = tokenizer.num_special_tokens_to_add(False)
    texts = []
    for _ in range(TEXT_COUNT):
        length = drawn.randint(SHORTEST, LONGEST)
        text = " ".join(drawn.choices(words, k=length - special))
        found = len(tokenizer.encode(text).ids)
        if found != length:
            raise SystemExit(f"error: a text made to have {length} tokens has {found}; give --texts.")
        texts.append(text)
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")


@torch.no_grad()
def reference(model: ElectraForSequenceClassification, tokenizer, text: str) -> dict[str, float]:
    scores = model(**tokenizer(text, return_tensors="pt")).logits[0].softmax(-1).tolist()
    return {model.config.id2label[index]: score for index, score in enumerate(scores)}


if __name__ == "__main__":
    main()
