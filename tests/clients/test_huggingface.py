"""huggingface_hub.InferenceClient gets the answers of transformers' pipelines (tests/golden/pipelines)."""

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

GOLDEN = Path(__file__).parents[1] / "golden" / "pipelines" / "requests"
TOLERANCE = 1e-4

Case = dict[str, Any]


def cases(task: str) -> list[Case]:
    """The requests of a golden file with a single input, which are those that the client has a method for."""
    every = json.loads((GOLDEN / f"{task}.json").read_text(encoding="utf-8"))["cases"]
    return [case for case in every if not isinstance(case["inputs"], list)]


def client(http_url: str, model: str) -> InferenceClient:
    # The client requests health and info only with this provider.
    return InferenceClient(model=f"{http_url}/models/{model}", provider="hf-inference")


def plain(element: Any) -> Case:
    """An element of an answer, without its empty fields."""
    return {name: value for name, value in vars(element).items() if value is not None}


def assert_same(found: list[Any], wanted: list[Case]) -> None:
    assert len(found) == len(wanted)
    for element, case in zip(found, wanted):
        element = plain(element)
        assert element == case | {"score": pytest.approx(case["score"], abs=TOLERANCE)}


def test_text_classification(http_url: str) -> None:
    compared = 0
    for case in cases("text-classification"):
        parameters = case["parameters"]
        # The client sends single texts only, has no truncation, and writes functions in lower case.
        if isinstance(case["inputs"], str) and "truncation" not in parameters:
            function = parameters.get("function_to_apply")
            found = client(http_url, case["checkpoint"]).text_classification(
                case["inputs"],
                top_k=parameters.get("top_k"),
                function_to_apply=function and function.lower(),
            )
            assert_same(found, case["output"][0])
            compared += 1
    assert compared > 20


def test_token_classification(http_url: str) -> None:
    compared = 0
    for case in cases("token-classification"):
        parameters = case["parameters"]
        # The server also tags the rest, which the pipeline truncates.
        if "cut" not in case:
            strategy = parameters.get("aggregation_strategy")
            found = client(http_url, case["checkpoint"]).token_classification(
                case["inputs"],
                aggregation_strategy=strategy and strategy.lower(),
                ignore_labels=parameters.get("ignore_labels"),
                stride=parameters.get("stride"),
            )
            # The client has no field for a token's index.
            wanted = [{name: entity[name] for name in entity if name != "index"} for entity in case["output"]]
            for element in found:
                vars(element).pop("index", None)
            assert_same(found, wanted)
            compared += 1
    assert compared > 100


def test_question_answering(http_url: str) -> None:
    compared = 0
    for case in cases("question-answering"):
        found = client(http_url, case["checkpoint"]).question_answering(
            question=case["inputs"]["question"], context=case["inputs"]["context"], **case["parameters"]
        )
        output = case["output"]
        assert_same(
            found if isinstance(found, list) else [found],
            output if isinstance(output, list) else [output],
        )
        compared += 1
    assert compared > 100


def test_health_and_info(http_url: str) -> None:
    asked = client(http_url, "token-bio")
    assert asked.health_check()
    info = asked.get_endpoint_info()
    assert info["model_id"] == "token-bio"
    assert info["task"] == "token-classification"
    assert not client(http_url, "none").health_check()


def test_a_refusal_shows_the_reason(http_url: str) -> None:
    with pytest.raises(HfHubHTTPError, match="is empty"):
        client(http_url, "qa-plain").question_answering(question="", context="the fox")
