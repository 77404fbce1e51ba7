//! The tokenizer definition (the content of a tokenizer.json) that the files of a model folder amount to together.
//!
//! transformers reads more than tokenizer.json: `tokenizer_config.json` overrules its normalizer, and names the special
//! tokens. Both are worked into one definition here, so that it alone gives the same tokens wherever it is copied.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::tokenizer::TokenizerError;
use super::vocabulary::wordpiece_definition;

/// A definition and the file that most of it came from, for messages.
pub(super) struct Definition {
    pub json: Value,
    pub source: PathBuf,
}

/// The special tokens that transformers' ELECTRA tokenizer knows, with their usual spelling.
const SPECIAL_TOKENS: [(&str, &str); 5] = [
    ("unk_token", "[UNK]"),
    ("sep_token", "[SEP]"),
    ("pad_token", "[PAD]"),
    ("cls_token", "[CLS]"),
    ("mask_token", "[MASK]"),
];

/// Reads tokenizer.json, or vocab.txt where there is none, with `tokenizer_config.json`, `special_tokens_map.json` and
/// `added_tokens.json` where there are such.
pub(super) fn read(folder: &Path) -> Result<Definition, TokenizerError> {
    let config = Config::read(folder)?;
    let tokenizer_json = folder.join("tokenizer.json");
    let vocab_txt = folder.join("vocab.txt");
    let mut definition = if let Some(text) = read_file(&tokenizer_json)? {
        Definition {
            json: object(&text, &tokenizer_json)?.into(),
            source: tokenizer_json,
        }
    } else if let Some(text) = read_file(&vocab_txt)? {
        let mut json = wordpiece_definition(&text, &config.special_token("unk_token", "[UNK]"));
        json["added_tokens"] = config.added_tokens(folder)?;
        Definition {
            json,
            source: vocab_txt,
        }
    } else {
        return Err(TokenizerError::Missing {
            folder: folder.to_owned(),
        });
    };
    // The server decides itself what is cut and packed.
    definition.json["truncation"] = Value::Null;
    definition.json["padding"] = Value::Null;
    config.overrule_normalizer(&mut definition.json)?;
    config.recognise_special_tokens(&mut definition.json);
    config.enclose_in_special_tokens(&mut definition.json);
    Ok(definition)
}

/// `tokenizer_config.json`, with the names of `special_tokens_map.json`.
struct Config {
    path: PathBuf,
    entries: Map<String, Value>,
}

impl Config {
    fn read(folder: &Path) -> Result<Self, TokenizerError> {
        let path = folder.join("tokenizer_config.json");
        let mut entries = match read_file(&path)? {
            Some(text) => object(&text, &path)?,
            None => Map::new(),
        };
        // As in transformers: special_tokens_map.json is of the time before added_tokens_decoder, and of no account beside it.
        let map_path = folder.join("special_tokens_map.json");
        if !entries.contains_key("added_tokens_decoder")
            && let Some(text) = read_file(&map_path)?
        {
            entries.extend(object(&text, &map_path)?);
        }
        Ok(Self { path, entries })
    }

    /// The spelling of a special token: a string, or the `content` of an object. None where it is not named.
    fn named(&self, role: &str) -> Option<&str> {
        let value = self.entries.get(role)?;
        value.as_str().or_else(|| value.get("content")?.as_str())
    }

    fn special_token(&self, role: &str, usual: &str) -> String {
        self.named(role).unwrap_or(usual).to_owned()
    }

    /// The tokens beside the vocabulary, by id: `added_tokens_decoder`, or `added_tokens.json` of older checkpoints.
    fn added_tokens(&self, folder: &Path) -> Result<Value, TokenizerError> {
        let path = folder.join("added_tokens.json");
        let mut by_id = BTreeMap::new();
        if let Some(decoder) = self.entries.get("added_tokens_decoder") {
            for (id, token) in decoder.as_object().into_iter().flatten() {
                let id: u32 = id.parse().map_err(|_| {
                    self.invalid(format!(
                        "\"added_tokens_decoder\" has the id {id:?}, which is no token id"
                    ))
                })?;
                let mut token = token.as_object().cloned().ok_or_else(|| {
                    self.invalid(format!(
                        "the token {id} of \"added_tokens_decoder\" is not an object"
                    ))
                })?;
                token.insert("id".to_owned(), id.into());
                by_id.insert(id, token.into());
            }
        } else if let Some(text) = read_file(&path)? {
            for (content, id) in object(&text, &path)? {
                let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
                let id = id.ok_or_else(|| TokenizerError::Invalid {
                    path: path.clone(),
                    reason: format!("the id of {content:?} is no token id"),
                })?;
                let special = SPECIAL_TOKENS
                    .iter()
                    .any(|(role, usual)| self.special_token(role, usual) == content);
                by_id.insert(id, added_token(&content, id, special));
            }
        }
        Ok(by_id.into_values().collect())
    }

    /// transformers' ELECTRA tokenizer takes these settings from `tokenizer_config.json` even where tokenizer.json says
    /// otherwise. Settings that are not named are left as tokenizer.json has them. The class `PreTrainedTokenizerFast`
    /// takes tokenizer.json as it is.
    fn overrule_normalizer(&self, definition: &mut Value) -> Result<(), TokenizerError> {
        if definition["normalizer"]["type"] != "BertNormalizer"
            || self.entries.get("tokenizer_class").and_then(Value::as_str)
                == Some("PreTrainedTokenizerFast")
        {
            return Ok(());
        }
        for (key, setting, may_be_null) in [
            ("do_lower_case", "lowercase", false),
            ("strip_accents", "strip_accents", true),
            ("tokenize_chinese_chars", "handle_chinese_chars", false),
        ] {
            match self.entries.get(key) {
                None => {}
                Some(Value::Null) if !may_be_null => {}
                Some(value @ (Value::Bool(_) | Value::Null)) => {
                    definition["normalizer"][setting] = value.clone();
                }
                Some(other) => {
                    return Err(
                        self.invalid(format!("{key:?} is {other}, but must be true or false"))
                    );
                }
            }
        }
        Ok(())
    }

    /// Makes the special tokens of the vocabulary known as such, so that a text which spells one out gets its id, as
    /// in transformers. Those that the vocabulary does not hold have no embedding, and stay plain text.
    fn recognise_special_tokens(&self, definition: &mut Value) {
        for (role, usual) in SPECIAL_TOKENS {
            let content = self.special_token(role, usual);
            let known = added_tokens(definition).any(|token| token["content"] == content.as_str());
            if !known && let Some(id) = vocabulary_id(definition, &content) {
                let token = added_token(&content, id, true);
                match &mut definition["added_tokens"] {
                    Value::Array(tokens) => tokens.push(token),
                    absent => *absent = json!([token]),
                }
            }
        }
        if self.entries.get("split_special_tokens") == Some(&Value::Bool(true))
            && let Some(tokens) = definition["added_tokens"].as_array_mut()
        {
            tokens.retain(|token| token["special"] != true);
        }
    }

    /// Where no post-processor says which tokens enclose a text, `tokenizer_config.json` does: `[CLS] A [SEP] B [SEP]`.
    fn enclose_in_special_tokens(&self, definition: &mut Value) {
        if !definition["post_processor"].is_null() {
            return;
        }
        let token = |role, usual| {
            let content = self.special_token(role, usual);
            let id = vocabulary_id(definition, &content)?;
            Some((content, id))
        };
        if let (Some(cls), Some(sep)) = (token("cls_token", "[CLS]"), token("sep_token", "[SEP]")) {
            definition["post_processor"] =
                json!({"type": "BertProcessing", "sep": sep, "cls": cls});
        }
    }

    fn invalid(&self, reason: String) -> TokenizerError {
        TokenizerError::Invalid {
            path: self.path.clone(),
            reason,
        }
    }
}

/// The `added_tokens` of a definition.
pub(super) fn added_tokens(definition: &Value) -> impl Iterator<Item = &Value> {
    definition["added_tokens"].as_array().into_iter().flatten()
}

fn added_token(content: &str, id: u32, special: bool) -> Value {
    json!({
        "id": id,
        "content": content,
        "single_word": false,
        "lstrip": false,
        "rstrip": false,
        "normalized": !special,
        "special": special,
    })
}

/// The id of a token in the definition's vocabulary or among its added tokens.
fn vocabulary_id(definition: &Value, token: &str) -> Option<u32> {
    let id = definition["model"]["vocab"].get(token).or_else(|| {
        added_tokens(definition)
            .find(|added| added["content"] == token)
            .and_then(|added| added.get("id"))
    })?;
    u32::try_from(id.as_u64()?).ok()
}

/// The text of a file, None where there is no such file.
fn read_file(path: &Path) -> Result<Option<String>, TokenizerError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TokenizerError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

fn object(text: &str, path: &Path) -> Result<Map<String, Value>, TokenizerError> {
    serde_json::from_str(text).map_err(|error| TokenizerError::Invalid {
        path: path.to_owned(),
        reason: format!("it is not a JSON object: {error}"),
    })
}
