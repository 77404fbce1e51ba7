"""Small random checkpoints in Hugging Face layout: every head, several shapes, number formats and tokenizers."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    ElectraConfig,
    ElectraForPreTraining,
    ElectraForQuestionAnswering,
    ElectraForSequenceClassification,
    ElectraForTokenClassification,
    PreTrainedModel,
)

from .vocabulary import CASED, UNCASED, Vocabulary, write_tokenizer_json, write_vocab_files

HEADS = {
    "discriminator": ElectraForPreTraining,
    "sequence": ElectraForSequenceClassification,
    "token": ElectraForTokenClassification,
    "qa": ElectraForQuestionAnswering,
}


@dataclass(frozen=True)
class Shape:
    """The sizes of one ELECTRA model."""

    embedding: int
    hidden: int
    layers: int
    heads: int
    feed_forward: int
    max_tokens: int = 128


@dataclass(frozen=True)
class Checkpoint:
    """A small checkpoint. `covers` names the features that it alone covers, or covers best."""

    name: str
    head: str
    shape: Shape
    covers: str
    seed: int  # picked so that decisions differ from token to token, or from text to text
    vocabulary: Vocabulary = UNCASED
    dtype: torch.dtype = torch.float32
    labels: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    names_architecture: bool = True
    legacy_keys: bool = False
    ships_tokenizer_json: bool = True
    tokenizer_has_own_limits: bool = False
    pruned_heads: dict[int, list[int]] = field(default_factory=dict)


CHUNK_LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]

CHECKPOINTS = [
    Checkpoint(
        name="discriminator-plain",
        head="discriminator",
        shape=Shape(embedding=28, hidden=28, layers=2, heads=4, feed_forward=56),
        covers="embedding size equal to hidden size, no projection; two layers",
        seed=2,
    ),
    Checkpoint(
        name="discriminator-cased",
        head="discriminator",
        shape=Shape(embedding=12, hidden=24, layers=1, heads=3, feed_forward=40, max_tokens=64),
        covers="cased vocabulary of 35 tokens, [CLS]=2, [SEP]=3, vocab.txt without tokenizer.json; one layer; fp16",
        seed=25,
        vocabulary=CASED,
        dtype=torch.float16,
        ships_tokenizer_json=False,
    ),
    Checkpoint(
        name="discriminator-relu",
        head="discriminator",
        shape=Shape(embedding=16, hidden=32, layers=2, heads=2, feed_forward=48),
        covers="hidden_act relu, in the layers and in the head; bf16",
        seed=54,
        dtype=torch.bfloat16,
        config={"hidden_act": "relu"},
    ),
    Checkpoint(
        name="discriminator-silu",
        head="discriminator",
        shape=Shape(embedding=20, hidden=20, layers=1, heads=5, feed_forward=36),
        covers="hidden_act silu; 5 heads of 4; layer_norm_eps 1e-3",
        seed=157,
        config={"hidden_act": "silu", "layer_norm_eps": 1e-3},
    ),
    Checkpoint(
        name="discriminator-legacy-keys",
        head="discriminator",
        shape=Shape(embedding=16, hidden=24, layers=1, heads=2, feed_forward=48),
        covers="LayerNorm.gamma and .beta and a position_ids buffer, as checkpoints of 2020 have",
        seed=26,
        legacy_keys=True,
    ),
    Checkpoint(
        name="discriminator-pruned",
        head="discriminator",
        shape=Shape(embedding=16, hidden=24, layers=3, heads=4, feed_forward=40),
        covers="attention heads pruned in two of three layers; layer_norm_eps 0",
        seed=7,
        config={"layer_norm_eps": 0.0},
        pruned_heads={0: [1], 2: [0, 3]},
    ),
    Checkpoint(
        name="sequence-three-labels",
        head="sequence",
        shape=Shape(embedding=16, hidden=32, layers=3, heads=2, feed_forward=64),
        covers="3 labels outside ASCII; three layers; fp16; tokenizer.json with truncation and padding of its own",
        seed=64,
        dtype=torch.float16,
        labels=["négatif", "neutre", "positif"],
        tokenizer_has_own_limits=True,
    ),
    Checkpoint(
        name="sequence-cross-encoder",
        head="sequence",
        shape=Shape(embedding=24, hidden=24, layers=1, heads=3, feed_forward=48),
        covers="a single logit for pairs, answered by a sigmoid",
        seed=5,
        labels=["LABEL_0"],
    ),
    Checkpoint(
        name="sequence-multi-label",
        head="sequence",
        shape=Shape(embedding=16, hidden=32, layers=1, heads=4, feed_forward=64),
        covers="problem_type multi_label_classification; hidden_act gelu_new, but gelu in the head; bf16",
        seed=11,
        dtype=torch.bfloat16,
        labels=["sport", "politics", "music", "science"],
        config={"problem_type": "multi_label_classification", "hidden_act": "gelu_new"},
    ),
    Checkpoint(
        name="sequence-regression",
        head="sequence",
        shape=Shape(embedding=16, hidden=16, layers=2, heads=2, feed_forward=32),
        covers="problem_type regression; two outputs; hidden_act relu, but gelu in the head; layer_norm_eps 1e-5",
        seed=40,
        labels=["quality", "length"],
        config={"problem_type": "regression", "hidden_act": "relu", "layer_norm_eps": 1e-5},
    ),
    Checkpoint(
        name="token-bio",
        head="token",
        shape=Shape(embedding=16, hidden=32, layers=2, heads=4, feed_forward=64, max_tokens=64),
        covers="BIO labels; no architectures in config.json; at most 64 tokens",
        seed=29,
        labels=CHUNK_LABELS,
        names_architecture=False,
    ),
    Checkpoint(
        name="token-cased",
        head="token",
        shape=Shape(embedding=24, hidden=24, layers=1, heads=2, feed_forward=40, max_tokens=64),
        covers="cased vocabulary without tokenizer.json; labels without prefix; bf16; one layer",
        seed=31,
        vocabulary=CASED,
        dtype=torch.bfloat16,
        labels=["noun", "verb", "other"],
        ships_tokenizer_json=False,
    ),
    Checkpoint(
        name="qa-projected",
        head="qa",
        shape=Shape(embedding=12, hidden=32, layers=2, heads=4, feed_forward=64, max_tokens=64),
        covers="embedding size unlike hidden size; at most 64 tokens",
        seed=19,
    ),
    Checkpoint(
        name="qa-plain",
        head="qa",
        shape=Shape(embedding=24, hidden=24, layers=1, heads=4, feed_forward=48),
        covers="embedding size equal to hidden size; fp16; hidden_act gelu_pytorch_tanh",
        seed=28,
        dtype=torch.float16,
        config={"hidden_act": "gelu_pytorch_tanh"},
    ),
]


def electra_config(shape: Shape, vocabulary: Vocabulary, labels: list[str], extra: dict[str, Any]) -> ElectraConfig:
    """The configuration of a model of this shape."""
    naming = {}
    if labels:
        naming["id2label"] = dict(enumerate(labels))
        naming["label2id"] = {label: index for index, label in enumerate(labels)}
    return ElectraConfig(
        vocab_size=len(vocabulary.tokens),
        embedding_size=shape.embedding,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.feed_forward,
        max_position_embeddings=shape.max_tokens,
        type_vocab_size=2,
        pad_token_id=vocabulary.tokens.index("[PAD]"),
        **naming,
        **extra,
    )


def randomize(model: PreTrainedModel, seed: int) -> None:
    """Draw every parameter, biases and LayerNorm included, so that a forgotten or swapped one changes the logits.

    The scale keeps the variance of a matrix product near that of its input. numpy's generator gives the same numbers
    on every machine.
    """
    random = np.random.default_rng(seed)
    for name, parameter in sorted(model.named_parameters()):
        values = random.standard_normal(parameter.shape)
        if "LayerNorm.weight" in name or "layer_norm.weight" in name:
            values = 1.0 + 0.2 * values
        elif "embeddings." in name or name.endswith("bias"):
            values = 0.2 * values
        else:
            values = values * min(0.3, 1.2 / np.sqrt(parameter.shape[1]))
        parameter.data = torch.from_numpy(values).to(parameter.dtype)


def write_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the checkpoint's folder anew: config.json, model.safetensors and the tokenizer."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = electra_config(checkpoint.shape, checkpoint.vocabulary, checkpoint.labels, checkpoint.config)
    model = HEADS[checkpoint.head](config)
    randomize(model, checkpoint.seed)
    if checkpoint.pruned_heads:
        model.prune_heads(checkpoint.pruned_heads)
    model.to(checkpoint.dtype).save_pretrained(folder)
    if checkpoint.legacy_keys:
        _spell_keys_as_in_2020(folder / "model.safetensors", checkpoint.shape.max_tokens)
    if not checkpoint.names_architecture:
        _drop_architectures(folder / "config.json")
    if checkpoint.ships_tokenizer_json:
        write_tokenizer_json(
            checkpoint.vocabulary, folder, checkpoint.shape.max_tokens, checkpoint.tokenizer_has_own_limits
        )
    else:
        write_vocab_files(checkpoint.vocabulary, folder, checkpoint.shape.max_tokens)


def _spell_keys_as_in_2020(path: Path, max_tokens: int) -> None:
    renamed = {
        key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for key, tensor in load_file(path).items()
    }
    renamed["electra.embeddings.position_ids"] = torch.arange(max_tokens).unsqueeze(0)
    save_file(renamed, path, metadata={"format": "pt"})


def _drop_architectures(path: Path) -> None:
    config = json.loads(path.read_text(encoding="utf-8"))
    del config["architectures"]
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
