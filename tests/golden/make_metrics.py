#!/usr/bin/env python3
"""Write metrics.json: small made-up cases, scored by the implementations that people compare with.

    python make_metrics.py

labels: scikit-learn; numbers: SciPy; detection: scikit-learn; chunks: seqeval; answers: transformers' port of SQuAD 2.0's
evaluation script, and torchmetrics' of SQuAD 1.1's. What needs installing is in requirements-metrics.txt.
"""

import json
import math
import random
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from scipy.stats import pearsonr, spearmanr
from seqeval.metrics import accuracy_score as tag_accuracy
from seqeval.metrics import classification_report, f1_score, precision_score, recall_score
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, IOE2
from sklearn import metrics
from torchmetrics.functional.text import squad as squad_1
from transformers.data.metrics import squad_metrics

warnings.simplefilter("ignore")
RANDOM = random.Random(20240607)


def number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def labels_case(labels: int, gold: list[int], predicted: list[int]) -> dict[str, Any]:
    average = {"average": "binary"} if labels == 2 else {"average": "macro"}
    each = metrics.precision_recall_fscore_support(gold, predicted, labels=range(labels), zero_division=0)
    return {
        "labels": labels,
        "gold": gold,
        "predicted": predicted,
        "accuracy": metrics.accuracy_score(gold, predicted),
        "f1": float(metrics.f1_score(gold, predicted, zero_division=0, **average)),
        "matthews_correlation": float(metrics.matthews_corrcoef(gold, predicted)),
        "by_label": [[float(part[label]) for part in each[:3]] for label in range(labels)],
    }


def labels() -> list[dict[str, Any]]:
    def some(labels: int, count: int) -> dict[str, Any]:
        gold = [RANDOM.randrange(labels) for _ in range(count)]
        predicted = [label if RANDOM.random() < 0.6 else RANDOM.randrange(labels) for label in gold]
        return labels_case(labels, gold, predicted)

    return [
        some(2, 25),
        some(2, 40),
        some(3, 30),
        some(5, 12),
        labels_case(2, [0, 0, 0, 0], [0, 0, 0, 0]),
        labels_case(2, [0, 1, 1, 0], [1, 1, 1, 1]),
        labels_case(4, [0, 1, 1, 3], [0, 1, 3, 3]),
    ]


def numbers_case(gold: list[float], predicted: list[float]) -> dict[str, Any]:
    return {
        "gold": gold,
        "predicted": predicted,
        "pearson": number(pearsonr(gold, predicted).statistic),
        "spearman": number(spearmanr(gold, predicted).statistic),
    }


def numbers() -> list[dict[str, Any]]:
    def some(count: int, steps: int) -> dict[str, Any]:
        gold = [RANDOM.randrange(steps * 5 + 1) / steps for _ in range(count)]
        return numbers_case(gold, [round(value * 0.7 + RANDOM.random(), 2) for value in gold])

    return [some(12, 4), some(30, 1), some(5, 2), numbers_case([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]), numbers_case([1.0, 2.0, 3.0], [5.0, 3.0, 1.0])]


def detection() -> list[dict[str, Any]]:
    def case(scores: list[float], replaced: list[bool], threshold: float) -> dict[str, Any]:
        called = [score > threshold for score in scores]
        one_kind = len(set(replaced)) < 2
        return {
            "scores": scores,
            "replaced": replaced,
            "threshold": threshold,
            "auc": None if one_kind else float(metrics.roc_auc_score(replaced, scores)),
            "precision": float(metrics.precision_score(replaced, called, zero_division=0)),
            "recall": float(metrics.recall_score(replaced, called, zero_division=0)),
            "f1": float(metrics.f1_score(replaced, called, zero_division=0)),
            "accuracy": float(metrics.accuracy_score(replaced, called)),
        }

    def some(count: int, steps: int, threshold: float) -> dict[str, Any]:
        replaced = [RANDOM.random() < 0.3 for _ in range(count)]
        # Few steps, so that many scores are equal; powers of two, which single precision holds.
        scores = [min(steps, RANDOM.randrange(steps) + 2 * is_replaced) / steps for is_replaced in replaced]
        return case(scores, replaced, threshold)

    return [
        some(40, 64, 0.5),
        some(40, 8, 0.5),
        some(20, 4, 0.25),
        case([0.25, 0.75], [False, False], 0.5),
        case([0.125, 0.25], [False, True], 0.5),
        case([0.5, 0.5, 0.5], [False, True, True], 0.25),
    ]


def chunks_case(gold: list[list[str]], predicted: list[list[str]]) -> dict[str, Any]:
    report = classification_report(gold, predicted, output_dict=True, zero_division=0)
    return {
        "gold": gold,
        "predicted": predicted,
        "precision": float(precision_score(gold, predicted, zero_division=0)),
        "recall": float(recall_score(gold, predicted, zero_division=0)),
        "f1": float(f1_score(gold, predicted, zero_division=0)),
        "accuracy": float(tag_accuracy(gold, predicted)),
        "by_type": {kind: float(scores["f1-score"]) for kind, scores in report.items() if not kind.endswith(" avg")},
    }


def chunks() -> list[dict[str, Any]]:
    def some(tags: list[str], sentences: int) -> dict[str, Any]:
        gold = [[RANDOM.choice(tags) for _ in range(RANDOM.randrange(1, 12))] for _ in range(sentences)]
        predicted = [[tag if RANDOM.random() < 0.7 else RANDOM.choice(tags) for tag in sentence] for sentence in gold]
        return chunks_case(gold, predicted)

    iob2 = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    return [
        some(iob2, 12),
        some(["O", "I-NP", "B-NP", "I-VP", "B-VP", "I-NP", "I-VP"], 12),
        some([*iob2, "E-PER", "S-PER", "E-LOC", "S-LOC"], 12),
        chunks_case([["B-PER", "I-PER", "O", "B-LOC"]], [["I-PER", "I-PER", "O", "B-PER"]]),
        chunks_case([["B-X", "I-Y", "I-Y", "O"]], [["B-X", "B-X", "I-Y", "I-Y"]]),
        chunks_case([["B-MISC-A", "I-MISC-A", "B-MISC-B"]], [["B-MISC-A", "I-MISC-A", "I-MISC-B"]]),
        chunks_case([["O", "O"], ["B-X"]], [["O", "O"], ["O"]]),
    ]


def schemes() -> list[dict[str, Any]]:
    """Sentences whose tags are all as their scheme allows: what seqeval's strict mode, which knows schemes, scores."""

    def written(scheme: str, pieces: list[tuple[str, int]]) -> list[str]:
        tags: list[str] = []
        before = "O"
        for kind, words in pieces:
            if kind == "O":
                tags += ["O"] * words
            elif scheme == "IOB1":
                tags += [("B-" if kind == before else "I-") + kind] + [f"I-{kind}"] * (words - 1)
            elif scheme == "IOE2":
                tags += [f"I-{kind}"] * (words - 1) + [f"E-{kind}"]
            else:
                begin, inside, end, single = {"IOB2": "BIIB", "IOBES": "BIES", "BILOU": "BILU"}[scheme]
                middle = [f"{inside}-{kind}"] * max(0, words - 2)
                tags += [f"{single}-{kind}"] if words == 1 else [f"{begin}-{kind}", *middle, f"{end}-{kind}"]
            before = kind
        return tags

    def case(gold_scheme: str, predicted_scheme: str) -> dict[str, Any]:
        gold, predicted = [], []
        for _ in range(20):
            pieces = [(RANDOM.choice(["O", "PER", "LOC"]), RANDOM.randrange(1, 4)) for _ in range(5)]
            gold.append(pieces)
            predicted.append([(RANDOM.choice(["O", kind, kind]), words) for kind, words in pieces])
        gold_tags = [written(gold_scheme, pieces) for pieces in gold]
        predicted_tags = [written(predicted_scheme, pieces) for pieces in predicted]
        both = [[written("IOB2", pieces) for pieces in side] for side in (gold, predicted)]
        found = {"gold": gold_tags, "predicted": predicted_tags}
        for name, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
            found[name] = float(score(*both, mode="strict", scheme=IOB2, zero_division=0))
            if gold_scheme == predicted_scheme:
                known = {scheme.__name__: scheme for scheme in (IOB1, IOB2, IOE2, IOBES, BILOU)}[gold_scheme]
                strict = score(gold_tags, predicted_tags, mode="strict", scheme=known, zero_division=0)
                assert abs(strict - found[name]) < 1e-9, gold_scheme
        return found

    schemes = ["IOB1", "IOB2", "IOE2", "IOBES", "BILOU"]
    return [case(scheme, scheme) for scheme in schemes] + [case(gold, predicted) for gold, predicted in [("IOBES", "IOB2"), ("IOB1", "BILOU"), ("BILOU", "IOBES")]]


TEXTS = [
    "The  Quick, brown fox!",
    "a an the",
    "An Apple a day -- keeps THE doctor away.",
    "Théâtre de l'Athénée",
    "the\u2013end of a\u2014b",
    "U.S.A.'s  A-team",
    "\u201cthe\u201d quoted",
    "\t tabs\nand\u00a0spaces  ",
    "\u4eca\u65e5 a \u0130stanbul",
    "snake_the_case the_ _a",
    "",
]


def question(gold: list[str], span: str, no_answer_score: float, no_answer: bool) -> dict[str, Any]:
    return {"gold": gold, "span": span, "no_answer_score": no_answer_score, "no_answer": no_answer}


def answers_1(questions: list[dict[str, Any]]) -> dict[str, Any]:
    predictions = [{"id": str(index), "prediction_text": asked["span"]} for index, asked in enumerate(questions)]
    targets = [
        {"id": str(index), "answers": {"text": asked["gold"], "answer_start": [0] * len(asked["gold"])}}
        for index, asked in enumerate(questions)
    ]
    found = squad_1(predictions, targets)
    # In single precision: the sum of a few hundredths of a percent is rounded away.
    f1 = sum(max(squad_metrics.compute_f1(gold, asked["span"]) for gold in asked["gold"]) for asked in questions) / len(questions)
    assert abs(float(found["f1"]) / 100 - f1) < 1e-6
    exact = sum(max(squad_metrics.compute_exact(gold, asked["span"]) for gold in asked["gold"]) for asked in questions) / len(questions)
    assert abs(float(found["exact_match"]) / 100 - exact) < 1e-6
    return {"questions": questions, "exact": exact, "f1": f1}


def answers_2(questions: list[dict[str, Any]]) -> dict[str, Any]:
    examples = [
        SimpleNamespace(qas_id=str(index), answers=[{"text": text} for text in asked["gold"]])
        for index, asked in enumerate(questions)
    ]
    has_answer = {example.qas_id: bool(example.answers) for example in examples}
    spans = {str(index): asked["span"] for index, asked in enumerate(questions)}
    served = {str(index): "" if asked["no_answer"] else asked["span"] for index, asked in enumerate(questions)}
    scores = {str(index): asked["no_answer_score"] for index, asked in enumerate(questions)}

    exact, f1 = squad_metrics.get_raw_scores(examples, served)
    parts = {
        "": squad_metrics.make_eval_dict(exact, f1),
        "has_answer_": squad_metrics.make_eval_dict(exact, f1, [key for key, has in has_answer.items() if has]),
        "no_answer_": squad_metrics.make_eval_dict(exact, f1, [key for key, has in has_answer.items() if not has]),
    }
    best: dict[str, Any] = {}
    squad_metrics.find_all_best_thresh(best, spans, *squad_metrics.get_raw_scores(examples, spans), scores, has_answer)
    case = {"questions": questions}
    for prefix, part in parts.items():
        case[f"{prefix}exact"] = part["exact"] / 100
        case[f"{prefix}f1"] = part["f1"] / 100
    for kind in ("exact", "f1"):
        case[f"best_{kind}"] = best[f"best_{kind}"] / 100
        case[f"best_{kind}_threshold"] = best[f"best_{kind}_thresh"]
    return case


def answers() -> list[dict[str, Any]]:
    words = ["the", "red", "Fox,", "over", "a", "hill", "fox", "Hill!", "1912"]

    def some() -> str:
        return " ".join(RANDOM.choice(words) for _ in range(RANDOM.randrange(1, 5))) + " x"

    def asked(unanswerable: float) -> dict[str, Any]:
        gold = [] if RANDOM.random() < unanswerable else [some() for _ in range(RANDOM.randrange(1, 4))]
        span = RANDOM.choice([*gold, some(), some()])
        score = RANDOM.randrange(64) / 64
        return question(gold, span, score, score > 0.5)

    return [
        answers_1([asked(0.0) for _ in range(20)]),
        answers_1([question(["the fox", "A red fox"], "Red fox.", 0.0, False)]),
        answers_2([asked(0.4) for _ in range(30)]),
        answers_2([asked(0.7) for _ in range(30)]),
        answers_2(
            [
                question(["the"], "a", 0.25, False),
                question([], "fox", 0.75, True),
                question([], "fox", 0.125, False),
                question(["fox"], "the fox", 0.5, False),
                question(["fox", "red fox"], "red", 0.5, False),
            ]
        ),
        answers_2([question([], "fox", 0.5, True), question([], "fox", 0.5, False), question(["fox"], "hill", 0.25, False)]),
    ]


def main() -> None:
    kinds = {
        "labels": labels(),
        "numbers": numbers(),
        "detection": detection(),
        "chunks": chunks(),
        "normalized": [{"text": text, "normalized": squad_metrics.normalize_answer(text)} for text in TEXTS],
        "answers": answers(),
        "schemes": schemes(),
    }
    def of_kind(kind: str, cases: list[dict[str, Any]]) -> str:
        lines = ",\n".join(json.dumps(case, separators=(",", ":"), allow_nan=False) for case in cases)
        return f'"{kind}":[\n{lines}\n]'

    text = "{" + ",\n".join(of_kind(kind, cases) for kind, cases in kinds.items()) + "}\n"
    (Path(__file__).parent / "metrics.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
