"""ONNX Runtime behind FastAPI: batches that wait a little for company and are padded to their longest text.

With --batch 1 texts run alone, as soon as one of the --sessions is free; the threads are shared out among these.
"""

import argparse
import asyncio
import contextlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

import padded

LONGEST_WAIT = 0.005  # seconds

Scores = dict[str, float]
Run = Callable[[list[str]], list[Scores]]


class Request(BaseModel):
    text: str


class Batcher:
    """Collects texts, up to a number or for LONGEST_WAIT after the first, and runs them together on a thread."""

    def __init__(self, most_texts: int) -> None:
        self._most_texts = most_texts
        self._waiting: asyncio.Queue[tuple[str, asyncio.Future]] = asyncio.Queue()

    async def scores(self, text: str) -> Scores:
        answer = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((text, answer))
        return await answer

    async def work(self, run: Run) -> None:
        """Run batch after batch; several may work at the same time."""
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(max_workers=1)
        while True:
            batch = await self._collect()
            texts = [text for text, _ in batch]
            try:
                results = await loop.run_in_executor(thread, run, texts)
            except Exception as error:  # whatever it is, those who wait are told, and the next batch is run
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for (_, answer), result in zip(batch, results, strict=True):
                if not answer.done():
                    answer.set_result(result)

    async def _collect(self) -> list[tuple[str, asyncio.Future]]:
        batch = [await self._waiting.get()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_WAIT):
                while len(batch) < self._most_texts:
                    batch.append(await self._waiting.get())
        return batch


def make_run(graph: Path, checkpoint: Path, threads: int) -> Run:
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    session = padded.open_session(graph, threads)
    tokenizer = padded.open_tokenizer(graph.parent / "tokenizer.json", config["pad_token_id"])

    def run(texts: list[str]) -> list[Scores]:
        [logits] = session.run(None, padded.feeds(session, tokenizer.encode_batch(texts)))
        return padded.label_scores(logits, config["id2label"])

    return run


def make_app(runs: list[Run], most_texts: int) -> FastAPI:
    batcher = Batcher(most_texts)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI):
        tasks = [asyncio.create_task(batcher.work(run)) for run in runs]
        yield
        for task in tasks:
            task.cancel()

    app = FastAPI(lifespan=lifespan)

    @app.get("/health")
    async def health() -> dict:
        return {}

    @app.post("/classify")
    async def classify(request: Request) -> dict:
        scores = await batcher.scores(request.text)
        return {"labels": [{"label": label, "score": score} for label, score in scores.items()]}

    return app


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--graph", type=Path, required=True)
    arguments.add_argument("--checkpoint", type=Path, required=True)
    arguments.add_argument("--batch", type=int, required=True)
    arguments.add_argument("--sessions", type=int, required=True)
    arguments.add_argument("--threads", type=int, required=True)
    arguments.add_argument("--port", type=int, required=True)
    options = arguments.parse_args()
    threads = options.threads // options.sessions
    runs = [make_run(options.graph, options.checkpoint, threads) for _ in range(options.sessions)]
    uvicorn.run(make_app(runs, options.batch), host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
