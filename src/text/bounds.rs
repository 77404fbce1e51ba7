//! Refuses tokenizer definitions that would take far more memory or time than their size accounts for.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

/// Far above real vocabularies, of which the largest have some 250,000 tokens. Each takes some 500 bytes.
const MOST_TOKENS: usize = 1 << 19;
/// A token has one or two values. Each takes some 80 bytes while its list grows.
const MOST_VALUES: usize = 1 << 21;
/// Added tokens are compared with each other.
const MOST_ADDED_TOKENS: usize = 1 << 14;
/// A template of special tokens has some 1,000 bytes. Its pieces are multiplied with their ids.
const MOST_POST_PROCESSOR_BYTES: usize = 16 << 10;
/// Real rules replace a character by at most a few bytes.
const MOST_GROWTH: usize = 256;

/// Checks a definition to which `added` tokens will be added.
///
/// # Errors
/// What exceeds its bound.
pub(super) fn check(definition: &Value, added: usize) -> Result<(), String> {
    let vocabulary = &definition["model"]["vocab"];
    check_tokens(length(vocabulary))?;
    let added = added.saturating_add(length(&definition["added_tokens"]));
    if added > MOST_ADDED_TOKENS {
        return Err(format!(
            "it has {added} added tokens, and at most {MOST_ADDED_TOKENS} are supported"
        ));
    }
    let bytes = definition["post_processor"].to_string().len();
    if bytes > MOST_POST_PROCESSOR_BYTES {
        return Err(format!(
            "its post-processor has {bytes} bytes, and at most {MOST_POST_PROCESSOR_BYTES} are supported"
        ));
    }
    let rules = ["normalizer", "pre_tokenizer", "decoder"].map(|key| &definition[key]);
    let growth = product(rules)?;
    if growth > MOST_GROWTH {
        return Err(format!(
            "its rules can make a text {growth} times as long, and at most {MOST_GROWTH} times is supported"
        ));
    }
    Ok(())
}

/// Checks the number of lines of a vocab.txt.
///
/// # Errors
/// As for [`check`].
pub(super) fn check_tokens(tokens: usize) -> Result<(), String> {
    if tokens > MOST_TOKENS {
        return Err(format!(
            "it has {tokens} tokens, and at most {MOST_TOKENS} are supported"
        ));
    }
    Ok(())
}

/// Checks the number of values in a JSON text, before it is parsed.
///
/// # Errors
/// As for [`check`].
pub(super) fn check_values(json: &str) -> Result<(), String> {
    // Values of a list or an object are separated by commas, and lists are nested 128 deep at most. Commas in strings
    // count too.
    let values = json.bytes().filter(|byte| *byte == b',').count();
    if values > MOST_VALUES {
        return Err(format!(
            "it has {values} values, and at most {MOST_VALUES} are supported"
        ));
    }
    Ok(())
}

fn length(list: &Value) -> usize {
    match list {
        Value::Object(entries) => entries.len(),
        Value::Array(values) => values.len(),
        _ => 0,
    }
}

/// How many times as long a sequence of rules can make a text.
fn product<'r>(rules: impl IntoIterator<Item = &'r Value>) -> Result<usize, String> {
    rules.into_iter().try_fold(1, |product: usize, rule| {
        Ok(product.saturating_mul(growth(rule)?))
    })
}

/// How many times as long a rule can make a text, leaving out rules that only add to its length.
///
/// A rule's members tell what it is: the tokenizers crate reads rules without a type too, and ignores other members.
fn growth(rule: &Value) -> Result<usize, String> {
    let lists = ["normalizers", "pretokenizers", "decoders"];
    let rules = lists.iter().filter_map(|key| rule[key].as_array());
    let mut growth = product(rules.flatten())?;
    if let Some(charsmap) = rule["precompiled_charsmap"].as_str() {
        growth = growth.saturating_mul(longest_replacement(charsmap)?);
    }
    if let (Some(content), Some(pattern)) = (rule["content"].as_str(), rule.get("pattern")) {
        growth = growth.saturating_mul(match pattern["String"].as_str().map_or(0, str::len) {
            // An expression, which may match at every position.
            0 => content.len().saturating_add(1),
            pattern => content.len().div_ceil(pattern).max(1),
        });
    }
    if rule["type"] == "ByteLevel" {
        // Each byte may become a character of two bytes.
        growth = growth.saturating_mul(2);
    }
    Ok(growth)
}

/// The length of the longest replacement in a precompiled table, which replaces characters of at least one byte.
/// The table is a trie, after its length in bytes, and the replacements, each up to a NUL. That of XLM-RoBERTa replaces
/// a ligature by 33 bytes.
fn longest_replacement(charsmap: &str) -> Result<usize, String> {
    let table = BASE64_STANDARD
        .decode(charsmap)
        .map_err(|error| format!("its precompiled_charsmap is not Base64: {error}"))?;
    let Some((length, rest)) = table.split_first_chunk() else {
        return Ok(1);
    };
    // Memory for the trie is reserved before it is read.
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let Some(replacements) = rest.get(length / 4 * 4..).filter(|_| length <= rest.len()) else {
        return Err(format!(
            "its precompiled_charsmap claims a trie of {length} bytes, but only {} are left",
            rest.len()
        ));
    };
    let lengths = replacements.split(|byte| *byte == 0).map(<[u8]>::len);
    Ok(lengths.max().unwrap_or_default().max(1))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(definition: &Value) -> Option<String> {
        check(definition, 1).err()
    }

    #[test]
    fn rules_that_multiply_a_text_are_refused() {
        let double = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"});
        let rules = |count: usize| json!({"normalizer": {"type": "Sequence", "normalizers": vec![double.clone(); count]}});
        assert_eq!(refusal(&rules(8)), None);
        let reason = refusal(&rules(40)).unwrap();
        assert!(reason.contains("1099511627776 times as long"), "{reason}");
        let levels = vec![json!({"type": "ByteLevel"}); 9];
        let nested = json!({"type": "Sequence", "pretokenizers": levels});
        let nested = json!({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [nested]}});
        assert!(refusal(&nested).is_some());
        let any = json!({"type": "Replace", "pattern": {"Regex": ""}, "content": "a".repeat(256)});
        assert!(refusal(&json!({"normalizer": any})).is_some());
        // Those of XLM-RoBERTa.
        let usual = json!({"normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Precompiled", "precompiled_charsmap": ""},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]}});
        assert_eq!(refusal(&usual), None);
    }

    #[test]
    fn tables_of_long_replacements_are_refused() {
        let table = |claimed: u32, rest: &[u8]| {
            let table = [&claimed.to_le_bytes(), rest].concat();
            let table = BASE64_STANDARD.encode(table);
            json!({"type": "Precompiled", "precompiled_charsmap": table})
        };
        let replacements = |length: usize| [&[1; 400], &*vec![b'b'; length], b"\0c\0"].concat();
        let refusal = |rule: Value| refusal(&json!({"normalizer": rule}));
        assert_eq!(refusal(table(400, &replacements(MOST_GROWTH))), None);
        let reason = refusal(table(400, &replacements(MOST_GROWTH + 1))).unwrap();
        assert!(reason.contains("257 times as long"), "{reason}");
        // The tokenizers crate reads a trie of whole numbers only.
        assert!(refusal(table(403, &replacements(MOST_GROWTH + 1))).is_some());
        assert_eq!(refusal(table(8, &[0; 8])), None);
        let reason = refusal(table(u32::MAX, &[0; 8])).unwrap();
        assert!(reason.contains("a trie of 4294967295 bytes"), "{reason}");
        let other = json!({"type": "Precompiled", "precompiled_charsmap": "?"});
        assert!(refusal(other).unwrap().contains("not Base64"));
        // Those of XLM-RoBERTa.
        let usual = json!({"type": "Sequence", "normalizers": [table(400, &replacements(33)),
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]});
        assert_eq!(refusal(usual), None);
        // The tokenizers crate reads rules without a type too.
        let double = json!({"pattern": {"String": "a"}, "content": "aa"});
        assert!(refusal(json!({"normalizers": vec![double; 9]})).is_some());
        let both = json!({"type": "Replace", "pattern": {"Regex": ""}, "content": "a".repeat(256), "decoders": []});
        assert!(refusal(both).is_some());
    }

    #[test]
    fn lists_that_are_longer_than_any_real_one_are_refused() {
        let long = Value::from(vec![0; MOST_ADDED_TOKENS]);
        let reason = refusal(&json!({"added_tokens": long})).unwrap();
        assert!(reason.contains("16385 added tokens"), "{reason}");
        let template = json!({"ids": vec![1; MOST_POST_PROCESSOR_BYTES / 2]});
        assert!(refusal(&json!({"post_processor": template})).is_some());
        let vocabulary = Value::from(vec![0; MOST_TOKENS + 1]);
        assert!(refusal(&json!({"model": {"vocab": vocabulary}})).is_some());
        assert_eq!(refusal(&json!({"model": null})), None);
        assert!(check_values(&",".repeat(MOST_VALUES + 1)).is_err());
        assert!(check_values(&",".repeat(MOST_VALUES)).is_ok());
    }
}
