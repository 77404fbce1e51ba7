"""The small WordPiece vocabularies, and their tokenizer files."""

import json
from dataclasses import dataclass
from pathlib import Path

from transformers import ElectraTokenizerFast, PreTrainedTokenizerFast

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@dataclass(frozen=True)
class Vocabulary:
    """WordPieces in the order of their ids, and whether text is lower-cased before they are looked up."""

    name: str
    tokens: list[str]
    lower_case: bool


def _with_continuations(pieces: str) -> list[str]:
    return [*pieces, *(f"##{piece}" for piece in pieces)]


def _cased() -> Vocabulary:
    """35 tokens with KoELECTRA's special ids, [CLS]=2 and [SEP]=3. Accents are kept, so the two spellings of é differ."""
    words = ["The", "the", "fox", "Fox", "é", "한국", "##어", ".", ",", "?", "東"]
    letters = ["a", "e", "o", "t", "T", "n", "s", "r", "i", "d"]
    continuations = [f"##{piece}" for piece in ["a", "e", "o", "t", "n", "s", "r", "i", "é"]]
    vocabulary = Vocabulary("cased", SPECIAL_TOKENS + words + letters + continuations, lower_case=False)
    assert len(vocabulary.tokens) == 35
    return vocabulary


def _uncased() -> Vocabulary:
    """A few hundred pieces in many scripts; special tokens are neither first nor in the usual order.

    Lower-casing also decomposes characters and removes combining marks: kana lose their voicing marks, and Hangul
    syllables become the conjoining jamo below.
    """
    special = ["[PAD]", "[unused0]", "[unused1]", "[SEP]", "[CLS]", "[MASK]", "[unused2]", "[UNK]"]
    words = (
        "the a an of and to in is it was on at by for with from not he she they we you i this that over under fox dog "
        "cat quick brown lazy jump red house river city name who what where when how many time day year good bad "
        "film music book new old one two three paris london tokyo anna john france cafe naive uber strasse"
    ).split()
    suffixes = ["##s", "##ed", "##ing", "##er", "##ly", "##ness", "##tion", "##able", "##ville", "##un"]
    punctuation = [*"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", *"…–—“”‘’«»¿¡€£©°·。、「」！？"]
    pieces = [
        *_with_continuations("abcdefghijklmnopqrstuvwxyz0123456789"),
        *_with_continuations("ßøłıœæ"),
        *"東京日本中国人大学的我是不在今天",
        *_with_continuations("あかきくけしてのはひほんアイカコテハホリン"),
        *_with_continuations("ᄀᄂᄃᄅᄆᄉᄋᄌᄒ"),
        *(f"##{jamo}" for jamo in "ᅡᅥᅦᅧᅩᅭᅮᅳᅵᆨᆫᆯᆷᆼ"),
        *_with_continuations("аеиноприствмк"),
        *_with_continuations("αειλνορσς"),
        *_with_continuations("אבהלםמעשו"),
        *_with_continuations("ابرسلمحعو"),
        *_with_continuations("नमसतदहकर"),
        *_with_continuations("กาสวดร"),
        *["😀", "👨", "👩", "👧", "❤", "🇫", "##🇷", "##👩", "##👧", "##👦"],
    ]
    tokens = dict.fromkeys([*special, *words, *suffixes, *punctuation, *pieces])
    return Vocabulary("uncased", list(tokens), lower_case=True)


CASED = _cased()
UNCASED = _uncased()


def padded_uncased(size: int) -> Vocabulary:
    """The uncased vocabulary, extended to `size` by unused tokens in its middle, so that low and high ids occur."""
    half = len(UNCASED.tokens) // 2
    fillers = [f"[filler{index}]" for index in range(size - len(UNCASED.tokens))]
    tokens = [*UNCASED.tokens[:half], *fillers, *UNCASED.tokens[half:]]
    return Vocabulary(f"uncased-{size}", tokens, lower_case=True)


def _fast_tokenizer(vocabulary: Vocabulary, folder: Path, max_tokens: int) -> PreTrainedTokenizerFast:
    vocab_file = folder / "vocab.txt"
    vocab_file.write_text("".join(f"{token}\n" for token in vocabulary.tokens), encoding="utf-8")
    return ElectraTokenizerFast(
        str(vocab_file), do_lower_case=vocabulary.lower_case, model_max_length=max_tokens
    )


def write_vocab_files(vocabulary: Vocabulary, folder: Path, max_tokens: int) -> None:
    """Write vocab.txt and a bare tokenizer_config.json, and no tokenizer.json: the layout of KoELECTRA."""
    _fast_tokenizer(vocabulary, folder, max_tokens)
    settings = {"do_lower_case": vocabulary.lower_case, "model_max_length": max_tokens}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def write_tokenizer_json(
    vocabulary: Vocabulary, folder: Path, max_tokens: int, own_limits: bool = False
) -> None:
    """Write tokenizer.json with its configuration.

    `own_limits` adds truncation at 12 tokens and padding to 20, as in some published files. A server has to switch both
    off.
    """
    tokenizer = _fast_tokenizer(vocabulary, folder, max_tokens)
    tokenizer.save_pretrained(folder)
    backend = tokenizer.backend_tokenizer
    if own_limits:
        backend.enable_truncation(max_length=12)
        backend.enable_padding(length=20, pad_id=tokenizer.pad_token_id, pad_token=tokenizer.pad_token)
    (folder / "tokenizer.json").write_text(backend.to_str(pretty=False) + "\n", encoding="utf-8")
    (folder / "vocab.txt").unlink()
