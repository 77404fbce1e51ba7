"""The requests that cases send."""

import random
from typing import Any

from client import post

MOST_INPUTS = 256
LONGEST_TEXT_BYTES = 128 << 10
LONGEST_WORD = 99  # letters; longer ones are one unknown token

WORDS = (
    "the film was a warm and funny story about two people who lose their way in a small town near the sea "
    "and find that nothing they knew before is of any use to them now"
).split()


def text(size: int, seed: int = 0) -> str:
    """Words of about so many bytes, never more."""
    chance = random.Random(seed)
    words: list[str] = []
    while size > 0:
        words.append(chance.choice(WORDS))
        size -= len(words[-1]) + 1
    return " ".join(words[:-1] or words)


def gibberish(size: int, seed: int = 0) -> str:
    """Words that are in no vocabulary, so that each costs the tokenizer time and becomes several tokens."""
    chance = random.Random(seed)
    letters = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=size))
    words = []
    while letters:
        length = chance.randint(2, 9)
        words.append(letters[:length])
        letters = letters[length + 1 :]
    return " ".join(words)


def short(**headers: Any) -> list[bytes]:
    """Short texts for /classify, of some twenty words."""
    return [post("/classify", {"text": text(100, seed)}, **headers) for seed in range(16)]


def mixed() -> list[bytes]:
    """All four tasks; the longest request is some ten times as long as the shortest."""
    requests = []
    for seed in range(8):
        requests.append(post("/classify", {"text": text(100, seed)}))
        requests.append(post("/tag", {"text": text(300, seed)}))
        requests.append(post("/discriminate", {"text": text(500, seed), "level": "word"}))
        requests.append(post("/qa", {"question": "Where do they lose their way?", "context": text(1000, seed)}))
    return requests


def admitted(**headers: Any) -> bytes:
    """A large body that a core can answer within a minute, also beside eight others."""
    return post("/discriminate", {"text": [gibberish(8000, seed) for seed in range(12)]}, **headers)


def largest(**headers: Any) -> bytes:
    """As long a body as is allowed: 250 texts of 8 kB, some 1.5 million tokens."""
    return post("/discriminate", {"text": [gibberish(8000, seed) for seed in range(250)]}, **headers)


def single(size: int, **headers: Any) -> bytes:
    """One long text for /discriminate."""
    return post("/discriminate", {"text": gibberish(size)}, **headers)


def long_words() -> list[bytes]:
    """8 kB of words that are in no vocabulary, as long as a tokenizer still takes apart."""
    requests = []
    for seed in range(8):
        chance = random.Random(seed)
        words = ["".join(chance.choices("bcdfghjklmnpqrstvwxz", k=LONGEST_WORD)) for _ in range(80)]
        requests.append(post("/classify", {"text": " ".join(words)}))
    return requests


def filled_up() -> bytes:
    """9 kB whose answer in the Open Inference Protocol has 255 rows that are filled up to the length of one: 17 MB."""
    rows = ["a"] * 255 + ["a " * 3900]
    tensor = {"name": "text", "datatype": "BYTES", "shape": [len(rows)], "data": rows}
    return post("/v2/models/electra-mini-discriminator/infer", {"inputs": [tensor]})
