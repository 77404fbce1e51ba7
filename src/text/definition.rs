//! The tokenizer definition (the content of a tokenizer.json) that the files of a model folder amount to together.
//!
//! transformers reads more than tokenizer.json: `tokenizer_config.json` overrules its normalizer, and names the special
//! tokens. Both are worked into one definition here, so that it alone gives the same tokens wherever it is copied.
//!
//! The reference is what `AutoTokenizer` makes of a folder: the fast tokenizer, `ElectraTokenizerFast`. Of the options of
//! the slow one it ignores `do_basic_tokenize`, `never_split` and `wordpieces_prefix`, and so does this.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::tokenizer::TokenizerError;
use super::tokenizer_config::Config;
use super::vocabulary::wordpiece_definition;

/// A definition and the file that most of it came from, for messages.
pub(super) struct Definition {
    pub json: Value,
    pub source: PathBuf,
    /// The longest sequence that the tokenizer is meant for, special tokens included, where that is said.
    pub max_tokens: Option<usize>,
    /// What a `tokenizer_config.json` beside the definition has to say of special tokens.
    pub settings: Map<String, Value>,
}

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
    let overrules = config.lists_added_tokens();
    for token in config.added_tokens(folder)? {
        // As in transformers: what added_tokens.json, the older of the two, says of a token counts less than tokenizer.json.
        if overrules || !is_added(&json, &token["content"]) {
            add_token(&mut json, token);
        }
    }
    config.recognise_special_tokens(&mut json);
    config.enclose_in_special_tokens(&mut json);
    Ok(Definition {
        settings: config.settings(&json),
        json,
        source,
        max_tokens,
    })
}

/// The `added_tokens` of a definition.
pub(super) fn added_tokens(definition: &Value) -> impl Iterator<Item = &Value> {
    definition["added_tokens"].as_array().into_iter().flatten()
}

/// Adds a token; one of the same spelling keeps its id, and takes the other properties of the new one, as in transformers.
pub(super) fn add_token(definition: &mut Value, mut token: Value) {
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

pub(super) fn is_added(definition: &Value, content: &Value) -> bool {
    added_tokens(definition).any(|added| added["content"] == *content)
}

pub(super) fn added_token(content: &str, id: u32, special: bool) -> Value {
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
pub(super) fn vocabulary_id(definition: &Value, token: &str) -> Option<u32> {
    let id = definition["model"]["vocab"].get(token).or_else(|| {
        added_tokens(definition)
            .find(|added| added["content"] == token)
            .and_then(|added| added.get("id"))
    })?;
    u32::try_from(id.as_u64()?).ok()
}

/// The id after the highest of the vocabulary and the added tokens.
pub(super) fn next_id(definition: &Value) -> u32 {
    let vocabulary = definition["model"]["vocab"].as_object().into_iter();
    let ids = vocabulary.flat_map(Map::values);
    let ids = ids.chain(added_tokens(definition).filter_map(|added| added.get("id")));
    let highest = ids.filter_map(Value::as_u64).max();
    highest
        .and_then(|id| u32::try_from(id + 1).ok())
        .unwrap_or_default()
}

/// The text of a file without a byte order mark, None where there is no such file.
pub(super) fn read_file(path: &Path) -> Result<Option<String>, TokenizerError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(match text.strip_prefix('\u{feff}') {
            Some(text) => text.to_owned(),
            None => text,
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TokenizerError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

pub(super) fn object(text: &str, path: &Path) -> Result<Map<String, Value>, TokenizerError> {
    serde_json::from_str(text).map_err(|error| TokenizerError::Invalid {
        path: path.to_owned(),
        reason: format!("it is not a JSON object: {error}"),
    })
}
