"""Answers of transformers' pipelines: the shapes and scores that the Hugging Face routes reproduce."""

from pathlib import Path
from typing import Any

from transformers import pipeline

from . import logits
from .texts import BIRDS, CHUNK_TEXTS, LIGHTHOUSE, LONG_TEXT, MUSEUM, PAIRS, RAILWAY, SENTIMENT_TEXTS, UNICODE_TEXTS

Case = dict[str, Any]

AGGREGATIONS = ["none", "simple", "first", "average", "max"]

# Contexts by name, because cases share them.
CONTEXTS = {
    "lighthouse": LIGHTHOUSE,
    "museum": MUSEUM,
    "birds": BIRDS,
    "railway": RAILWAY,
    "long": LONG_TEXT,
    "twice": LIGHTHOUSE + RAILWAY + LIGHTHOUSE,
    "unicode": "Zoë's café « Gare de l'Est » opened in 東京 in 1998 👩‍🚀; her brother İlker O'Neill-Łukasik runs the "
    "cafe\u0301 in Zürich, which שלום sells 1,200 coffees (at €3.50) a week.",
}

QUESTIONS = [
    ("Who built the lighthouse?", "lighthouse"),
    ("What did the town give to the keeper?", "lighthouse"),
    ("When did the museum open?", "museum"),
    ("Who led the team that removed the rats?", "birds"),
    ("Who runs the café in Zürich?", "unicode"),
]

LONG_QUESTIONS = [
    ("How many wagons did the engine pull?", "long"),
    ("When was electric light brought to the tower?", "twice"),
]

UNANSWERABLE = [
    ("What is the capital of Australia?", "museum"),
    ("Who won the football match?", "long"),
]


def text_classification(trained: Path, small: Path) -> list[Case]:
    """Every function and number of labels, on texts and pairs. An output is always a list of labels, best first."""
    cases: list[Case] = []

    def add(folder: Path, inputs: list[Any], *parameter_sets: dict[str, Any]) -> None:
        run = _pipeline("text-classification", folder, "sequence")
        for item in inputs:
            for parameters in parameter_sets:
                # Without top_k, the pipeline returns its label outside of a list.
                output = run([item], **parameters)[0]
                labels = output if isinstance(output, list) else [output]
                cases.append(_case(folder, {"inputs": item}, parameters, labels))

    every_label = {"top_k": None}
    every_function = [
        {"function_to_apply": function, "top_k": top_k}
        for function in ["softmax", "sigmoid", "none"]
        for top_k in [1, 2, None]
    ]
    pairs = [{"text": text, "text_pair": text_pair} for text, text_pair in PAIRS]
    sentiment = trained / "electra-mini-sentiment"
    add(sentiment, SENTIMENT_TEXTS, {}, every_label)
    add(sentiment, SENTIMENT_TEXTS[2:3], *every_function)
    labels = small / "sequence-three-labels"
    add(labels, UNICODE_TEXTS[4:6] + pairs[:1], {}, {"top_k": 5}, *every_function)
    add(labels, [LIGHTHOUSE], {"truncation": True, **every_label})
    add(small / "sequence-cross-encoder", pairs, {}, every_label, {"function_to_apply": "none"})
    texts = UNICODE_TEXTS[4:7]
    add(small / "sequence-multi-label", texts, {}, every_label, {"function_to_apply": "softmax", "top_k": 2})
    add(small / "sequence-regression", texts, {}, every_label, {"function_to_apply": "sigmoid", **every_label})
    return cases


def token_classification(trained: Path, small: Path) -> list[Case]:
    """Every aggregation strategy, ignored labels, and windows over a long text (`stride`)."""
    cases: list[Case] = []

    def add(folder: Path, inputs: list[str], *parameter_sets: dict[str, Any]) -> None:
        run = _pipeline("token-classification", folder, "token")
        for text in inputs:
            for parameters in parameter_sets:
                cases.append(_case(folder, {"inputs": text}, parameters, run(text, **parameters)))

    strategies = [{"aggregation_strategy": strategy} for strategy in AGGREGATIONS]
    keep_all = {"aggregation_strategy": "simple", "ignore_labels": []}
    chunker = trained / "electra-mini-chunker"
    add(chunker, CHUNK_TEXTS[1:6] + CHUNK_TEXTS[7:], *strategies)
    add(chunker, CHUNK_TEXTS[:1], {}, keep_all, {"aggregation_strategy": "first", "ignore_labels": ["NP", "O"]})
    add(small / "token-bio", UNICODE_TEXTS[4:8], *strategies)
    add(small / "token-bio", UNICODE_TEXTS[8:], *strategies[:2], keep_all)
    add(small / "token-bio", [LIGHTHOUSE[:250]], {"aggregation_strategy": "average", "stride": 16})
    add(small / "token-cased", UNICODE_TEXTS[4:6], *strategies)
    return cases


def question_answering(trained: Path, small: Path) -> list[Case]:
    """One and several answers, no answer, several windows, with and without alignment to words. Outputs are as the
    pipeline returns them: a dict for exactly one answer, otherwise a list."""
    cases: list[Case] = []

    def add(folder: Path, questions: list[tuple[str, str]], *parameter_sets: dict[str, Any]) -> None:
        run = _pipeline("question-answering", folder, "qa")
        for question, context in questions:
            for parameters in parameter_sets:
                output = run(question=question, context=CONTEXTS[context], **parameters)
                cases.append(_case(folder, {"question": question, "context": context}, parameters, output))

    top_3 = {"top_k": 3}
    may_be_none = {"handle_impossible_answer": True}
    narrow = {"max_seq_len": 96, "doc_stride": 32}
    answerer = trained / "electra-mini-qa"
    add(answerer, QUESTIONS, {}, top_3)
    add(answerer, QUESTIONS[-1:], {**top_3, "align_to_words": False}, {"max_answer_len": 2, "top_k": 3})
    add(answerer, LONG_QUESTIONS, {}, top_3, narrow, {**narrow, **top_3}, {**narrow, **top_3, **may_be_none})
    add(answerer, UNANSWERABLE, {}, may_be_none, {**top_3, **may_be_none})
    add(small / "qa-projected", QUESTIONS, {}, {**top_3, **may_be_none})
    add(small / "qa-projected", LONG_QUESTIONS[1:], top_3, {"doc_stride": 8, "top_k": 3})
    add(small / "qa-plain", QUESTIONS[-1:], {}, top_3, {**top_3, "align_to_words": False})
    return cases


def _pipeline(task: str, folder: Path, head: str) -> Any:
    model, tokenizer = logits.load(folder, head)
    return pipeline(task, model=model, tokenizer=tokenizer, device="cpu")


def _case(folder: Path, given: dict[str, Any], parameters: dict[str, Any], output: Any) -> Case:
    return {"checkpoint": folder.name, **given, "parameters": parameters, "output": output}
