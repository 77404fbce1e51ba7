"""Ids, tokens and offsets of hard strings, as returned by transformers' fast tokenizers."""

import json
import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from transformers import AutoTokenizer, ElectraTokenizerFast

HARD_STRINGS = [
    # Empty texts, and texts that normalization makes empty.
    "",
    " ",
    "\t\r\n\u00a0\u3000\u2003",
    "\u200b\u200c\u200d\u2060\ufeff",
    "\u0000\u0001\u001f\u007f\u0085",
    "\ufffd",
    "\u0301",
    # Spaces of every kind around and inside words.
    "  the  fox  ",
    "the\u00a0fox\u3000the\u2009fox",
    "the\nfox\r\nthe\tfox\u2028the\u2029fox",
    "th\u200be f\u00adox",
    "the\u0000fox \u0007the",
    # Case, accents and letters whose lower case has another length.
    "The FOX the Fox tHe fOx",
    "é e\u0301 É E\u0301 e\u0301\u0302\u0323",
    "café cafe\u0301 naïve Ångström A\u030angstro\u0308m",
    "İstanbul ısı Iğdır \u0130\u0130",
    "Straße STRASSE ẞ ß",
    "ﬁne ﬂow ﬀ ﬃ Ǆ ǅ ǆ Ĳ ŉ",
    "Œuvre Æsir Łódź Øre Đặng",
    "ΣΟΦΙΑΣ Σίσυφος ς ά ᾳ ῼ",
    "z\u0335\u0351a\u0334\u0346l\u0337\u030dg\u0336\u0301o\u0338\u0315",
    "i\u0307 J\u030c ǰ",
    # Punctuation and symbols.
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    "don't can't it's 'quoted' “quoted” «quoted» ‘q’",
    "e-mail: a.b+c@d.org, http://x.yz/?q=1&r=2#s",
    "3.14 1,000 5% €20 $5 £3 ¥7 20°C ½ ² №5 ∑≠∞ ±",
    "...---___***…—–·•¿¡",
    "C++ C# .NET a_b a-b-c (x) [y] {z} <t>",
    "©®™ ♥ ★ → ✓ ﷼",
    # East Asian scripts.
    "東京",
    "the東京fox日本。",
    "中国人、日本人「你好」！？　全角ＡＢＣ１２３",
    "カタカナ ガ カ\u3099 ﾊﾟﾋﾟ ひらがな がぎ",
    "한국어 한국 \u1112\u1161\u11ab 안녕하세요 ㅋㅋ",
    "𠀀𠀁 丽 豈 〇 々 〆",
    "\u3400\u4dbf\u9fff\uf900 \U0002b820",
    # Other scripts.
    "привет МОСКВА ёлка ЙОД й и\u0306",
    "שלום שָׁלוֹם עברית-אחת",
    "مرحبا بِالعَرَبِيَّة ١٢٣ لا ﻻ",
    "नमस्ते हिन्दी क्षत्रिय १२३",
    "สวัสดี กำลัง น้ำ",
    "தமிழ் తెలుగు ಕನ್ನಡ বাংলা ગુજરાતી",
    "ქართული ᲥᲐᲠᲗᲣᲚᲘ հայերեն ՀԱՅ",
    "ᏣᎳᎩ ꮳꮃꭹ አማርኛ ខ្មែរ ᠮᠣᠩᠭᠣᠯ",
    "Tiếng Việt: Nguyễn ngữ Đường",
    "\u202eabc\u202c \u2066the\u2069 \u200ffox\u200e",
    # Emoji, joiners, flags, skin tones, keycaps, tags.
    "😀 😀😀 the😀fox",
    "👨‍👩‍👧‍👦👩‍👩‍👧",
    "❤ ❤️ ❤️‍🔥",
    "🇫🇷🇩🇪 🏴󠁧󠁢󠁳󠁣󠁴󠁿 🏳️‍🌈",
    "👍🏽 🤷🏿‍♀️ 1️⃣ #️⃣",
    # Outside the basic plane, private use, unassigned, noncharacters.
    "𝐓𝐡𝐞 𝕗𝕠𝕩 𝒶 𝟙𝟚",
    "𐍈𐌰 𓀀 𒀀 \U000e0001 \ue000 \U0010fffd",
    "\u0378 \ufdd0 \uffff \U0001fffe",
    # Special tokens written out in the text, whole and nearly.
    "[CLS] the [SEP] fox [MASK] [PAD] [UNK]",
    "[cls] [Sep] [ SEP ] [SEP[SEP]] the[SEP]fox ##s",
    # Long words: a word may have at most 100 characters.
    "a" * 100,
    "a" * 101,
    "the " + "t" * 99 + "\u0301 " + "東" * 12,
    "a\u0301" * 60,
    "the fox " * 30,
    # Letters whose case depends on their position, has no counterpart, or is outside the basic plane.
    "ΟΔΟΣ ΣΑΣ Σ ΑΣ. ΑΣ\u0301Β ὈΔΥΣΣΕΎΣ",
    "I İ i ı I\u0307 i\u0307\u0307 IĞDIR ıI",
    "ſ K Å Ω ẞß ŒÆ Ŋŋ ƉƊ Ȿ Ɐ Ꞵ",
    "𐐀𐐨 𐓀𐓘 𞤀𞤢 𑢠𑣀 𖹀𖹠",
    "Ⅷ ⅷ Ⓐ ⓐ ⅓ ㊗ ㋿ ㍿ № ℡ ™",
    # Marks in every order, stacked, at the start, and some that compose into nothing.
    "q\u0307\u0323 q\u0323\u0307 \u1e69 s\u0323\u0307 s\u0307\u0323",
    "\u0301a \u0301\u0302\u0303 a\u034fe a\u0345 \u0344",
    "a" + "\u0301" * 120 + " the",
    "ἀ\u0313 ᾷ Ῥ ὒ ΐ ϓ ϔ",
    "Ǖ ǜ Ṩ Ấ ợ Ỹ Ȱ Ḹ ǭ Ḯ",
    "ﬁﬂﬃ ﭏ אָ ﷽ ﷺ ﻵ ﹽ",
    # Conjoining jamo in all their forms, and half-width ones.
    "각 \u1100\u1161\u11a8 \u1100\u1161 \u1100 \u1161 ㄱㅏ ﾡￂ \u115f\u1160 \u3164 \uffa0",
    "가\u11a8 \u1112\u1161\u11ab국 뷁 꽳 ퟅ ힰ ꥠ",
    # Ideographs of all blocks, their radicals and descriptions, kana with and without marks.
    "⺀ ⼀ ⿰氵每 㐀 𪜀 𫝀 𫠠 𬺰 𰀀 𱍐 﨎 丽 〸 ㇀ ㆐",
    "が か\u3099 ガ ｶﾞ ヴ ゞ ヾ ー ・ ゟ ヿ 𛀀 ㌀",
    "東京都the東京。日本、「한국」（中国）：１２３",
    "ﾊﾝｶｸ ＺＥＮＫＡＫＵ ｚｅｎｋａｋｕ ￥ ～ ！",
    # Scripts without spaces, from right to left, or with marks on every letter.
    "ທຸກ ဗမာ ខ្ញុំ བོད་ཡིག ꦗꦮ ᬅᬓ᭄ᬱᬭ",
    "مُحَمَّدٌ ﷲ آ ا\u0653 ؤ ئ ۀ پچگ ـــ ٪ ؟",
    "וּשְׁמוּ יִשְׂרָאֵל שׁ \ufb2a ״אבג״ ־",
    "क़ क\u093c ড় ਸ਼ ଡ଼ ನ್ನು క్ష്ര ක්‍ෂ",
    "น้ำ นํ้า กำ เแ ฯลฯ ๑๒๓",
    # Spaces, separators, controls and invisible characters, one at a time between letters.
    "the\u000bfox\u000cthe\u001cfox\u001dthe\u001efox\u001fthe",
    "the\u0085fox the\u1680fox the\u180efox the\u202ffox the\u205ffox",
    "the\u2007fox the\u200afox the\u2028fox the\u2060fox the\ufefffox",
    "the\u061cfox the\u2061fox the\u206afox the\ufff9fox the\ufffcfox",
    "\ufeffthe fox\ufeff",
    "the\ue000fox the\U000f0000fox the\U00100000 \ufdd0 \ufffe \U0010ffff",
    "\u001b[31mthe\u001b[0m \u0080\u009f\u007f",
    "the\ufe0efox the\U000e0100fox the\U0001d173fox",
    # Emoji with joiners and modifiers that attach to letters, nothing, or each other.
    "\u200d👩 👩\u200d 👩\u200d\u200d👧 🏽 a🏽 👩🏽\u200d🤝\u200d👩🏿",
    "🇫 🇫🇷🇩 a🇫b 🏳\ufe0f\u200d\u26a7 ☺\ufe0e☺\ufe0f",
    # Text that looks like escapes, markup or half a surrogate pair.
    "\\ud83d \\u0301 &amp; <b>the</b> %20 \\x00 \ufffd\ufffd",
    # Special tokens in other spellings, adjacent, nested, and with marks inside.
    "[MASK][MASK] [MASK]. x[MASK]y [MASK]ing [ MASK ]",
    "[SEP]\u0301 [SE\u0301P] [S\u200bEP] ［SEP］ [UNK]s [unused0] [unused1]",
    "[CLS][SEP][PAD]\t[CLS]\n",
    "##the ## # ##s## the##s ##",
    # Words of the maximum length and beyond, counted before and after normalization.
    "t" * 100 + " " + "t" * 101,
    "é" * 100 + " " + "é" * 101,
    "e\u0301" * 100 + " " + "e\u0301" * 51,
    "ß" * 101 + "。" + "ﬃ" * 100,
    "한" * 34 + " " + "한" * 33,
    "a" * 300 + "東" + "a" * 300,
    "https://example.org/" + "path/" * 40 + "?q=" + "x" * 120,
]


# Texts for each configuration: case, accents, ideographs, special tokens in several spellings, words that must not be
# split.
CONFIGURATION_TEXTS = [
    "The café CAFÉ cafe\u0301 東京 foobar Foobar A naïve",
    "the [unused0] <e1> a<e1>b  [NEW]  the [MASK]  fox [mask] [SEP]",
    "<s> the </s> <mask> zz the qq QQ qqq q.",
    "İ ß ΟΔΟΣ 한국 が\u200b ＦＯＸ\u00a0fox",
]

CONFIGURATION_VOCABULARY = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] [unused0] <e1> <s> </s> <pad> <unk> <mask> the The fox FOX cafe café CAFE CAFÉ ##s "
    "東 京 東京 foo Foo ##bar foobar A a ##a naive naïve i İ ß ss οδος ΟΔΟΣ 한국 ᄒ ##ᅡ ##ᆫ か が < > [ ] / . mask new NEW unused "
    "##0 e ##1 q ##q Q"
).split()


def _flags(content: str, **flags: bool) -> dict[str, Any]:
    return {
        "content": content, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True,
        **flags,
    }


def _configurations() -> dict[str, tuple[str, dict[str, Any]]]:
    """Configurations by name: `vocab.txt`, or a `tokenizer.json` that does not lower-case, and the files beside it."""
    size = len(CONFIGURATION_VOCABULARY)
    decoder = {
        str(size): _flags("[NEW]"),
        str(size + 1): _flags("qq", normalized=True, single_word=True, special=False),
    }
    by_file = {"[NEW]": size, "qq": size + 1}
    other_names = {
        "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>",
    }

    def config(**entries: Any) -> dict[str, Any]:
        return {"tokenizer_config.json": entries}

    either = {
        "nothing said": config(),
        "lower case": config(do_lower_case=True),
        "cased": config(do_lower_case=False),
        "cased without accents": config(do_lower_case=False, strip_accents=True),
        "cased, accents kept": config(do_lower_case=False, strip_accents=False),
        "lower case with accents": config(do_lower_case=True, strip_accents=False),
        "accents by case": config(do_lower_case=True, strip_accents=None),
        "ideographs together": config(tokenize_chinese_chars=False),
        "cased, ideographs together": config(do_lower_case=False, tokenize_chinese_chars=False),
        # The fast tokenizer ignores options of the slow one.
        "no basic tokenization": config(do_basic_tokenize=False),
        "cased, no basic tokenization": config(do_basic_tokenize=False, do_lower_case=False),
        "words never to be split": config(never_split=["foobar", "東京", "cafe\u0301", "Foobar"], do_lower_case=False),
        "another prefix": config(wordpieces_prefix="@@"),
        "a class named": config(tokenizer_class="ElectraTokenizer", do_lower_case=False),
        "BERT's class named": config(tokenizer_class="BertTokenizer"),
        "special tokens split": config(split_special_tokens=True),
        "other special tokens": config(**other_names),
        "special tokens by the map": {"special_tokens_map.json": other_names, **config()},
        "more special tokens": config(additional_special_tokens=["<e1>", "[unused0]"]),
        "more special tokens by the map": {
            "special_tokens_map.json": {"additional_special_tokens": ["<e1>", _flags("[unused0]", lstrip=True)]}, **config(),
        },
        "begin and end": config(bos_token="<s>", eos_token="</s>"),
        "a mask that takes spaces": {"special_tokens_map.json": {"mask_token": _flags("[MASK]", lstrip=True)}, **config()},
        "tokens beside the vocabulary": config(added_tokens_decoder=decoder),
        "tokens beside the vocabulary, cased": config(added_tokens_decoder=decoder, do_lower_case=False),
        "tokens beside the vocabulary, by file, cased": {"added_tokens.json": by_file, **config(do_lower_case=False)},
        "properties overruled": config(
            added_tokens_decoder={"4": _flags("[MASK]", rstrip=True, normalized=True)}, do_lower_case=False
        ),
        "512 tokens": config(model_max_length=512),
        "64 tokens, by the old name": config(max_len=64),
        "both names": config(model_max_length=32, max_len=64),
        "no limit": config(model_max_length=int(1e30)),
        "no limit, as a float": config(model_max_length=1e30),
        "null, whatever the old name says": config(model_max_length=None, max_len=64),
        "a limit as a float": config(model_max_length=512.0),
    }
    as_it_is = config(tokenizer_class="PreTrainedTokenizerFast")
    # Without tokenizer.json. With it, transformers searches for such a token in the form that tokenizer.json's
    # normalizer gives it, in a text that another normalizer has lower-cased, and does not find it.
    lower_case_by_file = {"added_tokens.json": by_file, **config()}
    return {
        "vocab.txt alone": ("vocab.txt", {}),
        "vocab.txt, tokens beside the vocabulary, by file": ("vocab.txt", lower_case_by_file),
        **{f"vocab.txt, {name}": ("vocab.txt", files) for name, files in either.items()},
        **{f"tokenizer.json, {name}": ("tokenizer.json", files) for name, files in either.items()},
        "tokenizer.json, as it is": ("tokenizer.json", as_it_is),
    }


def configuration_cases() -> list[dict[str, Any]]:
    """Ids and offsets of `CONFIGURATION_TEXTS` by configuration; `max_tokens` is None without a limit."""
    header = configuration_header()
    cases = []
    for name, (kind, files) in _configurations().items():
        with TemporaryDirectory() as folder:
            (Path(folder) / "config.json").write_text('{"model_type": "electra"}')
            (Path(folder) / kind).write_text(header[kind], encoding="utf-8")
            for file, content in files.items():
                (Path(folder) / file).write_text(json.dumps(content), encoding="utf-8")
            tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True)
        limit = tokenizer.model_max_length
        encodings = [tokenizer(text, return_offsets_mapping=True) for text in CONFIGURATION_TEXTS]
        cases.append({
            "name": name,
            "kind": kind,
            "files": files,
            "max_tokens": int(limit) if limit < 1e9 else None,
            "input_ids": [encoding["input_ids"] for encoding in encodings],
            "offsets": [encoding["offset_mapping"] for encoding in encodings],
        })
    return cases


def configuration_header() -> dict[str, Any]:
    vocabulary = "".join(f"{token}\n" for token in CONFIGURATION_VOCABULARY)
    with TemporaryDirectory() as folder:
        (Path(folder) / "vocab.txt").write_text(vocabulary, encoding="utf-8")
        fast = ElectraTokenizerFast(str(Path(folder) / "vocab.txt"), do_lower_case=False)
        definition = fast.backend_tokenizer.to_str()
    return {"texts": CONFIGURATION_TEXTS, "vocab.txt": vocabulary, "tokenizer.json": definition}


# Blocks of ideographs and syllables that are all treated alike: one in 499 of them represents the others.
UNIFORM = [
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA000, 0xA48C), (0xAC00, 0xD7A3), (0x12000, 0x123FF), (0x13000, 0x1425F),
    (0x14400, 0x14646), (0x16800, 0x16A38), (0x17000, 0x18CFF), (0x1B170, 0x1B2FB), (0x20000, 0x3FFFF), (0xE0100, 0xE01EF),
]


def code_point_cases(folders: dict[str, Path]) -> list[dict[str, Any]]:
    """For 256 code points at a time, between letters: a digest of the normalized text, the ids and the offsets."""
    tokenizers = {name: AutoTokenizer.from_pretrained(folder, use_fast=True) for name, folder in folders.items()}
    swept = [code for code in range(0x110000) if _is_swept(code)]
    return [
        {
            "ranges": _ranges(codes),
            **{name: _digest(tokenizer, "".join(f"a{chr(code)}b " for code in codes)) for name, tokenizer in tokenizers.items()},
        }
        for codes in (swept[start : start + 256] for start in range(0, len(swept), 256))
    ]


def _is_swept(code: int) -> bool:
    if unicodedata.category(chr(code)) in ("Cs", "Co", "Cn"):
        # Unassigned code points: one in 9,973 represents the others.
        return code % 9973 == 0 and not 0xD800 <= code <= 0xDFFF
    block = next((block for block in UNIFORM if block[0] <= code <= block[1]), None)
    return block is None or code in block or code % 499 == 0


def _ranges(codes: list[int]) -> list[list[int]]:
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return ranges


def _digest(tokenizer: Any, text: str) -> str:
    """64-bit FNV-1a of the lines `normalized text`, `ids` and `offsets`."""
    encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids = " ".join(map(str, encoding["input_ids"]))
    offsets = " ".join(f"{start}-{end}" for start, end in encoding["offset_mapping"])
    normalized = tokenizer.backend_tokenizer.normalizer.normalize_str(text)
    digest = 0xCBF29CE484222325
    for byte in f"{normalized}\n{ids}\n{offsets}".encode():
        digest = (digest ^ byte) * 0x100000001B3 % (1 << 64)
    return f"{digest:016x}"


def cases(folder: Path) -> list[dict[str, Any]]:
    """The hard strings, encoded by the tokenizer in `folder`. Offsets are code points. special_tokens_mask is 1 for tokens
    that the tokenizer added, 0 for those that the text spelled out."""
    tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True)
    return [_case(tokenizer, text) for text in HARD_STRINGS]


def _case(tokenizer: Any, text: str) -> dict[str, Any]:
    encoding = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True)
    return {
        "text": text,
        "input_ids": encoding["input_ids"],
        "tokens": encoding.tokens(),
        "offsets": encoding["offset_mapping"],
        "special_tokens_mask": encoding["special_tokens_mask"],
    }
