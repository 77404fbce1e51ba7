#!/usr/bin/env python3
"""Write random checkpoints of ELECTRA's true sizes with the logits of transformers, for a check by hand.

    python full_size_parity.py DIR --sizes small,base,large [--heads discriminator,qa]

DIR gets the same layout as this folder: checkpoints/SIZE-HEAD/ and logits/SIZE-HEAD.json. A checkpoint takes about
54 MB (small), 440 MB (base) or 1.34 GB (large); none of them belongs into the repository.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

from maker import logits
from maker.checkpoints import HEADS, Checkpoint, Shape, write_checkpoint
from maker.output import write_golden
from maker.texts import BIRDS, LIGHTHOUSE, PAIRS, UNICODE_TEXTS
from maker.vocabulary import padded_uncased

VOCABULARY_SIZE = 30522
MAX_TOKENS = 512

SIZES = {
    "small": Shape(embedding=128, hidden=256, layers=12, heads=4, feed_forward=1024, max_tokens=MAX_TOKENS),
    "base": Shape(embedding=768, hidden=768, layers=12, heads=12, feed_forward=3072, max_tokens=MAX_TOKENS),
    "large": Shape(embedding=1024, hidden=1024, layers=24, heads=16, feed_forward=4096, max_tokens=MAX_TOKENS),
}

LABELS = {
    "discriminator": [],
    "sequence": ["negative", "neutral", "positive"],
    "token": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"],
    "qa": [],
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("directory", type=Path, metavar="DIR", help="where to write")
    arguments.add_argument("--sizes", type=_names_of(SIZES), default=["small", "base"], help="default: small,base")
    arguments.add_argument("--heads", type=_names_of(HEADS), default=list(HEADS), help="default: all four")
    options = arguments.parse_args()

    for size in options.sizes:
        for head in options.heads:
            write(options.directory, size, head)


def write(directory: Path, size: str, head: str) -> None:
    """One checkpoint and its logits: short and long texts, a pair, and a text that fills every position."""
    checkpoint = Checkpoint(
        name=f"{size}-{head}",
        head=head,
        shape=SIZES[size],
        covers=f"ELECTRA {size}",
        seed=1,
        vocabulary=padded_uncased(VOCABULARY_SIZE),
        labels=LABELS[head],
    )
    folder = directory / "checkpoints" / checkpoint.name
    write_checkpoint(checkpoint, folder)
    model, tokenizer = logits.load(folder, head)
    inputs = [
        (UNICODE_TEXTS[0], None),
        *((text, None) for text in UNICODE_TEXTS[4:7]),
        PAIRS[0],
        (PAIRS[0][0], BIRDS[:300]),
        (LIGHTHOUSE[:200], None),
        (logits.text_of_length(tokenizer, MAX_TOKENS), None),
    ]
    cases = [logits.case(head, model, tokenizer, text, text_pair) for text, text_pair in inputs]
    write_golden(directory / "logits" / f"{checkpoint.name}.json", {"checkpoint": checkpoint.name}, cases)
    print(f"{folder}: {len(cases)} cases of {min(map(tokens, cases))} to {max(map(tokens, cases))} tokens")


def tokens(case: dict) -> int:
    return len(case["input_ids"])


def _names_of(known: dict):
    def parse(argument: str) -> list[str]:
        names = argument.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(known)}")
        return names

    return parse


if __name__ == "__main__":
    main()
