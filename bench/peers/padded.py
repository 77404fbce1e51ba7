"""A padded ONNX graph with its tokenizer, as ONNX Runtime's own tutorials use them."""

from pathlib import Path

import numpy
import onnxruntime
from tokenizers import Encoding, Tokenizer


def open_session(graph: Path, threads: int) -> onnxruntime.InferenceSession:
    """A session that computes one batch on so many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def open_tokenizer(path: Path, pad_id: int) -> Tokenizer:
    """A tokenizer that pads the texts of a batch to the longest of them."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_padding(pad_id=pad_id)
    return tokenizer


def feeds(session: onnxruntime.InferenceSession, encodings: list[Encoding]) -> dict[str, numpy.ndarray]:
    """The inputs of a batch; a graph with fused operators takes them in 32 bits."""
    columns = {
        "input_ids": [encoding.ids for encoding in encodings],
        "attention_mask": [encoding.attention_mask for encoding in encodings],
        "token_type_ids": [encoding.type_ids for encoding in encodings],
    }
    types = {"tensor(int64)": numpy.int64, "tensor(int32)": numpy.int32}
    return {taken.name: numpy.array(columns[taken.name], types[taken.type]) for taken in session.get_inputs()}


def label_scores(logits: numpy.ndarray, labels: dict[str, str]) -> list[dict[str, float]]:
    """Softmax, as a score by label for each text."""
    powers = numpy.exp(logits - logits.max(axis=-1, keepdims=True))
    shares = powers / powers.sum(axis=-1, keepdims=True)
    return [{labels[str(index)]: float(score) for index, score in enumerate(row)} for row in shares]
