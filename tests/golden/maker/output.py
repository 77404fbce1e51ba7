"""Writes golden files: short numbers and one case per line, for readable diffs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch


def rounded(value: Any) -> Any:
    """`value` as plain JSON data, floats at 7 significant digits: single precision holds no more."""
    match value:
        case torch.Tensor():
            return rounded(value.tolist())
        case np.ndarray() | np.generic():
            return rounded(value.tolist())
        case float():
            return float(f"{value:.7g}")
        case dict():
            return {key: rounded(item) for key, item in value.items()}
        case list() | tuple():
            return [rounded(item) for item in value]
        case _:
            return value


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def write_golden(path: Path, header: dict[str, Any], cases: list[dict[str, Any]]) -> None:
    """Write `{**header, "cases": [...]}` with one header entry or case per line."""
    lines = [f"{_compact(key)}:{_compact(rounded(value))}" for key, value in header.items()]
    body = ",\n".join(_compact(rounded(case)) for case in cases)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{" + ",\n".join([*lines, f'"cases":[\n{body}\n]']) + "}\n", encoding="utf-8")
