"""The usual tutorial: a transformers pipeline behind FastAPI, which runs each request on a thread of its pool."""

import argparse

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline


class Request(BaseModel):
    text: str


def make_app(checkpoint: str) -> FastAPI:
    classify_text = pipeline("text-classification", model=checkpoint, device="cpu", top_k=None)
    app = FastAPI()

    @app.get("/health")
    def health() -> dict:
        return {}

    @app.post("/classify")
    def classify(request: Request) -> dict:
        [labels] = classify_text([request.text])
        return {"labels": labels}

    return app


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--checkpoint", required=True)
    arguments.add_argument("--threads", type=int, required=True)
    arguments.add_argument("--port", type=int, required=True)
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    uvicorn.run(make_app(options.checkpoint), host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
