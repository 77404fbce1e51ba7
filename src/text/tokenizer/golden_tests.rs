//! Compares tokens and offsets with those of transformers' fast tokenizers.

use std::fs;
use std::iter::once;

use serde_json::{Value, json};

use super::*;
use crate::text::{OffsetEncoding, OffsetMap};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

fn golden(path: &str) -> Value {
    let text = fs::read_to_string(format!("{GOLDEN}/{path}")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Ids, pieces and offsets equal those of transformers for every golden text.
#[test]
fn tokens_are_those_of_transformers() {
    for (path, folder) in [
        ("tokenizer/uncased.json", "checkpoints/discriminator-plain"),
        ("tokenizer/cased.json", "checkpoints/discriminator-cased"),
        (
            "tokenizer/electra-mini.json",
            "../../models/electra-mini-discriminator",
        ),
    ] {
        let tokenizer = Tokenizer::from_folder(&Path::new(GOLDEN).join(folder)).unwrap();
        let cases = golden(path);
        let cases = cases["cases"].as_array().unwrap();
        assert!(cases.len() > 40, "{path}");
        for case in cases {
            check_golden(&tokenizer, case["text"].as_str().unwrap(), case);
        }
    }
}

fn check_golden(tokenizer: &Tokenizer, text: &str, case: &Value) {
    let tokens = tokens(tokenizer, text);
    let SpecialTokens { cls, sep } = tokenizer.special_tokens();
    let ids: Vec<u32> = [cls]
        .into_iter()
        .chain(tokens.ids.iter().copied())
        .chain([sep])
        .collect();
    assert_eq!(json!(ids), case["input_ids"], "{text:?}");
    let pieces: Vec<_> = ids.iter().map(|&id| tokenizer.token(id)).collect();
    let offsets = enclosed(code_points(text, &tokens));
    assert_eq!(json!(offsets), case["offsets"], "{text:?}");
    // transformers returns an added token as the text spells it; in all golden texts this is the vocabulary's spelling.
    assert_eq!(json!(pieces), case["tokens"], "{text:?}");
}

/// Tokenizes a text twice: the word cache must not change its tokens.
fn tokens(tokenizer: &Tokenizer, text: &str) -> TokenizedText {
    let tokens = tokenizer.tokenize(text).unwrap();
    assert_eq!(tokenizer.tokenize(text).unwrap(), tokens, "{text:?}");
    tokens
}

/// Offsets of tokens in code points, as `[start, end]`.
fn code_points(text: &str, tokens: &TokenizedText) -> Vec<[usize; 2]> {
    let map = OffsetMap::new(text, OffsetEncoding::Codepoint);
    let ranges = tokens
        .offsets
        .iter()
        .map(|bytes| map.convert(bytes.clone()));
    ranges.map(|range| [range.start, range.end]).collect()
}

/// Adds the special tokens' offsets as transformers has them: they cover no part of the text.
fn enclosed(offsets: Vec<[usize; 2]>) -> Vec<[usize; 2]> {
    once([0, 0]).chain(offsets).chain([[0, 0]]).collect()
}

/// The same for every setting in the files of a checkpoint.
#[test]
fn configurations_are_those_of_transformers() {
    let golden = golden("tokenizer/configurations.json");
    let texts = golden["texts"].as_array().unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() > 60);
    for case in cases {
        let folder = tempfile::tempdir().unwrap();
        let kind = case["kind"].as_str().unwrap();
        fs::write(folder.path().join(kind), golden[kind].as_str().unwrap()).unwrap();
        for (file, content) in case["files"].as_object().unwrap() {
            fs::write(folder.path().join(file), content.to_string()).unwrap();
        }
        let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
        assert_eq!(
            json!(tokenizer.max_tokens),
            case["max_tokens"],
            "{}",
            case["name"]
        );
        let SpecialTokens { cls, sep } = tokenizer.special_tokens();
        for (index, text) in texts.iter().enumerate() {
            let text = text.as_str().unwrap();
            let tokens = tokens(&tokenizer, text);
            let ids: Vec<u32> = once(cls)
                .chain(tokens.ids.iter().copied())
                .chain([sep])
                .collect();
            let message = format!("{}, {text:?}", case["name"]);
            assert_eq!(json!(ids), case["input_ids"][index], "{message}");
            let offsets = enclosed(code_points(text, &tokens));
            assert_eq!(json!(offsets), case["offsets"][index], "{message}");
        }
    }
}

/// Every character of Unicode between two letters, apart from ideographs and syllables that are treated alike. Compares
/// digests of the normalized text, the ids and the offsets.
#[test]
fn every_code_point_is_read_as_transformers_reads_it() {
    let golden = golden("tokenizer/code-points.json");
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() > 100);
    for (name, folder) in [
        ("uncased", "checkpoints/discriminator-plain"),
        ("cased", "checkpoints/discriminator-cased"),
    ] {
        let tokenizer = Tokenizer::from_folder(&Path::new(GOLDEN).join(folder)).unwrap();
        for case in cases {
            let ranges: Vec<[u32; 2]> = serde_json::from_value(case["ranges"].clone()).unwrap();
            let codes = ranges.iter().flat_map(|[first, last]| *first..=*last);
            let text: String = codes
                .flat_map(|code| ['a', char::from_u32(code).unwrap(), 'b', ' '])
                .collect();
            assert_eq!(
                json!(digest(&tokenizer, &text)),
                case[name],
                "{name}, {ranges:x?}"
            );
        }
    }
}

/// 64-bit FNV-1a of the lines `normalized text`, `ids` and `offsets`.
fn digest(tokenizer: &Tokenizer, text: &str) -> String {
    use tokenizers::{NormalizedString, Normalizer as _};

    let tokens = tokens(tokenizer, text);
    let mut normalized = NormalizedString::from(text);
    let rules = tokenizer.inner.get_normalizer().unwrap();
    rules.normalize(&mut normalized).unwrap();
    let ids: Vec<String> = tokens.ids.iter().map(u32::to_string).collect();
    let offsets = code_points(text, &tokens);
    let offsets: Vec<String> = offsets
        .iter()
        .map(|[start, end]| format!("{start}-{end}"))
        .collect();
    let lines = format!(
        "{}\n{}\n{}",
        normalized.get(),
        ids.join(" "),
        offsets.join(" ")
    );
    let digest = lines
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
            (digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
    format!("{digest:016x}")
}
