"""Many requests to the small checkpoints' pipelines: random texts, with every parameter."""

import random
from pathlib import Path
from typing import Any

from .pipelines import AGGREGATIONS, _pipeline
from .texts import BIRDS, LIGHTHOUSE, MUSEUM, RAILWAY, UNICODE_TEXTS

Case = dict[str, Any]

PROSE = [words for text in (LIGHTHOUSE, MUSEUM, BIRDS, RAILWAY) for words in text.split()]
# Words that move offsets or word boundaries: accents in both forms, joined emoji, scripts without spaces or from right
# to left. Also dropped characters, contractions that decoding joins, and special tokens in the text.
HARD = [
    *(part for text in UNICODE_TEXTS for part in text.split()),
    *"cafe\u0301 naïve ÅNGSTRÖM Straße İstanbul ﬁne x\u0308\u0323y 👩‍🚀 🇯🇵 ❤️‍🔥 東京都 中 ﾊﾝ 한국어 שלום مرحبا नमस्ते ไทย".split(),
    *"don't can 't do not I 'm they 've ' s U.S.A. (e.g.) 3.14 $5 -- … « » #tag @you a/b C++".split(),
    *"[SEP] [MASK] [UNK] [CLS] \u200b \u00ad \ufeff \u202eabc\u202c".split(" "),
]


def text(chance: random.Random, words: int) -> str:
    """A text of `words` words, a quarter of them hard, with unusual white space between some."""
    parts = []
    for _ in range(words):
        parts.append(chance.choice(HARD if chance.random() < 0.25 else PROSE))
        parts.append(chance.choice([" "] * 12 + ["  ", "\n", "\t", "", "\u00a0"]))
    return "".join(parts)


def text_classification(small: Path) -> list[Case]:
    """Texts, pairs and lists of both; every function; long texts truncated."""
    chance = random.Random(1)
    cases: list[Case] = []

    def pair() -> dict[str, str]:
        return {"text": text(chance, chance.randrange(12)), "text_pair": text(chance, chance.randrange(12))}

    for name in ["sequence-three-labels", "sequence-cross-encoder", "sequence-multi-label", "sequence-regression"]:
        run = _pipeline("text-classification", small / name, "sequence")
        for index in range(32):
            kind = index % 4
            inputs = {
                0: lambda: text(chance, chance.randrange(25)),
                1: pair,
                2: lambda: [text(chance, chance.randrange(9)) for _ in range(2)] + [pair()],
                3: lambda: {"text": text(chance, 50), "text_pair": text(chance, 5 + index * 2)},
            }[kind]()
            parameters: Case = {}
            if chance.random() < 0.7:
                function = chance.choice(["softmax", "sigmoid", "none"])
                parameters["function_to_apply"] = chance.choice([function, function.upper()])
            if chance.random() < 0.5:
                parameters["top_k"] = chance.choice([1, 2, 5, None])
            if kind == 3:
                parameters["truncation"] = True
            # The server returns all labels by default, the pipeline one.
            asked = {"top_k": None, **parameters}
            items = inputs if isinstance(inputs, list) else [inputs]
            cases.append(_case(name, inputs, parameters, [run([item], **asked)[0] for item in items]))
    return cases


def token_classification(small: Path) -> list[Case]:
    """Every strategy, ignored labels, strides over short and long texts, and long texts without a stride, of which
    the pipeline drops the tokens beyond the model's last position."""
    chance = random.Random(2)
    cases: list[Case] = []
    for name, ignored in [("token-bio", ["O", "PER"]), ("token-cased", [])]:
        run = _pipeline("token-classification", small / name, "token")
        labels = list(run.model.config.id2label.values())

        def add(inputs: Any, parameters: Case) -> None:
            case = _case(name, inputs, parameters, run(inputs, **parameters))
            longest = run.tokenizer.model_max_length
            is_long = isinstance(inputs, str) and len(run.tokenizer(inputs).input_ids) > longest
            # The output then covers only the beginning of the text.
            cases.append(case | {"cut": True} if is_long and "stride" not in parameters else case)

        for index in range(50):
            strategy = AGGREGATIONS[index % 5]
            parameters: Case = {"aggregation_strategy": chance.choice([strategy, strategy.upper()])}
            if chance.random() < 0.3:
                parameters["ignore_labels"] = chance.choice([[], ignored, labels[:2]])
            add(text(chance, chance.randrange(9)), parameters)
        for strategy in AGGREGATIONS[1:]:
            for words in [5, 30, 45]:
                parameters = {"aggregation_strategy": strategy, "stride": chance.choice([0, 1, 8, 30])}
                add(text(chance, words), parameters)
        add(text(chance, 30), {"stride": 5})
        add([text(chance, 4), "", text(chance, 6)], {})
        for strategy in AGGREGATIONS:
            add(text(chance, 36), {"aggregation_strategy": strategy})
    return cases


def question_answering(small: Path) -> list[Case]:
    """Short and long contexts, answers of white space, every parameter alone and together."""
    chance = random.Random(3)
    cases: list[Case] = []
    for name in ["qa-projected", "qa-plain"]:
        run = _pipeline("question-answering", small / name, "qa")
        for index in range(75):
            question = text(chance, chance.randrange(1, 7)) or "who"
            context = text(chance, [chance.randrange(1, 6), chance.randrange(8, 20), chance.randrange(40, 60)][index % 3])
            parameters: Case = {}
            for parameter, values in {
                "top_k": [1, 2, 3, 7],
                "doc_stride": [0, 4, 12],
                "max_answer_len": [1, 4, 40],
                "max_seq_len": [45, 64],
                "max_question_len": [2],
                "handle_impossible_answer": [True, False],
                "align_to_words": [False, True],
            }.items():
                if chance.random() < 0.35:
                    parameters[parameter] = chance.choice(values)
            # If a question leaves less room than windows share, the pipeline fails.
            longest = parameters.get("max_seq_len", run.tokenizer.model_max_length)
            stride = parameters.get("doc_stride", longest // 2)
            if len(run.tokenizer(question).input_ids) + 1 >= longest - stride or not context:
                continue
            inputs = {"question": question, "context": context}
            output = run(inputs, **parameters)
            # One more answer shows how close the next is. The order of equal answers is undefined, as is the choice of
            # spans with probability 0 that fill up a list.
            more = run(inputs, **parameters | {"top_k": parameters.get("top_k", 1) + 1})
            scores = [answer["score"] for answer in (more if isinstance(more, list) else [more])]
            if scores[-1] and all(first - second > 1e-4 * first for first, second in zip(scores, scores[1:])):
                cases.append(_case(name, inputs, parameters, output))
    return cases


def _case(checkpoint: str, inputs: Any, parameters: Case, output: Any) -> Case:
    return {"checkpoint": checkpoint, "inputs": inputs, "parameters": parameters, "output": output}
