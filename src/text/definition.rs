//! Merges the files of a model folder into one tokenizer definition, the content of a tokenizer.json.
//!
//! transformers reads more than tokenizer.json: `tokenizer_config.json` overrides its normalizer and names the special
//! tokens. Both are merged into one definition, which then gives the same tokens without the other files.
//!
//! The reference is `AutoTokenizer`, which loads the fast tokenizer, `ElectraTokenizerFast`. That class ignores the
//! options `do_basic_tokenize`, `never_split` and `wordpieces_prefix` of the slow one, and so does this module.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::added_tokens::{add_token, is_added};
use super::bounds;
use super::error::TokenizerError;
use super::json_file::{object, read_file};
use super::tokenizer_config::TokenizerConfig;
use super::vocabulary::wordpiece_definition;

/// A definition, and the file that most of it came from, for messages.
pub(super) struct Definition {
    pub json: Value,
    pub source: PathBuf,
    /// Limit of the tokenizer on a sequence in tokens, special tokens included; `None` if it states none.
    pub max_tokens: Option<usize>,
    /// The settings of special tokens for a `tokenizer_config.json` beside the definition.
    pub settings: Map<String, Value>,
}

/// Reads tokenizer.json, or else vocab.txt, with `tokenizer_config.json`, `special_tokens_map.json` and
/// `added_tokens.json` if they exist.
pub(super) fn read(folder: &Path) -> Result<Definition, TokenizerError> {
    let config = TokenizerConfig::read(folder)?;
    let tokenizer_json = folder.join("tokenizer.json");
    let vocab_txt = folder.join("vocab.txt");
    let max_tokens = config.max_tokens()?;
    let (mut json, source) = if let Some(text) = read_file(&tokenizer_json)? {
        (object(&text, &tokenizer_json)?.into(), tokenizer_json)
    } else if let Some(text) = read_file(&vocab_txt)? {
        config.check_class()?;
        let lines = text.bytes().filter(|byte| matches!(byte, b'\n' | b'\r'));
        bounds::check_tokens(lines.count()).map_err(|reason| invalid(&vocab_txt, reason))?;
        let unknown = config.special_token("unk_token", "[UNK]");
        (wordpiece_definition(&text, &unknown), vocab_txt)
    } else {
        return Err(TokenizerError::Missing {
            folder: folder.to_owned(),
        });
    };
    // The server truncates and packs sequences itself.
    json["truncation"] = Value::Null;
    json["padding"] = Value::Null;
    config.overrule_normalizer(&mut json)?;
    let overrules = config.lists_added_tokens();
    let added = config.added_tokens(folder)?;
    bounds::check(&json, added.len()).map_err(|reason| invalid(&source, reason))?;
    for token in added {
        // As in transformers, tokenizer.json takes precedence over added_tokens.json, the older of the two.
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

fn invalid(path: &Path, reason: String) -> TokenizerError {
    TokenizerError::Invalid {
        path: path.to_owned(),
        reason,
    }
}
