"""Ids, tokens and offsets of hard strings, as the fast tokenizers of transformers give them."""

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

HARD_STRINGS = [
    # Nothing, or nothing that stays.
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
    # Long words: 100 characters are the most a word may have.
    "a" * 100,
    "a" * 101,
    "the " + "t" * 99 + "\u0301 " + "東" * 12,
    "a\u0301" * 60,
    "the fox " * 30,
]


def cases(folder: Path) -> list[dict[str, Any]]:
    """The hard strings as the tokenizer in `folder` sees them: offsets in code points, special_tokens_mask 1 where the
    tokenizer itself put the token, 0 where the text spelled it."""
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
