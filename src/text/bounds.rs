//! Refuses tokenizer definitions that would take far more memory or time than their size accounts for.

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
    let rules = ["normalizer", "pre_tokenizer", "decoder"].map(|key| growth(&definition[key]));
    let growth = rules.into_iter().fold(1, usize::saturating_mul);
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

/// How many times as long a rule can make a text, leaving out rules that only add to its length. Rules of a sequence
/// multiply.
fn growth(rule: &Value) -> usize {
    match rule["type"].as_str() {
        Some("Sequence") => {
            let lists = ["normalizers", "pretokenizers", "decoders"];
            let rules = lists
                .iter()
                .filter_map(|key| rule[key].as_array())
                .flatten();
            rules.map(growth).fold(1, usize::saturating_mul)
        }
        Some("Replace") => {
            let content = rule["content"].as_str().map_or(0, str::len);
            match rule["pattern"]["String"].as_str().map_or(0, str::len) {
                // An expression, which may match at every position.
                0 => content.saturating_add(1),
                pattern => content.div_ceil(pattern).max(1),
            }
        }
        // Each byte may become a character of two bytes.
        Some("ByteLevel") => 2,
        // A table of SentencePiece, which few characters use.
        Some("Precompiled") => 4,
        _ => 1,
    }
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
