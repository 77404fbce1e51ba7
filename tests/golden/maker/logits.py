"""Logits of one text at a time in single precision, the reference for every other way to run a checkpoint."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from .checkpoints import HEADS
from .texts import FILLER, PAIRS, UNICODE_TEXTS

Input = tuple[str, str | None]


def load(folder: Path, head: str) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """The checkpoint with its weights widened to fp32, and its fast tokenizer."""
    model, report = HEADS[head].from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    problems = report["missing_keys"] or report["mismatched_keys"] or report["unexpected_keys"]
    if problems:
        raise ValueError(f"{folder}: these tensors do not fit the {head} head: {problems}")
    return model.eval(), AutoTokenizer.from_pretrained(folder, use_fast=True)


def inputs_for(tokenizer: PreTrainedTokenizerFast, max_tokens: int) -> list[Input]:
    """Texts and pairs of mixed lengths, from no token at all to exactly `max_tokens`."""
    texts: list[Input] = [(text, None) for text in UNICODE_TEXTS]
    return [*texts, *PAIRS, (text_of_length(tokenizer, max_tokens), None)]


def text_of_length(tokenizer: PreTrainedTokenizerFast, tokens: int) -> str:
    """A text of exactly `tokens` tokens, [CLS] and [SEP] included."""
    words = [FILLER[(5 * index + 3 * (index // len(FILLER))) % len(FILLER)] for index in range(tokens - 2)]
    text = " ".join(words)
    assert len(tokenizer(text).input_ids) == tokens
    return text


def encode(tokenizer: PreTrainedTokenizerFast, text: str, text_pair: str | None) -> dict[str, Any]:
    """One input with its encoding."""
    encoding = tokenizer(text, text_pair, return_offsets_mapping=True, return_token_type_ids=True)
    pair = {} if text_pair is None else {"text_pair": text_pair}
    return {
        "text": text,
        **pair,
        "input_ids": encoding["input_ids"],
        "token_type_ids": encoding["token_type_ids"],
        "tokens": tokenizer.convert_ids_to_tokens(encoding["input_ids"]),
        "offsets": encoding["offset_mapping"],
    }


def case(
    head: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, text: str, text_pair: str | None
) -> dict[str, Any]:
    """One input with its encoding and its logits as a list of rows: [tokens][labels], or one row for a sequence."""
    encoded = encode(tokenizer, text, text_pair)
    with torch.inference_mode():
        output = model(
            input_ids=torch.tensor([encoded["input_ids"]]), token_type_ids=torch.tensor([encoded["token_type_ids"]])
        )
    return {**encoded, "logits": _rows(head, output)}


def cases(folder: Path, head: str, inputs: list[Input] | None = None) -> list[dict[str, Any]]:
    """The cases of the checkpoint in `folder`; `inputs` replace the default texts."""
    model, tokenizer = load(folder, head)
    if inputs is None:
        inputs = inputs_for(tokenizer, model.config.max_position_embeddings)
    return [case(head, model, tokenizer, text, text_pair) for text, text_pair in inputs]


def decisions(case: dict[str, Any]) -> list[int]:
    """The decision of each row of logits: the sign of a single logit, otherwise the best label."""
    return [int(row[0] > 0) if len(row) == 1 else max(range(len(row)), key=row.__getitem__) for row in case["logits"]]


def _rows(head: str, output: Any) -> torch.Tensor:
    match head:
        case "discriminator":
            return output.logits[0].unsqueeze(-1)
        case "sequence":
            return output.logits
        case "token":
            return output.logits[0]
        case "qa":
            return torch.stack([output.start_logits[0], output.end_logits[0]], dim=-1)
        case _:
            raise ValueError(f"no such head: {head}")
