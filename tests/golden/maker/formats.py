"""The same weights in every other layout of a checkpoint, and files that must be refused."""

import json
import os
import shutil
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from .checkpoints import HEADS

# Each layout, the checkpoint with the same weights, and the features that it covers.
FORMATS = {
    "zip": ("discriminator-cased", "pytorch_model.bin as torch writes it since 1.6; fp16"),
    "legacy": ("discriminator-legacy-keys", "as before 1.6; fp32, gamma and beta, an int64 buffer"),
    "protocol-4": ("token-cased", "pickle protocol 4, a plain dict; bf16"),
    "sharded-bin": ("discriminator-cased", "pytorch_model.bin.index.json and its shards"),
    "sharded-safetensors": ("token-cased", "model.safetensors.index.json and its shards"),
    "data-parallel": ("token-cased", "keys that begin with module., in a training script's dict"),
    "compiled": ("token-cased", "a model compiled by torch.compile, in DataParallel, in a module of a training script"),
    "views": ("discriminator-cased", "shared storages, offsets, transposed tensors, parameters; fp16, fp32 and fp64"),
}


class RunsCommand:
    """Makes a pickle hostile: loading it would run a command."""

    def __reduce__(self) -> tuple:
        return os.system, ("echo executed > electra-executed-a-pickle",)


def write_formats(checkpoints: Path, output: Path) -> None:
    """Write every layout into a folder of its own, and the hostile files into `hostile`."""
    shutil.rmtree(output, ignore_errors=True)
    for name, (checkpoint, _covers) in FORMATS.items():
        folder = output / name
        folder.mkdir(parents=True)
        globals()[f"_write_{name.replace('-', '_')}"](checkpoints / checkpoint, folder)
    _write_hostile(output / "hostile")


def _state_dict(checkpoint: Path) -> OrderedDict:
    return OrderedDict(load_file(checkpoint / "model.safetensors"))


def _write_zip(checkpoint: Path, folder: Path) -> None:
    # A module's own state dict, which has the versions of its submodules as an attribute.
    model = HEADS["discriminator"].from_pretrained(checkpoint, dtype="auto")
    torch.save(model.state_dict(), folder / "pytorch_model.bin")


def _write_legacy(checkpoint: Path, folder: Path) -> None:
    torch.save(_state_dict(checkpoint), folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)


def _write_protocol_4(checkpoint: Path, folder: Path) -> None:
    torch.save(dict(_state_dict(checkpoint)), folder / "pytorch_model.bin", pickle_protocol=4)


def _write_sharded_bin(checkpoint: Path, folder: Path) -> None:
    _write_shards("discriminator", checkpoint, folder, safe_serialization=False)


def _write_sharded_safetensors(checkpoint: Path, folder: Path) -> None:
    _write_shards("token", checkpoint, folder, safe_serialization=True)


def _write_shards(head: str, checkpoint: Path, folder: Path, safe_serialization: bool) -> None:
    model = HEADS[head].from_pretrained(checkpoint, dtype="auto")
    model.save_pretrained(folder, safe_serialization=safe_serialization, max_shard_size="6KB")
    (folder / "config.json").unlink()
    (index,) = folder.glob("*.index.json")
    assert len(set(json.loads(index.read_text())["weight_map"].values())) > 1


def _write_data_parallel(checkpoint: Path, folder: Path) -> None:
    parallel = OrderedDict((f"module.{key}", tensor) for key, tensor in _state_dict(checkpoint).items())
    training = {"epoch": 3, "loss": 0.25, "state_dict": parallel, "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4}]}}
    torch.save(training, folder / "pytorch_model.bin")


def _write_compiled(checkpoint: Path, folder: Path) -> None:
    training = torch.nn.Module()
    training.model = torch.compile(torch.nn.DataParallel(HEADS["token"].from_pretrained(checkpoint, dtype="auto")))
    training.loss = torch.nn.Linear(2, 1)
    torch.manual_seed(0)
    torch.nn.init.normal_(training.loss.weight)
    torch.nn.init.zeros_(training.loss.bias)
    assert "model._orig_mod.module.classifier.weight" in training.state_dict()
    torch.save(training.state_dict(), folder / "pytorch_model.bin")


def _write_views(checkpoint: Path, folder: Path) -> None:
    """Tensors that share a storage or are not stored row by row."""
    tensors: dict[str, Any] = _state_dict(checkpoint)
    # Query, key and value are slices of one storage; their biases are columns of one matrix.
    attention = "electra.encoder.layer.0.attention.self."
    names = [f"{attention}{part}." for part in ("query", "key", "value")]
    fused = torch.cat([tensors[f"{name}weight"] for name in names])
    for name, part in zip(names, fused.chunk(3)):
        tensors[f"{name}weight"] = part
    columns = torch.stack([tensors[f"{name}bias"] for name in names], dim=1).double()
    for column, name in enumerate(names):
        tensors[f"{name}bias"] = columns[:, column]
    # Stored as transposes.
    for part in ("intermediate", "output"):
        key = f"electra.encoder.layer.0.{part}.dense.weight"
        tensors[key] = tensors[key].t().contiguous().float().t()
    words = "electra.embeddings.word_embeddings.weight"
    tensors[words] = torch.nn.Parameter(tensors[words])
    tensors["generator_lm_head.weight"] = tensors[words]
    positions = "electra.embeddings.position_embeddings.weight"
    tensors[positions].comment = "a tensor with an attribute"
    tensors["electra.embeddings.position_ids"] = torch.arange(64).expand(1, -1)
    tensors["unused.uint16"] = torch.zeros(3, dtype=torch.uint16)
    torch.save(tensors, folder / "pytorch_model.bin")


def _write_hostile(folder: Path) -> None:
    folder.mkdir()
    weight = torch.ones(2)
    torch.save({"weight": weight, "command": RunsCommand()}, folder / "zip.bin")
    torch.save([RunsCommand()], folder / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.save({"weight": weight.sum().expand(1 << 40)}, folder / "stretched.bin")
    torch.save({"weight": torch.sparse_coo_tensor([[1]], [2.0], (3,))}, folder / "sparse.bin")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), folder / "script.bin")
