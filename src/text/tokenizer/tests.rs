//! Checks the precedence of tokenizer settings, and that offsets slice every text.

#![allow(clippy::single_range_in_vec_init, reason = "ranges are offsets here")]

use std::fs;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::text::added_tokens::{add_token, added_token, vocabulary_id};
use crate::text::{OffsetEncoding, OffsetMap};

/// [CLS] and [SEP] have other ids than in BERT.
const VOCABULARY: &str = "[PAD]\n[UNK]\n[SEP]\n[CLS]\n[MASK]\nthe\nThe\nfox\ncafe\ncafé\n##s\n東\n한\n##국\n.\na\n##a\n京\ne\n##e\nש\n##ל\n👩\n\
                          i\n##i\n\u{1112}\n##\u{1161}\n##\u{11ab}\n東京\n,\nfi\nﬁ\n";

fn load(files: &[(&str, &str)]) -> Result<Tokenizer, TokenizerError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    Tokenizer::from_folder(folder.path())
}

fn small(config: &Value) -> Tokenizer {
    load(&[
        ("vocab.txt", VOCABULARY),
        ("tokenizer_config.json", &config.to_string()),
    ])
    .unwrap()
}

/// The tokenizer.json that is written for a tokenizer.
fn written(tokenizer: &Tokenizer) -> Value {
    serde_json::from_str(&tokenizer.to_json().unwrap()).unwrap()
}

fn pieces(tokenizer: &Tokenizer, text: &str) -> Vec<String> {
    let tokens = tokenizer.tokenize(text).unwrap();
    let piece = |id| tokenizer.token(id).unwrap();
    tokens.ids.into_iter().map(piece).collect()
}

#[test]
fn settings_come_from_tokenizer_config() {
    let check = |config: Value, text: &str, expected: &[&str]| {
        assert_eq!(pieces(&small(&config), text), expected, "{config} {text:?}");
    };
    check(json!({}), "The Cafés", &["the", "cafe", "##s"]);
    check(
        json!({"do_lower_case": true, "strip_accents": null}),
        "CAFÉ",
        &["cafe"],
    );
    check(json!({"strip_accents": false}), "CAFÉ", &["café"]);
    check(
        json!({"do_lower_case": false}),
        "The the café",
        &["The", "the", "café"],
    );
    check(
        json!({"do_lower_case": false, "strip_accents": true}),
        "The café",
        &["The", "cafe"],
    );
    check(json!({}), "東京", &["東", "京"]);
    check(json!({"tokenize_chinese_chars": false}), "東京", &["東京"]);
    check(
        json!({"tokenize_chinese_chars": null}),
        "東京",
        &["東", "京"],
    );
    check(json!({"unk_token": "fox"}), "zebra", &["fox"]);
    check(json!({"unk_token": {"content": "fox"}}), "zebra", &["fox"]);
    // The tokenizer neither truncates nor pads.
    check(json!({"model_max_length": 4}), "the the the", &["the"; 3]);
    check(json!({}), "", &[]);
    check(json!({}), " \u{200b}\n", &[]);
}

#[test]
fn tokenizer_json_is_read_with_its_tokenizer_config() {
    let definition = small(&json!({"do_lower_case": false})).to_json().unwrap();
    let check = |config: Value, expected: &[&str]| {
        let tokenizer = load(&[
            ("tokenizer.json", &definition),
            ("tokenizer_config.json", &config.to_string()),
        ])
        .unwrap();
        assert_eq!(pieces(&tokenizer, "The café"), expected, "{config}");
    };
    // Absent settings have transformers' defaults, whatever tokenizer.json says.
    check(json!({}), &["the", "cafe"]);
    check(json!({"do_lower_case": false}), &["The", "café"]);
    check(json!({"do_lower_case": true}), &["the", "cafe"]);
    check(
        json!({"do_lower_case": true, "strip_accents": false}),
        &["the", "café"],
    );
    check(
        json!({"do_lower_case": true, "tokenizer_class": "PreTrainedTokenizerFast"}),
        &["The", "café"],
    );
}

#[test]
fn the_class_says_whose_lower_casing_counts() {
    let definition = small(&json!({"do_lower_case": false})).to_json().unwrap();
    let check = |class: Value, expected: &[&str]| {
        // As written by transformers 5, except for the class.
        let config = json!({"tokenizer_class": class, "backend": "tokenizers", "is_local": true,
            "extra_special_tokens": [], "model_max_length": 1e30});
        let tokenizer = load(&[
            ("tokenizer.json", &definition),
            ("tokenizer_config.json", &config.to_string()),
        ])
        .unwrap();
        assert_eq!(pieces(&tokenizer, "The café"), expected, "{config}");
    };
    // Both 4.57 and 5 lower-case these by default.
    for class in [
        "ElectraTokenizer",
        "ElectraTokenizerFast",
        "BertTokenizer",
        "DistilBertTokenizerFast",
        "FunnelTokenizer",
        "MPNetTokenizer",
    ] {
        check(class.into(), &["the", "cafe"]);
    }
    check(Value::Null, &["the", "cafe"]);
    // Both use tokenizer.json unchanged for these; only 5 knows TokenizersBackend.
    for class in [
        "PreTrainedTokenizerFast",
        "PreTrainedTokenizer",
        "TokenizersBackend",
        "AlbertTokenizer",
        "XLMRobertaTokenizerFast",
        "MyTokenizer",
    ] {
        check(class.into(), &["The", "café"]);
    }
}

#[test]
fn special_tokens_of_both_versions_are_known() {
    let definition = small(&json!({})).to_json().unwrap();
    let check = |config: Value| {
        let tokenizer = load(&[
            ("tokenizer.json", &definition),
            ("tokenizer_config.json", &config.to_string()),
        ])
        .unwrap();
        // A special token is found inside a word.
        assert_eq!(pieces(&tokenizer, "foxfox"), ["fox", "fox"], "{config}");
    };
    check(json!({"additional_special_tokens": ["fox"]}));
    check(json!({"extra_special_tokens": ["fox"]}));
    check(json!({"extra_special_tokens": {"image_token": "fox"}}));
    check(json!({"extra_special_tokens": {"image_token": {"content": "fox", "lstrip": false}}}));
}

#[test]
fn a_tokenizer_json_that_stands_alone_is_complete() {
    let definition = small(&json!({"do_lower_case": false})).to_json().unwrap();
    let alone = load(&[("tokenizer.json", &definition)]).unwrap();
    assert_eq!(pieces(&alone, "The café"), ["The", "café"]);
}

#[test]
fn what_is_written_gives_the_same_tokenizer() {
    let first = small(&json!({"do_lower_case": false, "model_max_length": 64}));
    let written = |most_tokens: usize| {
        let files = [
            ("tokenizer.json", first.to_json().unwrap()),
            ("tokenizer_config.json", first.config_json(most_tokens)),
        ];
        let [tokenizer, config] = &files;
        load(&[(tokenizer.0, &tokenizer.1), (config.0, &config.1)]).unwrap()
    };
    let second = written(512);
    assert_eq!(pieces(&second, "The café fox"), ["The", "café", "fox"]);
    assert_eq!(second.special_tokens(), first.special_tokens());
    assert_eq!(second.to_json().unwrap(), first.to_json().unwrap());
    assert_eq!(second.config_json(512), first.config_json(512));
    assert_eq!(second.max_tokens(512), 64);
    assert_eq!(written(32).max_tokens(512), 32);
    let split = small(&json!({"split_special_tokens": true}));
    let (definition, config) = (split.to_json().unwrap(), split.config_json(512));
    let files = [
        ("tokenizer.json", definition.as_str()),
        ("tokenizer_config.json", &config),
    ];
    assert_eq!(pieces(&load(&files).unwrap(), "[SEP]"), ["[UNK]"; 3]);
    let config: Value = serde_json::from_str(&first.config_json(512)).unwrap();
    assert_eq!(
        config,
        json!({
            "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]",
            "model_max_length": 64, "tokenizer_class": "PreTrainedTokenizerFast",
        })
    );
}

#[test]
fn a_limit_is_the_models_or_the_tokenizers() {
    let check = |config: &str, expected: usize| {
        let files = [("vocab.txt", VOCABULARY), ("tokenizer_config.json", config)];
        let tokenizer = load(&files).unwrap();
        assert_eq!(tokenizer.max_tokens(128), expected, "{config}");
    };
    check("{}", 128);
    check(r#"{"model_max_length": 64}"#, 64);
    check(r#"{"model_max_length": 512}"#, 128);
    check(r#"{"model_max_length": 64.0}"#, 64);
    check(r#"{"model_max_length": null}"#, 128);
    check(
        r#"{"model_max_length": 1000000000000000019884624838656}"#,
        128,
    );
    check(r#"{"model_max_length": 1e30}"#, 128);
    check(r#"{"max_len": 32}"#, 32);
    check(r#"{"max_len": 32, "model_max_length": 64}"#, 64);
    check(r#"{"max_len": 32, "model_max_length": null}"#, 128);
}

#[test]
fn a_vocabulary_of_35_000_cased_tokens_keeps_its_ids() {
    // KoELECTRA's layout: the special tokens first, then whole words and pieces, cased.
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned);
    let words = (5..20_000).map(|id| format!("Word{id}"));
    let pieces = (20_000..35_000).map(|id| format!("##End{id}"));
    let vocabulary: Vec<String> = special.into_iter().chain(words).chain(pieces).collect();
    let config = r#"{"do_lower_case": false, "model_max_length": 512}"#;
    let files = [
        ("vocab.txt", vocabulary.join("\n")),
        ("tokenizer_config.json", config.to_owned()),
    ];
    let files = files
        .each_ref()
        .map(|(name, content)| (*name, content.as_str()));
    let tokenizer = load(&files).unwrap();
    assert_eq!(tokenizer.vocabulary_size(), 35_000);
    assert_eq!(tokenizer.special_tokens(), SpecialTokens { cls: 2, sep: 3 });
    let tokens = tokenizer
        .tokenize("Word19999 Word7End34999 word7 Word7End7")
        .unwrap();
    assert_eq!(tokens.ids, [19_999, 7, 34_999, 1, 1]);
    assert_eq!(tokenizer.token(34_999).as_deref(), Some("##End34999"));
}

#[test]
fn limits_of_tokenizer_json_are_switched_off() {
    let mut definition = written(&small(&json!({})));
    definition["truncation"] =
        json!({"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0});
    definition["padding"] = json!({
        "strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
    });
    let tokenizer = load(&[("tokenizer.json", &definition.to_string())]).unwrap();
    assert_eq!(tokenizer.tokenize("the fox, the fox.").unwrap().len(), 6);
    assert!(tokenizer.tokenize("").unwrap().is_empty());
    assert_eq!(tokenizer.special_tokens(), SpecialTokens { cls: 3, sep: 2 });
}

#[test]
fn special_tokens_come_from_the_checkpoint() {
    let vocabulary = "<pad>\n<unk>\n</s>\n<s>\nthe\n";
    let names = r#"{"cls_token": "<s>", "sep_token": {"content": "</s>"}, "unk_token": "<unk>"}"#;
    let check = |files: &[(&str, &str)]| {
        let tokenizer = load(files).unwrap();
        assert_eq!(tokenizer.special_tokens(), SpecialTokens { cls: 3, sep: 2 });
        assert_eq!(tokenizer.unknown_id(), Some(1));
        assert_eq!(tokenizer.vocabulary_size(), 5);
        assert_eq!(tokenizer.token(3).as_deref(), Some("<s>"));
        assert_eq!(tokenizer.token(5), None);
        tokenizer
    };
    check(&[("vocab.txt", vocabulary), ("tokenizer_config.json", names)]);
    let tokenizer = check(&[
        ("vocab.txt", vocabulary),
        (
            "tokenizer_config.json",
            r#"{"cls_token": "the", "unk_token": "<unk>"}"#,
        ),
        ("special_tokens_map.json", names),
    ]);

    // special_tokens_map.json is ignored if there is an `added_tokens_decoder`.
    let with_decoder = r#"{"cls_token": "<s>", "sep_token": "</s>", "unk_token": "<unk>", "added_tokens_decoder": {}}"#;
    check(&[
        ("vocab.txt", vocabulary),
        ("tokenizer_config.json", with_decoder),
        ("special_tokens_map.json", r#"{"cls_token": "the"}"#),
    ]);

    // The written file needs no other file.
    let mut definition = written(&tokenizer);
    check(&[("tokenizer.json", &definition.to_string())]);

    // A tokenizer.json without a post-processor falls back to the names in the other files.
    definition["post_processor"] = Value::Null;
    check(&[
        ("tokenizer.json", &definition.to_string()),
        ("tokenizer_config.json", names),
    ]);
}

#[test]
fn a_text_may_spell_special_tokens() {
    let check = |config: Value, text: &str, expected: &[&str]| {
        assert_eq!(pieces(&small(&config), text), expected, "{config} {text:?}");
    };
    check(
        json!({}),
        "the[SEP]fox [CLS]",
        &["the", "[SEP]", "fox", "[CLS]"],
    );
    check(json!({}), "[sep]", &["[UNK]", "[UNK]", "[UNK]"]);
    check(
        json!({"split_special_tokens": true}),
        "[SEP]",
        &["[UNK]", "[UNK]", "[UNK]"],
    );
}

#[test]
fn tokens_beside_the_vocabulary_keep_their_ids() {
    let vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n";
    let decoder = json!({"added_tokens_decoder": {
        "6": {"content": "<b>", "lstrip": false, "normalized": false, "rstrip": false, "single_word": false, "special": true},
        "5": {"content": "<a>", "lstrip": false, "normalized": false, "rstrip": false, "single_word": false, "special": true},
    }});
    let check = |name: &str, content: &str| {
        let tokenizer = load(&[("vocab.txt", vocabulary), (name, content)]).unwrap();
        assert_eq!(
            tokenizer.tokenize("<b>the<a>").unwrap().ids,
            [6, 4, 5],
            "{name}"
        );
        assert_eq!(tokenizer.vocabulary_size(), 7);
        let copy = load(&[("tokenizer.json", &tokenizer.to_json().unwrap())]).unwrap();
        assert_eq!(copy.tokenize("<b>the<a>").unwrap().ids, [6, 4, 5], "{name}");
    };
    check("tokenizer_config.json", &decoder.to_string());
    check("added_tokens.json", r#"{"<b>": 6, "<a>": 5}"#);
}

#[test]
fn tokens_beyond_the_rows_of_a_model_are_unknown() {
    let vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n";
    let added = ("added_tokens.json", r#"{"<a>": 5, "<b>": 6}"#);
    let load = || load(&[("vocab.txt", vocabulary), added]).unwrap();
    let check = |rows: usize, expected: [u32; 3]| {
        let tokenizer = load().for_rows(rows).unwrap();
        assert_eq!(
            tokenizer.tokenize("the<a> <b>").unwrap().ids,
            expected,
            "{rows} rows"
        );
        assert_eq!(tokenizer.vocabulary_size(), rows.min(7));
    };
    check(7, [4, 5, 6]);
    check(1000, [4, 5, 6]);
    check(6, [4, 5, 1]);
    check(5, [4, 1, 1]);
    // A vocabulary that does not fit belongs to another model.
    let error = load().for_rows(4).unwrap_err().to_string();
    assert!(
        error.contains("7 tokens") && error.contains("only 4"),
        "{error}"
    );
    // The files written beside a graph give the same tokens again.
    let written = load().for_rows(5).unwrap().to_json().unwrap();
    let again = self::load(&[("tokenizer.json", &written)]).unwrap();
    let again = again.for_rows(5).unwrap();
    assert_eq!(again.tokenize("<a>the").unwrap().ids, [1, 4]);
}

#[test]
fn a_model_without_an_unknown_token_has_all_rows() {
    let definition = json!({
        "version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "decoder": null,
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 1], "cls": ["[CLS]", 0]},
        "model": {"type": "BPE", "vocab": {"[CLS]": 0, "[SEP]": 1, "a": 2}, "merges": []},
    });
    let added = ("added_tokens.json", r#"{"<a>": 3}"#);
    let tokenizer = load(&[("tokenizer.json", &definition.to_string()), added]).unwrap();
    assert!(tokenizer.for_rows(3).is_err());
}

#[test]
fn damages_that_show_only_in_use_are_found_when_it_is_read() {
    let definition = written(&small(&json!({})));
    let check = |change: &dyn Fn(&mut Value), expected: &str| {
        let mut damaged = definition.clone();
        change(&mut damaged);
        let error = load(&[("tokenizer.json", &damaged.to_string())]).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("tokenizer.json") && error.contains(expected),
            "{error}"
        );
    };
    check(
        &|json| json["pre_tokenizer"] = json!({"type": "FixedLength", "length": 0}),
        "the tokenizers library fails on it",
    );
    check(
        &|json| {
            json["post_processor"] =
                json!({"type": "BertProcessing", "sep": ["[SEP]", 99_999], "cls": ["[CLS]", 3]});
        },
        "the id 99999, which no token of the vocabulary has",
    );
}

#[test]
fn a_byte_order_mark_is_no_part_of_any_file() {
    let marked = |text: &str| format!("\u{feff}{text}");
    let tokenizer = load(&[
        ("vocab.txt", &marked(VOCABULARY)),
        (
            "tokenizer_config.json",
            &marked(r#"{"do_lower_case": false}"#),
        ),
        (
            "special_tokens_map.json",
            &marked(r#"{"pad_token": "[PAD]"}"#),
        ),
    ])
    .unwrap();
    assert_eq!(tokenizer.tokenize("[PAD]The").unwrap().ids, [0, 6]);
}

/// Special tokens outside of the vocabulary get the ids after it, as in transformers.
#[test]
fn additional_special_tokens_need_no_place_in_the_vocabulary() {
    let vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n";
    for file in ["special_tokens_map.json", "tokenizer_config.json"] {
        let special =
            r#"{"additional_special_tokens": ["<e1>", {"content": "<e2>", "rstrip": true}]}"#;
        let tokenizer = load(&[("vocab.txt", vocabulary), (file, special)]).unwrap();
        assert_eq!(
            tokenizer.tokenize("the<e1> the <e2> the").unwrap().ids,
            [4, 5, 4, 6, 4]
        );
        assert_eq!(tokenizer.vocabulary_size(), 7);
        let again = load(&[("tokenizer.json", &tokenizer.to_json().unwrap())]).unwrap();
        assert_eq!(again.tokenize("<e2>the").unwrap().ids, [6, 4]);
    }
}

/// The path of every value in a document.
fn paths(value: &Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(entries) => entries
            .iter()
            .map(|(key, value)| (key.clone(), value))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, value)| (index.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    for (key, child) in children {
        path.push(key);
        found.push(path.clone());
        paths(child, path, found);
        path.pop();
    }
}

/// The document with one value replaced or removed.
fn damaged(document: &Value, path: &[String], replacement: Option<&Value>) -> Value {
    let (last, parents) = path.split_last().unwrap();
    let mut damaged = document.clone();
    let mut parent = &mut damaged;
    for key in parents {
        parent = match parent {
            Value::Array(items) => &mut items[key.parse::<usize>().unwrap()],
            other => &mut other[key.as_str()],
        };
    }
    match (parent, replacement) {
        (Value::Array(items), Some(value)) => items[last.parse::<usize>().unwrap()] = value.clone(),
        (Value::Array(items), None) => drop(items.remove(last.parse::<usize>().unwrap())),
        (other, Some(value)) => other[last.as_str()] = value.clone(),
        (other, None) => drop(other.as_object_mut().unwrap().remove(last)),
    }
    damaged
}

#[test]
fn a_damaged_tokenizer_json_is_refused_by_name_and_never_panics() {
    // The usual definition of transformers, with a template that names its special tokens.
    let mut definition: Value =
        serde_json::from_str(&small(&json!({})).to_json().unwrap()).unwrap();
    let piece = |token: &str, kind: &str| json!({kind: {"id": token, "type_id": 0}});
    let id = |token: &str| definition["model"]["vocab"][token].clone();
    let special = |token: &str| json!({"id": token, "ids": [id(token)], "tokens": [token]});
    let template = json!({
        "type": "TemplateProcessing",
        "single": [piece("[CLS]", "SpecialToken"), piece("A", "Sequence"), piece("[SEP]", "SpecialToken")],
        "pair": [piece("[CLS]", "SpecialToken"), piece("A", "Sequence"), piece("[SEP]", "SpecialToken"),
            piece("B", "Sequence"), piece("[SEP]", "SpecialToken")],
        "special_tokens": {"[CLS]": special("[CLS]"), "[SEP]": special("[SEP]")},
    });
    definition["post_processor"] = template;
    let read = |definition: &Value| load(&[("tokenizer.json", &definition.to_string())]);
    assert!(read(&definition).is_ok());
    // The library panics on a template whose special tokens are not described.
    let mut without = definition.clone();
    without["post_processor"]["special_tokens"] = json!({});
    let error = read(&without).unwrap_err().to_string();
    assert!(
        error.contains("tokenizer.json") && error.contains("contradicts itself"),
        "{error}"
    );

    let mut found = Vec::new();
    paths(&definition, &mut Vec::new(), &mut found);
    let replacements = [
        None,
        Some(Value::Null),
        Some(json!("")),
        Some(json!("x")),
        Some(json!(-1)),
        Some(json!(0)),
        Some(json!(u64::from(u32::MAX))),
        Some(json!([])),
        Some(json!({})),
    ];
    let mut refused = 0;
    for path in &found {
        for replacement in &replacements {
            let damaged = damaged(&definition, path, replacement.as_ref());
            // Some damages leave a valid tokenizer, which must then tokenize a text or return an error.
            match read(&damaged) {
                Ok(tokenizer) => drop(tokenizer.tokenize("The fox [SEP] ran, café")),
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().contains("tokenizer"), "{path:?}: {error}");
                }
            }
        }
    }
    assert!(
        refused > 100,
        "{refused} of {} damages were refused",
        found.len() * replacements.len()
    );
}

#[test]
fn what_is_wrong_with_a_folder_is_said() {
    let check = |files: &[(&str, &str)], expected: &[&str]| {
        let error = load(files).unwrap_err().to_string();
        for part in expected {
            assert!(error.contains(part), "{error:?} does not say {part:?}");
        }
    };
    check(
        &[],
        &["tokenizer.json", "vocab.txt", "tokenizer_config.json"],
    );
    check(
        &[("tokenizer.json", "{")],
        &["tokenizer.json", "JSON object"],
    );
    check(
        &[("tokenizer.json", "[]")],
        &["tokenizer.json", "JSON object"],
    );
    check(
        &[("tokenizer.json", "{}")],
        &["tokenizer.json", "does not define a tokenizer"],
    );
    check(
        &[("vocab.txt", "")],
        &["vocab.txt", "\"[UNK]\"", "unk_token"],
    );
    check(
        &[("vocab.txt", "[UNK]\nthe")],
        &["vocab.txt", "cls_token", "sep_token"],
    );
    check(
        &[
            ("vocab.txt", VOCABULARY),
            ("tokenizer_config.json", r#"{"do_lower_case": 1}"#),
        ],
        &[
            "tokenizer_config.json",
            "\"do_lower_case\" is 1",
            "true or false",
        ],
    );
    check(
        &[("vocab.txt", VOCABULARY), ("tokenizer_config.json", "null")],
        &["tokenizer_config.json", "JSON object"],
    );
    check(
        &[
            ("vocab.txt", VOCABULARY),
            ("added_tokens.json", r#"{"<a>": 900}"#),
        ],
        &["vocab.txt", "\"<a>\"", "900"],
    );
    for decoder in [r#"{"x": {}}"#, r#"{"50": "<a>"}"#] {
        let config = format!(r#"{{"added_tokens_decoder": {decoder}}}"#);
        check(
            &[
                ("vocab.txt", VOCABULARY),
                ("tokenizer_config.json", &config),
            ],
            &["tokenizer_config.json", "added_tokens_decoder"],
        );
    }
    let mut definition = written(&small(&json!({})));
    definition["post_processor"] = json!({
        "type": "RobertaProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 3], "trim_offsets": true, "add_prefix_space": false,
    });
    check(
        &[("tokenizer.json", &definition.to_string())],
        &["[3, 2, 2, 2]", "[CLS] A [SEP]"],
    );

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("vocab.txt"), b"the\n\xff\n").unwrap();
    let error = Tokenizer::from_folder(folder.path())
        .unwrap_err()
        .to_string();
    assert!(error.contains("vocab.txt cannot be read"), "{error}");
}

#[test]
fn settings_that_can_not_be_followed_are_refused_by_name() {
    let check = |config: &str, expected: &[&str]| {
        let files = [("vocab.txt", VOCABULARY), ("tokenizer_config.json", config)];
        let error = load(&files).unwrap_err().to_string();
        for part in expected.iter().chain(&["tokenizer_config.json"]) {
            assert!(error.contains(part), "{error:?} does not say {part:?}");
        }
    };
    for limit in ["2", "0", "-1", "\"512\"", "true", "5.5", "[]"] {
        check(
            &format!(r#"{{"model_max_length": {limit}}}"#),
            &["\"model_max_length\" is", limit, "longest sequence"],
        );
    }
    check(
        r#"{"tokenizer_class": "BertJapaneseTokenizer"}"#,
        &["\"BertJapaneseTokenizer\"", "tokenizer.json"],
    );
}

#[test]
fn words_are_those_of_the_pre_tokenizer() {
    let tokenizer = small(&json!({}));
    let tokens = tokenizer.tokenize("foxs. ea 東京").unwrap();
    let continues: Vec<bool> = (0..tokens.len())
        .map(|token| tokens.continues_word(token))
        .collect();
    assert_eq!(
        pieces(&tokenizer, "foxs. ea 東京"),
        ["fox", "##s", ".", "e", "##a", "東", "京"]
    );
    assert_eq!(continues, [false, true, false, false, true, false, false]);
    assert!(!tokens.continues_word(99));
}

/// Slices a text by the offsets of each encoding, as a client does.
fn check_offsets(tokenizer: &Tokenizer, text: &str) {
    let tokens = tokenizer.tokenize(text).unwrap();
    assert_eq!(tokens.offsets.len(), tokens.ids.len());
    assert_eq!(tokens.words.len(), tokens.ids.len());
    let codepoints: Vec<char> = text.chars().collect();
    let units: Vec<u16> = text.encode_utf16().collect();
    let map = |encoding| OffsetMap::new(text, encoding);
    let (codepoint, utf8, utf16) = (
        map(OffsetEncoding::Codepoint),
        map(OffsetEncoding::Utf8),
        map(OffsetEncoding::Utf16),
    );
    let mut previous = 0..0;
    for bytes in &tokens.offsets {
        let surface = text
            .get(bytes.clone())
            .expect("offsets lie on character boundaries");
        assert!(
            !surface.is_empty(),
            "{text:?} has an empty token at {bytes:?}"
        );
        assert!(
            bytes.start >= previous.start,
            "{text:?}: {bytes:?} stands before {previous:?}"
        );
        assert!(
            bytes.end >= previous.end,
            "{text:?}: {bytes:?} ends before {previous:?}"
        );
        assert_eq!(
            codepoints[codepoint.convert(bytes.clone())]
                .iter()
                .collect::<String>(),
            surface
        );
        assert_eq!(&text[utf8.convert(bytes.clone())], surface);
        assert_eq!(
            String::from_utf16(&units[utf16.convert(bytes.clone())]).unwrap(),
            surface
        );
        previous = bytes.clone();
    }
}

/// Characters that normalization drops, splits, joins or moves, between words of the vocabulary.
fn hard_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("the"),
        Just("fox"),
        Just("cafe\u{301}"),
        Just("É"),
        Just("İ"),
        Just("ß"),
        Just("ﬁ"),
        Just("한국"),
        Just("東京"),
        Just("\u{2f800}"),
        Just("👩‍👩‍👧"),
        Just("👍🏽"),
        Just("🇫🇷"),
        Just("שָׁלוֹם"),
        Just("\u{202e}abc\u{202c}"),
        Just("\u{0}"),
        Just("\u{7}"),
        Just("\u{200d}"),
        Just("\u{301}"),
        Just("\u{323}"),
        Just(" "),
        Just("\u{a0}"),
        Just("\r\n"),
        Just("[SEP]"),
        Just("[MASK]"),
        Just("##s"),
        Just("."),
        Just("\u{fffd}"),
        Just("ǆ"),
        Just("ΐ"),
        Just("\u{10fffd}"),
    ]
    .prop_map(str::to_owned);
    prop::collection::vec(
        prop_oneof![4 => part, 1 => any::<String>(), 1 => any::<char>().prop_map(String::from)],
        0..24,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn offsets_slice_the_text_as_sent(text in hard_text()) {
        for config in [json!({}), json!({"do_lower_case": false}), json!({"strip_accents": false})] {
            check_offsets(&small(&config), &text);
        }
    }

    #[test]
    fn words_have_the_same_tokens_when_they_come_again(text in hard_text()) {
        for config in [json!({}), json!({"do_lower_case": false}), json!({"tokenize_chinese_chars": false})] {
            let tokenizer = small(&config);
            prop_assert!(tokenizer.words.is_some());
            let expected = tokenizer.encode(&text).unwrap();
            for word in text.rsplit(' ').step_by(2) {
                tokenizer.tokenize(word).unwrap();
            }
            for _ in 0..2 {
                prop_assert_eq!(&tokenizer.tokenize(&text).unwrap(), &expected);
            }
        }
    }
}

#[test]
fn words_are_remembered_where_their_tokens_depend_on_nothing_else() {
    let check = |added: Value, remembers: bool| {
        let mut definition = written(&small(&json!({})));
        let content = added["content"].as_str().unwrap_or("fox");
        let size = definition["model"]["vocab"].as_object().unwrap().len();
        let new_id = u32::try_from(size).unwrap();
        let id = vocabulary_id(&definition, content).unwrap_or(new_id);
        let mut token = added_token(content, id, false);
        for (property, value) in added.as_object().unwrap() {
            token[property] = value.clone();
        }
        add_token(&mut definition, token);
        let tokenizer = load(&[("tokenizer.json", &definition.to_string())]).unwrap();
        assert_eq!(tokenizer.words.is_some(), remembers, "{added}");
        let text = format!("the  {content} .The{content}s\u{a0}the ");
        let expected = tokenizer.encode(&text).unwrap();
        for _ in 0..2 {
            assert_eq!(tokenizer.tokenize(&text).unwrap(), expected, "{added}");
        }
    };
    check(json!({"normalized": false}), true);
    check(json!({"normalized": false, "single_word": true}), true);
    check(json!({"normalized": true}), true);
    check(json!({"normalized": false, "lstrip": true}), false);
    check(json!({"normalized": false, "rstrip": true}), false);
    check(json!({"normalized": false, "content": "the fox"}), false);
    check(json!({"content": "a東", "normalized": false}), true);
    check(json!({"content": "a東", "normalized": true}), false);
}

#[test]
fn words_are_not_remembered_where_a_tokenizer_has_rules_of_its_own() {
    for (part, rules) in [
        ("normalizer", json!({"type": "Lowercase"})),
        ("normalizer", Value::Null),
        ("pre_tokenizer", json!({"type": "Whitespace"})),
        ("pre_tokenizer", Value::Null),
    ] {
        let mut definition = written(&small(&json!({})));
        definition[part] = rules;
        let tokenizer = load(&[("tokenizer.json", &definition.to_string())]).unwrap();
        assert!(tokenizer.words.is_none(), "{part}");
        assert_eq!(pieces(&tokenizer, "the"), ["the"]);
    }
}

#[test]
fn only_rules_that_were_measured_are_estimated_by_length() {
    let estimate = |part: &str, rules: Value| {
        let mut definition = written(&small(&json!({})));
        if !part.is_empty() {
            definition[part] = rules;
        }
        let tokenizer = load(&[("tokenizer.json", &definition.to_string())]).unwrap();
        tokenizer.estimate(100)
    };
    let measured = estimate("", Value::Null);
    assert_eq!(
        measured,
        small(&json!({"do_lower_case": false})).estimate(100)
    );
    assert!(measured < small(&json!({})).estimate(101));
    let vocabulary = written(&small(&json!({})))["model"]["vocab"].clone();
    for (part, rules) in [
        ("normalizer", json!({"type": "Lowercase"})),
        ("normalizer", Value::Null),
        ("pre_tokenizer", json!({"type": "Whitespace"})),
        ("pre_tokenizer", Value::Null),
        (
            "model",
            json!({"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"}),
        ),
    ] {
        assert!(estimate(part, rules) > 1000 * measured, "{part}");
    }
}
