//! Reads the names of a model's labels: `id2label`, or else `num_labels` default names.

use serde_json::{Map, Value};

use super::entries::{Entries, refused};
use super::error::ConfigError;

const IDS: &str = "id2label";
/// Far above any real model's number of labels. Bounds the default names that are generated.
pub const MOST_LABELS: usize = 1 << 16;

/// As in transformers, `id2label` takes precedence over `num_labels`; `_num_labels` and `label2id` are ignored. An
/// empty `id2label` counts as absent.
pub(super) fn read(entries: &Entries) -> Result<Option<Vec<String>>, ConfigError> {
    if let Some(ids) = entries.object(IDS)?.filter(|ids| !ids.is_empty()) {
        return names_by_id(ids).map(Some);
    }
    let Some(count) = entries.count("num_labels", 1)? else {
        return Ok(None);
    };
    if count > MOST_LABELS {
        let reason = format!("is {count}, but must be at most {MOST_LABELS}");
        return Err(ConfigError::value("num_labels", reason));
    }
    Ok(Some((0..count).map(default_label).collect()))
}

/// transformers' name for a label without a name.
#[must_use]
pub fn default_label(id: usize) -> String {
    format!("LABEL_{id}")
}

/// The names, sorted by id.
fn names_by_id(ids: &Map<String, Value>) -> Result<Vec<String>, ConfigError> {
    let mut names = vec![None; ids.len()];
    for (key, value) in ids {
        let path = || format!("{IDS}.{key}");
        let slot = key
            .trim()
            .parse()
            .ok()
            .and_then(|id: usize| names.get_mut(id));
        let Some(slot) = slot else {
            let reason = format!(
                "is not one of the ids of {} labels, which are 0 to {}",
                ids.len(),
                ids.len() - 1
            );
            return Err(ConfigError::value(path(), reason));
        };
        let name = match value {
            Value::String(name) => name.clone(),
            // Labels that were columns of numbers or booleans; transformers accepts them.
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Null => default_label(key.trim().parse().unwrap_or_default()),
            Value::Array(_) | Value::Object(_) => {
                return Err(refused(&path(), value, "must be a label's name"));
            }
        };
        if slot.replace(name).is_some() {
            return Err(ConfigError::value(path(), "occurs twice"));
        }
    }
    // There are as many names as slots, and no slot was filled twice, so every slot is filled.
    Ok(names.into_iter().flatten().collect())
}
