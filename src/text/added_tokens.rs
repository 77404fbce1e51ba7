//! Reads and extends the added tokens of a tokenizer definition, and looks up ids.

use serde_json::{Map, Value, json};

/// The `added_tokens` of a definition.
pub(super) fn added_tokens(definition: &Value) -> impl Iterator<Item = &Value> {
    definition["added_tokens"].as_array().into_iter().flatten()
}

/// Adds a token. If one of the same spelling exists, it keeps its id and takes the new token's other properties, as in
/// transformers.
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

/// The id after the highest one in the vocabulary and the added tokens.
pub(super) fn next_id(definition: &Value) -> u32 {
    let vocabulary = definition["model"]["vocab"].as_object().into_iter();
    let ids = vocabulary.flat_map(Map::values);
    let ids = ids.chain(added_tokens(definition).filter_map(|added| added.get("id")));
    let highest = ids.filter_map(Value::as_u64).max();
    highest
        .and_then(|id| u32::try_from(id + 1).ok())
        .unwrap_or_default()
}
