"""Parameters that older clients send, or that pipelines pass on to the tokenizer: answers of the small checkpoints'
pipelines, in the pipelines' own shape."""

from pathlib import Path
from typing import Any

from .pipelines import LIGHTHOUSE, _pipeline
from .texts import MUSEUM, PAIRS, UNICODE_TEXTS

Case = dict[str, Any]

TEXT = UNICODE_TEXTS[5]
OTHER = UNICODE_TEXTS[6]
PAIR = {"text": PAIRS[0][0], "text_pair": PAIRS[0][1]}
LONG = " ".join(LIGHTHOUSE.split()[:40])


def cases(small: Path) -> list[Case]:
    """The cases of all pipelines."""
    return [*text_classification(small), *token_classification(small), *question_answering(small)]


def text_classification(small: Path) -> list[Case]:
    """`return_all_scores`, whose answers have different shapes, and the tokenizer's parameters."""
    found: list[Case] = []
    for name in ["sequence-three-labels", "sequence-multi-label", "sequence-cross-encoder"]:
        run = _pipeline("text-classification", small / name, "sequence")
        for inputs in [TEXT, [TEXT], [TEXT, OTHER], PAIR, [PAIR, TEXT]]:
            for parameters in [
                {"return_all_scores": True},
                {"return_all_scores": False},
                {"return_all_scores": True, "function_to_apply": "none"},
            ]:
                found.append(_case(name, inputs, parameters, run(inputs, **parameters)))

        # For a list, and for all labels, the pipeline's answer has the server's shape.
        def add(inputs: Any, parameters: Case) -> None:
            output = run([inputs], top_k=None, **parameters)
            found.append(_case(name, inputs, parameters, output))

        add(TEXT, {"max_length": 8})
        add(TEXT, {"max_length": 8, "truncation": True})
        add(TEXT, {"max_length": 8, "truncation": False})
        add(TEXT, {"max_length": 8, "padding": True})
        add(TEXT, {"max_length": 8, "padding": "do_not_pad"})
        add(TEXT, {"max_length": 24, "padding": "max_length", "truncation": True})
        add(TEXT, {"padding": "longest", "pad_to_multiple_of": 8})
        add(LONG * 3, {"truncation": "longest_first"})
        for strategy in ["only_first", "only_second", "longest_first", "do_not_truncate"]:
            add(PAIR, {"max_length": 20, "truncation": strategy})
        add({"text": LONG * 3, "text_pair": "a"}, {"truncation": "only_first"})
        add(TEXT, {"max_length": 3, "truncation": "only_first"})
        add(TEXT, {"batch_size": 4, "num_workers": 1})
        for function in ["sigmoid", "SOFTMAX", "None"]:
            add(TEXT, {"function_to_apply": function})
        found.append(_case(name, TEXT, {"return_all_scores": True, "top_k": 2}, [run([TEXT], top_k=2)[0]]))
    return found


def token_classification(small: Path) -> list[Case]:
    """The older names of strategies, and texts that are already split into words."""
    found: list[Case] = []
    for name in ["token-bio", "token-cased"]:
        run = _pipeline("token-classification", small / name, "token")

        def add(inputs: Any, parameters: Case) -> None:
            found.append(_case(name, inputs, parameters, run(inputs, **parameters)))

        for grouped in [True, False, None]:
            for ignored in [True, False, None]:
                for strategy in [None, "max"]:
                    parameters = {
                        "grouped_entities": grouped,
                        "ignore_subwords": ignored,
                        "aggregation_strategy": strategy,
                    }
                    add(TEXT, {key: value for key, value in parameters.items() if value is not None})
        add(LONG, {"grouped_entities": True, "ignore_subwords": True, "stride": 8})
        words = ["Anna's", "café", "in", "New York", "", "naïve", "cafe\u0301", "ÜBER-Straße?!", "👩‍🚀", "東京都", "[SEP]"]
        for strategy in ["none", "simple", "first", "average", "max"]:
            parameters = {"is_split_into_words": True, "aggregation_strategy": strategy}
            add(words, parameters)
            add([words[:4], OTHER.split(), ["unbelievable"]], parameters)
            add(words, {**parameters, "delimiter": ""})
            add(words, {**parameters, "delimiter": "\u00a0— ", "ignore_labels": []})
        add(["fox"], {"is_split_into_words": True})
        add([["fox"]], {"is_split_into_words": True})
        add(TEXT, {"is_split_into_words": False, "delimiter": "-"})
        add(LONG.split(), {"is_split_into_words": True, "aggregation_strategy": "first", "stride": 8})
        add([TEXT, OTHER], {"batch_size": 2})
    return found


def question_answering(small: Path) -> list[Case]:
    """Questions and contexts in lists, and parameters without effect."""
    found: list[Case] = []
    run = _pipeline("question-answering", small / "qa-plain", "qa")

    def add(question: Any, context: Any, parameters: Case) -> None:
        inputs = {"question": question, "context": context}
        found.append(_case("qa-plain", inputs, parameters, run(**inputs, **parameters)))

    one, other = "Who built the lighthouse?", "When did the museum open?"
    add([one, other], LIGHTHOUSE, {})
    add([one, other], [LIGHTHOUSE, MUSEUM], {"top_k": 2})
    add([one], LIGHTHOUSE, {})
    add([one], [LIGHTHOUSE], {"top_k": 2})
    for parameters in [
        {"padding": "max_length"},
        {"padding": True},
        {"padding": False},
        {"truncation": True},
        {"max_length": 20},
        {"batch_size": 2, "num_workers": 0},
    ]:
        add(one, LIGHTHOUSE, parameters)
    return found


def _case(checkpoint: str, inputs: Any, parameters: Case, output: Any) -> Case:
    return {"checkpoint": checkpoint, "inputs": inputs, "parameters": parameters, "output": output}
