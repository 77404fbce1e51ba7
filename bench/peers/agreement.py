"""Whether a contender computes what the checkpoint says: otherwise its speed means nothing."""

from errors import ComparisonError

Scores = dict[str, float]

# fp32 engines differ in the order of their sums alone.
LARGEST_FP32_DIFFERENCE = 1e-3
# int8 moves each text's score by another amount, around 0.01 for electra and for ONNX Runtime's dynamic quantization
# alike; the mean over the samples is bounded. A made checkpoint's scores lie 0.25 apart on average, so that another
# model, another tokenizer, or padding that leaks into answers is told from rounding.
MEAN_INT8_DIFFERENCE = 0.05


def require(name: str, precision: str, scores: list[Scores], reference: list[Scores]) -> None:
    """Compare the scores of samples.py's texts with those of transformers in fp32."""
    if [set(found) for found in scores] != [set(expected) for expected in reference]:
        raise ComparisonError(
            f"{name} has other labels than the checkpoint: {sorted(scores[0])}, not {sorted(reference[0])}."
        )
    differences = [
        abs(found[label] - expected[label])
        for found, expected in zip(scores, reference, strict=True)
        for label in expected
    ]
    if precision == "fp32":
        measured, bound, what = max(differences), LARGEST_FP32_DIFFERENCE, "largest"
    else:
        measured, bound, what = sum(differences) / len(differences), MEAN_INT8_DIFFERENCE, "mean"
    if measured > bound:
        raise ComparisonError(
            f"{name} does not compute the same model in {precision}: the {what} difference of its scores from those of "
            f"transformers is {measured:.4f}, more than {bound}."
        )
