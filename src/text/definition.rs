//! The tokenizer definition (the content of a tokenizer.json) that the files of a model folder amount to together.
//!
//! transformers reads more than tokenizer.json: `tokenizer_config.json` overrules its normalizer, and names the special
//! tokens. Both are worked into one definition here, so that it alone gives the same tokens wherever it is copied.
//!
//! The reference is what `AutoTokenizer` makes of a folder: the fast tokenizer, `ElectraTokenizerFast`. Of the options of
//! the slow one it ignores `do_basic_tokenize`, `never_split` and `wordpieces_prefix`, and so does this.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::added_tokens::{add_token, is_added};
use super::error::TokenizerError;
use super::json_file::{object, read_file};
use super::tokenizer_config::TokenizerConfig;
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
    let config = TokenizerConfig::read(folder)?;
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
