//! Reads `tokenizer_config.json` and the other files beside a vocabulary, and applies them to a definition in
//! transformers' order of precedence.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::added_tokens::{add_token, added_token, is_added, next_id, vocabulary_id};
use super::error::TokenizerError;
use super::json_file::{object, read_file};

/// The least length of a sequence that has room for a token of each of two texts.
const LEAST_TOKENS: u64 = 4;

/// The special tokens of transformers' ELECTRA tokenizer, with their default spellings.
const SPECIAL_TOKENS: [(&str, &str); 5] = [
    ("unk_token", "[UNK]"),
    ("sep_token", "[SEP]"),
    ("pad_token", "[PAD]"),
    ("cls_token", "[CLS]"),
    ("mask_token", "[MASK]"),
];

/// The class that uses tokenizer.json unchanged, by its name in transformers 4; transformers 5 accepts it too.
pub(super) const FAST_CLASS: &str = "PreTrainedTokenizerFast";

/// Its name in transformers 5.
const BACKEND_CLASS: &str = "TokenizersBackend";

/// Classes that tokenize like BERT (`BertConverter` in transformers' `convert_slow_tokenizer.py`), so that a vocab.txt
/// alone defines them.
const BERT_CLASSES: [&str; 7] = [
    "ElectraTokenizer",
    "BertTokenizer",
    "ConvBertTokenizer",
    "DistilBertTokenizer",
    "MobileBertTokenizer",
    "RetriBertTokenizer",
    "SqueezeBertTokenizer",
];

/// Further classes that override the normalizer of tokenizer.json with the settings of `tokenizer_config.json`, as
/// [`BERT_CLASSES`] do (`__init__` in `tokenization_*_fast.py` of transformers 4.57). All other classes use it
/// unchanged.
const NORMALIZING_CLASSES: [&str; 10] = [
    "DPRContextEncoderTokenizer",
    "DPRQuestionEncoderTokenizer",
    "DPRReaderTokenizer",
    "FunnelTokenizer",
    "LayoutLMTokenizer",
    "LayoutLMv2Tokenizer",
    "LxmertTokenizer",
    "MPNetTokenizer",
    "RealmTokenizer",
    "SplinterTokenizer",
];

/// Whether special tokens in a text are split like plain text.
const SPLIT: &str = "split_special_tokens";

/// `tokenizer_config.json`, merged with the names in `special_tokens_map.json`.
pub(super) struct TokenizerConfig {
    path: PathBuf,
    /// Whether `tokenizer_config.json` exists.
    is_there: bool,
    entries: Map<String, Value>,
}

impl TokenizerConfig {
    pub(super) fn read(folder: &Path) -> Result<Self, TokenizerError> {
        let path = folder.join("tokenizer_config.json");
        let text = read_file(&path)?;
        let is_there = text.is_some();
        let mut entries = match text {
            Some(text) => object(&text, &path)?,
            None => Map::new(),
        };
        // As in transformers: special_tokens_map.json predates `added_tokens_decoder`, and is ignored if that is
        // present.
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

    /// The spelling of a special token: a string, or the `content` of an object. `None` if it is not named.
    fn spelling(&self, role: &str) -> Option<&str> {
        content_of(self.entries.get(role)?)
    }

    pub(super) fn special_token(&self, role: &str, usual: &str) -> String {
        self.spelling(role).unwrap_or(usual).to_owned()
    }

    /// The tokens outside of the vocabulary, by id: `added_tokens_decoder`, or `added_tokens.json` of older
    /// checkpoints.
    pub(super) fn added_tokens(&self, folder: &Path) -> Result<Vec<Value>, TokenizerError> {
        let path = folder.join("added_tokens.json");
        let mut by_id = BTreeMap::new();
        if let Some(decoder) = self.entries.get("added_tokens_decoder") {
            for (id, token) in decoder.as_object().into_iter().flatten() {
                let id: u32 = id.parse().map_err(|_| {
                    self.invalid(format!(
                        "\"added_tokens_decoder\" has the id {id:?}, which is not a token id"
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
                    reason: format!("the id of {content:?} is not a token id"),
                })?;
                let special = SPECIAL_TOKENS
                    .iter()
                    .any(|(role, usual)| self.special_token(role, usual) == content);
                by_id.insert(id, added_token(&content, id, special));
            }
        }
        Ok(by_id.into_values().collect())
    }

    /// Overrides the normalizer as transformers does. Its ELECTRA tokenizer, which is the default class, and related
    /// classes take these settings from `tokenizer_config.json` even if tokenizer.json differs, and use their defaults
    /// for absent settings. All other classes use tokenizer.json unchanged: `PreTrainedTokenizerFast`,
    /// `TokenizersBackend`, which transformers 5 writes, and unknown ones. Without a `tokenizer_config.json`,
    /// transformers applies its defaults as well. Here, a tokenizer.json without that file is taken as complete and
    /// left unchanged.
    pub(super) fn overrule_normalizer(&self, definition: &mut Value) -> Result<(), TokenizerError> {
        if definition["normalizer"]["type"] != "BertNormalizer"
            || !self.is_there
            || !self.sets_normalizer()
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

    /// `model_max_length`, or `max_len` of older checkpoints. For no limit, transformers writes about 1e30.
    pub(super) fn max_tokens(&self) -> Result<Option<usize>, TokenizerError> {
        let Some((key, value)) = ["model_max_length", "max_len"]
            .iter()
            .find_map(|key| Some((key, self.entries.get(*key)?)))
        else {
            return Ok(None);
        };
        // Some files have a float.
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

    /// The settings to save beside the definition: the special tokens of its vocabulary by role, and whether special
    /// tokens in a text are split like plain text.
    pub(super) fn settings(&self, definition: &Value) -> Map<String, Value> {
        let tokens = SPECIAL_TOKENS
            .iter()
            .map(|(role, usual)| (*role, self.special_token(role, usual)));
        let mut settings: Map<String, Value> = tokens
            .filter(|(_, content)| vocabulary_id(definition, content).is_some())
            .map(|(role, content)| (role.to_owned(), content.into()))
            .collect();
        if self.splits_special_tokens() {
            settings.insert(SPLIT.to_owned(), true.into());
        }
        settings
    }

    fn splits_special_tokens(&self) -> bool {
        self.entries.get(SPLIT) == Some(&Value::Bool(true))
    }

    /// Whether the tokens outside of the vocabulary are listed with their properties, which then override those in
    /// tokenizer.json.
    pub(super) fn lists_added_tokens(&self) -> bool {
        self.entries.contains_key("added_tokens_decoder")
    }

    /// The class name without the suffix of fast tokenizers.
    fn class(&self) -> Option<&str> {
        let class = self.entries.get("tokenizer_class")?.as_str()?;
        match class {
            FAST_CLASS => Some(class),
            _ => Some(class.strip_suffix("Fast").unwrap_or(class)),
        }
    }

    fn sets_normalizer(&self) -> bool {
        self.class().is_none_or(|class| {
            BERT_CLASSES.contains(&class) || NORMALIZING_CLASSES.contains(&class)
        })
    }

    /// Checks that a vocab.txt alone defines the tokenizer. It does not for a class that splits words differently, such
    /// as `BertJapaneseTokenizer`.
    pub(super) fn check_class(&self) -> Result<(), TokenizerError> {
        let Some(class) = self.class() else {
            return Ok(());
        };
        if [FAST_CLASS, BACKEND_CLASS].contains(&class) || BERT_CLASSES.contains(&class) {
            return Ok(());
        }
        Err(self.invalid(format!(
            "\"tokenizer_class\" is {class:?}, which splits texts in a way that vocab.txt does not tell; \
             save it as tokenizer.json, or use a checkpoint of the class ElectraTokenizer or BertTokenizer"
        )))
    }

    /// Registers the vocabulary's special tokens, so that a text which spells one out gets its id, as in transformers.
    /// Additional special tokens that are not in the vocabulary get the ids after it, as in transformers. Others that
    /// are not in it remain plain text.
    pub(super) fn recognise_special_tokens(&self, definition: &mut Value) {
        for token in self.additional_tokens() {
            if let Some(content) = content_of(token)
                && vocabulary_id(definition, content).is_none()
            {
                let added = with_flags(token, content, next_id(definition));
                add_token(definition, added);
            }
        }
        let usual = SPECIAL_TOKENS.iter().map(|(role, usual)| {
            let named = self.entries.get(*role).filter(|token| !token.is_null());
            named.cloned().unwrap_or_else(|| (*usual).into())
        });
        let others = ["bos_token", "eos_token"]
            .iter()
            .filter_map(|role| self.entries.get(*role).cloned());
        for token in usual.chain(others).chain(self.additional_tokens().cloned()) {
            let Some(content) = content_of(&token) else {
                continue;
            };
            if !is_added(definition, &content.into())
                && let Some(id) = vocabulary_id(definition, content)
            {
                add_token(definition, with_flags(&token, content, id));
            }
        }
        if self.splits_special_tokens()
            && let Some(tokens) = definition["added_tokens"].as_array_mut()
        {
            tokens.retain(|token| token["special"] != true);
        }
    }

    /// Special tokens without a role: `additional_special_tokens` of transformers 4, its `extra_special_tokens` by
    /// name, and the list `extra_special_tokens` of transformers 5.
    fn additional_tokens(&self) -> impl Iterator<Item = &Value> {
        ["additional_special_tokens", "extra_special_tokens"]
            .into_iter()
            .filter_map(|key| self.entries.get(key))
            .flat_map(|tokens| {
                let listed = tokens.as_array().into_iter().flatten();
                let named = tokens.as_object().into_iter().flat_map(Map::values);
                listed.chain(named)
            })
    }

    /// If the definition has no post-processor, encloses texts in the tokens that `tokenizer_config.json` names: `[CLS]
    /// A [SEP] B [SEP]`.
    pub(super) fn enclose_in_special_tokens(&self, definition: &mut Value) {
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

/// A token's spelling, from a string or from the `content` of an object.
fn content_of(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token.get("content")?.as_str())
}

/// A special token with its listed properties.
fn with_flags(token: &Value, content: &str, id: u32) -> Value {
    let mut added = added_token(content, id, true);
    for flag in ["lstrip", "rstrip", "single_word", "normalized"] {
        if let Some(Value::Bool(set)) = token.get(flag) {
            added[flag] = (*set).into();
        }
    }
    added
}

/// A float that is a whole, non-negative number.
fn whole(number: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what is beyond 64 bits becomes the largest number, and negative ones are left out"
    )]
    (number >= 0.0 && number.fract() == 0.0).then_some(number as u64)
}
