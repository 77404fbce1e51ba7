//! Converts vocab.txt, the vocabulary of checkpoints without tokenizer.json, to a tokenizer definition.

use serde_json::{Map, Value, json};

/// The definition of the ELECTRA tokenizer over a vocab.txt, with transformers' defaults: lower-casing, accents
/// stripped if lower-cased, every Chinese character a word.
///
/// A token's id is its line number, from 0; of equal lines, the last counts. Lines end as in Python: with a line feed,
/// a carriage return, or both.
pub(super) fn wordpiece_definition(vocab_txt: &str, unknown_token: &str) -> Value {
    let vocab_txt = vocab_txt.replace("\r\n", "\n").replace('\r', "\n");
    let vocabulary: Map<String, Value> = vocab_txt
        .lines()
        .enumerate()
        .map(|(id, token)| (token.to_owned(), id.into()))
        .collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": true,
            "strip_accents": null,
            "lowercase": true,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": null,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece",
            "unk_token": unknown_token,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_line_numbers() {
        let check = |text: &str, expected: Value| {
            assert_eq!(
                wordpiece_definition(text, "[UNK]")["model"]["vocab"],
                expected
            );
        };
        check("[UNK]\nthe\nfox\n", json!({"[UNK]": 0, "the": 1, "fox": 2}));
        check(
            "[UNK]\r\nthe\r\nfox",
            json!({"[UNK]": 0, "the": 1, "fox": 2}),
        );
        check("a\n\na\nb", json!({"": 1, "a": 2, "b": 3}));
        check(
            "a\rb\r\nc\u{85}d\u{2028}e\n",
            json!({"a": 0, "b": 1, "c\u{85}d\u{2028}e": 2}),
        );
        check("", json!({}));
    }
}
