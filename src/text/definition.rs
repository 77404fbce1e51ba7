//! The tokenizer definition (the content of a tokenizer.json) that the files of a model folder amount to together.
//!
//! transformers reads more than tokenizer.json: `tokenizer_config.json` overrules its normalizer, and names the special
//! tokens. Both are worked into one definition here, so that it alone gives the same tokens wherever it is copied.
//!
//! The reference is what `AutoTokenizer` makes of a folder: the fast tokenizer, `ElectraTokenizerFast`. Of the options of
//! the slow one it ignores `do_basic_tokenize`, `never_split` and `wordpieces_prefix`, and so does this.

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
    /// The longest sequence that the tokenizer is meant for, special tokens included, where that is said.
    pub max_tokens: Option<usize>,
    /// The special tokens of the vocabulary by what they are for, such as `cls_token`.
    pub roles: Map<String, Value>,
}

/// The least tokens of a sequence that hold anything of two texts.
const LEAST_TOKENS: u64 = 4;

/// The special tokens that transformers' ELECTRA tokenizer knows, with their usual spelling.
const SPECIAL_TOKENS: [(&str, &str); 5] = [
    ("unk_token", "[UNK]"),
    ("sep_token", "[SEP]"),
    ("pad_token", "[PAD]"),
    ("cls_token", "[CLS]"),
    ("mask_token", "[MASK]"),
];

/// The class that takes tokenizer.json as it is.
pub(super) const FAST_CLASS: &str = "PreTrainedTokenizerFast";

/// The classes whose tokens are those of BERT (`BertConverter` in `convert_slow_tokenizer.py` of transformers).
const BERT_CLASSES: [&str; 7] = [
    "ElectraTokenizer",
    "BertTokenizer",
    "ConvBertTokenizer",
    "DistilBertTokenizer",
    "MobileBertTokenizer",
    "RetriBertTokenizer",
    "SqueezeBertTokenizer",
];

/// Reads tokenizer.json, or vocab.txt where there is none, with `tokenizer_config.json`, `special_tokens_map.json` and
/// `added_tokens.json` where there are such.
pub(super) fn read(folder: &Path) -> Result<Definition, TokenizerError> {
    let config = Config::read(folder)?;
    let tokenizer_json = folder.join("tokenizer.json");
    let vocab_txt = folder.join("vocab.txt");
    let max_tokens = config.max_tokens()?;
    let (mut json, source) = if let Some(text) = read_file(&tokenizer_json)? {
        (object(&text, &tokenizer_json)?.into(), tokenizer_json)
    } else if let Some(text) = read_file(&vocab_txt)? {
        config.check_class()?;
        let unknown = config.special_token("unk_token", "[UNK]");
        (wordpiece_definition(&text, &unknown), vocab_txt)
    } else {
        return Err(TokenizerError::Missing {
            folder: folder.to_owned(),
        });
    };
    // The server decides itself what is cut and packed.
    json["truncation"] = Value::Null;
    json["padding"] = Value::Null;
    config.overrule_normalizer(&mut json)?;
    let overrules = config.entries.contains_key("added_tokens_decoder");
    for token in config.added_tokens(folder)? {
        // As in transformers: what added_tokens.json, the older of the two, says of a token counts less than tokenizer.json.
        if overrules || !is_added(&json, &token["content"]) {
            add_token(&mut json, token);
        }
    }
    config.recognise_special_tokens(&mut json);
    config.enclose_in_special_tokens(&mut json);
    Ok(Definition {
        roles: config.roles(&json),
        json,
        source,
        max_tokens,
    })
}

/// `tokenizer_config.json`, with the names of `special_tokens_map.json`.
struct Config {
    path: PathBuf,
    /// Whether there is a `tokenizer_config.json`.
    is_there: bool,
    entries: Map<String, Value>,
}

impl Config {
    fn read(folder: &Path) -> Result<Self, TokenizerError> {
        let path = folder.join("tokenizer_config.json");
        let text = read_file(&path)?;
        let is_there = text.is_some();
        let mut entries = match text {
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
        Ok(Self {
            path,
            is_there,
            entries,
        })
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
    fn added_tokens(&self, folder: &Path) -> Result<Vec<Value>, TokenizerError> {
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
    /// otherwise, and for those that are not named its own defaults. The class `PreTrainedTokenizerFast` takes
    /// tokenizer.json as it is. Without a `tokenizer_config.json` transformers takes its defaults too, but a tokenizer.json
    /// that stands alone is complete, and is left as it is.
    fn overrule_normalizer(&self, definition: &mut Value) -> Result<(), TokenizerError> {
        if definition["normalizer"]["type"] != "BertNormalizer"
            || !self.is_there
            || self.class() == Some(FAST_CLASS)
        {
            return Ok(());
        }
        for (key, setting, default) in [
            ("do_lower_case", "lowercase", Value::Bool(true)),
            ("strip_accents", "strip_accents", Value::Null),
            (
                "tokenize_chinese_chars",
                "handle_chinese_chars",
                Value::Bool(true),
            ),
        ] {
            definition["normalizer"][setting] = match self.entries.get(key) {
                None | Some(Value::Null) => default,
                Some(value @ Value::Bool(_)) => value.clone(),
                Some(other) => {
                    return Err(
                        self.invalid(format!("{key:?} is {other}, but must be true or false"))
                    );
                }
            };
        }
        Ok(())
    }

    /// `model_max_length`, or `max_len` of older checkpoints. transformers writes about 1e30 where there is no limit.
    fn max_tokens(&self) -> Result<Option<usize>, TokenizerError> {
        let Some((key, value)) = ["model_max_length", "max_len"]
            .iter()
            .find_map(|key| Some((key, self.entries.get(*key)?)))
        else {
            return Ok(None);
        };
        // Some are written as floats.
        let whole = match value {
            Value::Null => return Ok(None),
            Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
            _ => None,
        };
        match whole {
            Some(tokens) if tokens >= LEAST_TOKENS => Ok(usize::try_from(tokens)
                .ok()
                .filter(|tokens| *tokens < 1 << 32)),
            _ => Err(self.invalid(format!(
                "{key:?} is {value}, but must be the number of tokens of the longest sequence, {LEAST_TOKENS} or more"
            ))),
        }
    }

    fn roles(&self, definition: &Value) -> Map<String, Value> {
        let tokens = SPECIAL_TOKENS
            .iter()
            .map(|(role, usual)| (*role, self.special_token(role, usual)));
        tokens
            .filter(|(_, content)| vocabulary_id(definition, content).is_some())
            .map(|(role, content)| (role.to_owned(), content.into()))
            .collect()
    }

    fn class(&self) -> Option<&str> {
        self.entries.get("tokenizer_class")?.as_str()
    }

    /// Whether a vocab.txt alone defines the tokenizer: that of a class which splits words otherwise, such as
    /// `BertJapaneseTokenizer`, does not.
    fn check_class(&self) -> Result<(), TokenizerError> {
        let Some(class) = self.class() else {
            return Ok(());
        };
        let name = class.strip_suffix("Fast").unwrap_or(class);
        if class == FAST_CLASS || BERT_CLASSES.contains(&name) {
            return Ok(());
        }
        Err(self.invalid(format!(
            "\"tokenizer_class\" is {class:?}, which splits texts in a way that vocab.txt does not tell; \
             save it as tokenizer.json, or use a checkpoint of the class ElectraTokenizer or BertTokenizer"
        )))
    }

    /// Makes the special tokens of the vocabulary known as such, so that a text which spells one out gets its id, as
    /// in transformers. Those that the vocabulary does not hold have no embedding, and stay plain text.
    fn recognise_special_tokens(&self, definition: &mut Value) {
        let usual = SPECIAL_TOKENS.iter().map(|(role, usual)| {
            let named = self.entries.get(*role).filter(|token| !token.is_null());
            named.cloned().unwrap_or_else(|| (*usual).into())
        });
        let others = ["bos_token", "eos_token"]
            .iter()
            .filter_map(|role| self.entries.get(*role).cloned());
        let additional = self
            .entries
            .get("additional_special_tokens")
            .and_then(Value::as_array);
        for token in usual
            .chain(others)
            .chain(additional.into_iter().flatten().cloned())
        {
            let Some(content) = token.as_str().or_else(|| token.get("content")?.as_str()) else {
                continue;
            };
            if !is_added(definition, &content.into())
                && let Some(id) = vocabulary_id(definition, content)
            {
                let mut added = added_token(content, id, true);
                for flag in ["lstrip", "rstrip", "single_word", "normalized"] {
                    if let Some(Value::Bool(set)) = token.get(flag) {
                        added[flag] = (*set).into();
                    }
                }
                add_token(definition, added);
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

/// Adds a token; one of the same spelling keeps its id, and takes the other properties of the new one, as in transformers.
fn add_token(definition: &mut Value, mut token: Value) {
    if !definition["added_tokens"].is_array() {
        definition["added_tokens"] = json!([]);
    }
    let Some(tokens) = definition["added_tokens"].as_array_mut() else {
        return;
    };
    match tokens
        .iter_mut()
        .find(|known| known["content"] == token["content"])
    {
        Some(known) => {
            token["id"] = known["id"].clone();
            *known = token;
        }
        None => tokens.push(token),
    }
}

fn is_added(definition: &Value, content: &Value) -> bool {
    added_tokens(definition).any(|added| added["content"] == *content)
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

/// A float that is a count.
fn whole(number: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what is beyond 64 bits becomes the largest number, and negative ones are left out"
    )]
    (number >= 0.0 && number.fract() == 0.0).then_some(number as u64)
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
