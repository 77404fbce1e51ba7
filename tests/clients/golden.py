"""The golden files of tests/golden that clients' answers are compared with."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from servers import CHECKPOINTS, PROJECT

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Batch:
    """The encodings of a small checkpoint's golden file as one batch, with the outputs of transformers."""

    input_ids: np.ndarray
    attention_mask: np.ndarray
    token_type_ids: np.ndarray
    # By output name, each of shape [sequences, ...], padded with zeros after a sequence's end.
    logits: dict[str, np.ndarray]


def checkpoints() -> list[str]:
    return sorted(checkpoint.name for checkpoint in CHECKPOINTS.iterdir())


def batch(checkpoint: str) -> Batch:
    path = PROJECT / "tests" / "golden" / "logits" / f"{checkpoint}.json"
    cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
    lengths = [len(case["input_ids"]) for case in cases]
    shape = (len(cases), max(lengths))
    return Batch(
        input_ids=_rows(shape, [case["input_ids"] for case in cases], np.int64),
        attention_mask=_rows(shape, [[1] * length for length in lengths], np.int64),
        token_type_ids=_rows(shape, [case["token_type_ids"] for case in cases], np.int64),
        logits=_logits(checkpoint, shape, [case["logits"] for case in cases]),
    )


def _logits(checkpoint: str, shape: tuple[int, int], rows: list[list[list[float]]]) -> dict[str, np.ndarray]:
    head = checkpoint.split("-")[0]
    if head == "sequence":
        return {"logits": np.array([row[0] for row in rows], np.float32)}
    every = _rows((*shape, len(rows[0][0])), rows, np.float32)
    if head == "qa":
        return {"start_logits": every[:, :, 0], "end_logits": every[:, :, 1]}
    return {"logits": every[:, :, 0] if head == "discriminator" else every}


def _rows(shape: tuple[int, ...], rows: list[Any], datatype: type) -> np.ndarray:
    """Stacks the rows, padded with zeros."""
    filled = np.zeros(shape, datatype)
    for row, values in zip(filled, rows, strict=True):
        row[: len(values)] = values
    return filled
