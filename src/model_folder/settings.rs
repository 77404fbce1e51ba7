//! electra.toml: an operator's settings for one model.
//!
//! A model with numbered versions may have one in its own folder, for all versions, and one in each version's folder,
//! whose keys take precedence.

use std::num::NonZeroUsize;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Deserializer};
use toml::{Table, Value};

use super::settings_error::{SettingsError, SettingsMistake};
use super::version::{Address, Version};
use crate::export::PrecisionChoice;
use crate::fields::{Aggregation, Count, Level, ScoreFunction, Threshold};
use crate::files;
use crate::heads::qa_bounds::{BoundError, WINDOW_TOKENS, check_stride, check_top_k};
use crate::limits::Limits;
use crate::suggest::suggestion;
use crate::task::Task;
use crate::text::OffsetEncoding;

pub const SETTINGS_FILE: &str = "electra.toml";

/// The content of electra.toml.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSettings {
    /// The task, if no other file tells it, and which of a checkpoint's heads is exported.
    pub task: Option<Task>,
    /// Names of its outputs by index, in place of config.json's.
    pub labels: Option<Vec<String>>,
    /// The precision that a checkpoint is exported to.
    #[serde(deserialize_with = "precision")]
    pub precision: Option<PrecisionChoice>,
    /// The graph's path within the folder, if there are several.
    #[serde(deserialize_with = "inside")]
    pub graph: Option<PathBuf>,
    /// Other names of the model.
    pub aliases: Vec<String>,
    /// Whether the model is the default of its task's route. If several models say true, the first by name is. A model
    /// that says false never is.
    pub route: Option<bool>,
    pub versions: VersionPolicy,
    /// Limits of requests to the model, and of its queue.
    pub limits: LimitSettings,
    /// Defaults of fields that a request omits.
    pub defaults: RequestDefaults,
}

/// Which numbered versions are loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum VersionPolicy {
    /// All versions. The highest serves, and requests can name the others.
    #[default]
    All,
    /// The highest only.
    Latest,
    /// Those listed here that exist.
    These(Vec<Version>),
}

impl VersionPolicy {
    /// Whether a version is loaded, given the highest one that exists.
    #[must_use]
    pub fn selects(&self, version: Version, highest: Version) -> bool {
        match self {
            Self::All => true,
            Self::Latest => version == highest,
            Self::These(versions) => versions.contains(&version),
        }
    }
}

/// Limits of one model, in place of the server's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// The longest sequence in tokens, special tokens included. At most the model's number of positions.
    pub max_tokens: Option<NonZeroUsize>,
    /// The most inputs in one request.
    pub max_inputs: Option<NonZeroUsize>,
    /// The longest text, in bytes of UTF-8.
    pub max_text_bytes: Option<NonZeroUsize>,
    /// The most sequences that may wait.
    pub queue_capacity: Option<NonZeroUsize>,
    /// The most tokens in a batch of several sequences.
    pub batch_tokens: Option<NonZeroUsize>,
}

impl LimitSettings {
    /// Overrides the server's limits with those set here.
    #[must_use]
    pub fn over(&self, limits: Limits) -> Limits {
        Limits {
            max_body_bytes: limits.max_body_bytes,
            max_inputs: self.max_inputs.map_or(limits.max_inputs, NonZeroUsize::get),
            max_text_bytes: self
                .max_text_bytes
                .map_or(limits.max_text_bytes, NonZeroUsize::get),
        }
    }
}

/// Defaults of request fields, with the names of those fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestDefaults {
    /// For /discriminate.
    pub threshold: Option<Threshold>,
    /// For /discriminate.
    pub level: Option<Level>,
    /// For /classify and /qa.
    pub top_k: Option<Count<1>>,
    /// For /classify.
    pub function: Option<ScoreFunction>,
    /// For /classify.
    pub truncate: Option<bool>,
    /// For /tag.
    pub aggregation: Option<Aggregation>,
    /// For /qa.
    pub no_answer: Option<bool>,
    /// For /qa.
    pub max_answer_tokens: Option<Count<1>>,
    /// For /qa.
    pub stride: Option<Count<0>>,
    /// For all tasks whose answers have offsets.
    pub offsets: Option<OffsetEncoding>,
}

impl RequestDefaults {
    /// The names of defaults set here that requests of this task do not have.
    #[must_use]
    pub fn foreign_to(&self, task: Task) -> Vec<&'static str> {
        use Task::{Classify, Discriminate, Qa, Tag};
        let fields: [(&'static str, bool, &[Task]); 10] = [
            ("threshold", self.threshold.is_some(), &[Discriminate]),
            ("level", self.level.is_some(), &[Discriminate]),
            ("top_k", self.top_k.is_some(), &[Classify, Qa]),
            ("function", self.function.is_some(), &[Classify]),
            ("truncate", self.truncate.is_some(), &[Classify]),
            ("aggregation", self.aggregation.is_some(), &[Tag]),
            ("no_answer", self.no_answer.is_some(), &[Qa]),
            ("max_answer_tokens", self.max_answer_tokens.is_some(), &[Qa]),
            ("stride", self.stride.is_some(), &[Qa]),
            ("offsets", self.offsets.is_some(), &[Discriminate, Tag, Qa]),
        ];
        fields
            .into_iter()
            .filter(|(_, set, tasks)| *set && !tasks.contains(&task))
            .map(|(name, ..)| name)
            .collect()
    }
}

impl RequestDefaults {
    /// Checks the defaults of question answering for a model that takes `max_tokens` tokens.
    ///
    /// # Errors
    /// The limit that every request without the field would exceed.
    pub fn check_qa(&self, max_tokens: usize) -> Result<(), BoundError> {
        check_top_k(self.top_k.map_or(NonZeroUsize::MIN, NonZeroUsize::from))?;
        check_stride(self.stride.map(Count::get), max_tokens.min(WINDOW_TOKENS))
    }
}

impl ModelSettings {
    /// Reads and merges the electra.toml files of these folders, if they exist. Keys of later folders take precedence.
    ///
    /// # Errors
    /// The file and the mistake in it.
    pub fn read(folders: &[&Path]) -> Result<Self, SettingsError> {
        let mut merged = Table::new();
        for folder in folders {
            let path = folder.join(SETTINGS_FILE);
            match files::read_text(&path, files::most::SETTINGS) {
                Ok(text) => {
                    let table = parse(&text).map_err(|mistake| SettingsError::Invalid {
                        path: path.clone(),
                        mistake,
                    })?;
                    merge(&mut merged, table);
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(SettingsError::Unreadable {
                        path,
                        reason: error.to_string(),
                    });
                }
            }
        }
        Self::from_table(merged).map_err(|mistake| SettingsError::Invalid {
            path: SETTINGS_FILE.into(),
            mistake,
        })
    }

    fn from_table(table: Table) -> Result<Self, SettingsMistake> {
        const KEYS: [&str; 9] = [
            "task",
            "labels",
            "precision",
            "graph",
            "aliases",
            "route",
            "versions",
            "limits",
            "defaults",
        ];
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(SettingsMistake::UnknownKey {
                hint: suggestion(key, KEYS.iter().copied()),
                key: key.clone(),
            });
        }
        let settings: Self =
            serde_path_to_error::deserialize(table).map_err(|error| SettingsMistake::Value {
                key: error.path().to_string(),
                reason: error.inner().message().to_owned(),
            })?;
        match settings.aliases.iter().find(|alias| !is_alias(alias)) {
            Some(alias) => Err(SettingsMistake::Alias(alias.clone())),
            None => Ok(settings),
        }
    }
}

/// One file's keys. Each file is checked on its own, so that an error names the right one.
fn parse(text: &str) -> Result<Table, SettingsMistake> {
    let table: Table = text
        .parse()
        .map_err(|error: toml::de::Error| SettingsMistake::Syntax(error.message().to_owned()))?;
    ModelSettings::from_table(table.clone())?;
    Ok(table)
}

/// Whether a request could use this name for a model.
fn is_alias(name: &str) -> bool {
    !name.is_empty()
        && Address::from(name).version.is_none()
        && !name.chars().any(|character| {
            character == '/' || character.is_whitespace() || character.is_control()
        })
}

/// Merges tables recursively.
fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(value)) => merge(inner, value),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

/// A path that stays within the model's folder.
fn inside<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    let normal = |component: Component<'_>| matches!(component, Component::Normal(_));
    if path.components().all(normal) && path.components().next().is_some() {
        return Ok(Some(path));
    }
    Err(serde::de::Error::custom(format!(
        "`{}` must be the name of a file in the model's folder, as onnx/model.onnx",
        path.display()
    )))
}

fn precision<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<PrecisionChoice>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

impl<'de> Deserialize<'de> for VersionPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || {
            serde::de::Error::custom(
                "versions must be \"all\", \"latest\" or a list of numbers, as [1, 3]",
            )
        };
        match Value::deserialize(deserializer)? {
            Value::String(text) if text == "all" => Ok(Self::All),
            Value::String(text) if text == "latest" => Ok(Self::Latest),
            Value::Array(numbers) if !numbers.is_empty() => numbers
                .iter()
                .map(|number| Version::named(&number.as_integer()?.to_string()))
                .collect::<Option<_>>()
                .map(Self::These)
                .ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ModelSettings, String> {
        ModelSettings::from_table(text.parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_is_read() {
        let settings = parse(
            r#"
            task = "qa"
            labels = ["a", "b"]
            precision = "fp32"
            graph = "onnx/model_quantized.onnx"
            aliases = ["answers", "qa@stable"]
            route = true
            versions = [1, 3]
            [limits]
            max_tokens = 128
            queue_capacity = 7
            [defaults]
            top_k = 3
            no_answer = true
            stride = 0
            offsets = "utf16"
            "#,
        )
        .unwrap();
        assert_eq!(settings.task, Some(Task::Qa));
        assert_eq!(settings.aliases, ["answers", "qa@stable"]);
        assert_eq!(settings.limits.max_tokens.map(NonZeroUsize::get), Some(128));
        assert_eq!(settings.defaults.top_k.map(Count::get), Some(3));
        assert_eq!(settings.defaults.foreign_to(Task::Qa), [""; 0]);
        assert_eq!(
            settings.defaults.foreign_to(Task::Classify),
            ["no_answer", "stride", "offsets"]
        );
        let version = |number: &str| Version::named(number).unwrap();
        assert!(settings.versions.selects(version("3"), version("4")));
        assert!(!settings.versions.selects(version("4"), version("4")));
        assert_eq!(parse("").unwrap(), ModelSettings::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("tsk = \"tag\"", "Did you mean `task`?"),
            ("task = \"guess\"", "guess"),
            ("precision = \"int4\"", "int4"),
            ("graph = \"../model.onnx\"", "../model.onnx"),
            ("graph = \"/model.onnx\"", "/model.onnx"),
            ("aliases = [\"a/b\"]", "a/b"),
            ("aliases = [\"a@2\"]", "a@2"),
            ("versions = \"newest\"", "latest"),
            ("versions = [0]", "[1, 3]"),
            ("[limits]\nmax_tokens = 0", "max_tokens"),
            ("[limits]\nmax_token = 1", "max_token"),
            ("[defaults]\nthreshold = 2.0", "from 0 to 1"),
            ("[defaults]\naggregation = \"frist\"", "frist"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_version_goes_before_its_model() {
        let folder = tempfile::tempdir().unwrap();
        let version = folder.path().join("2");
        std::fs::create_dir(&version).unwrap();
        let write = |folder: &Path, text: &str| {
            std::fs::write(folder.join(SETTINGS_FILE), text).unwrap();
        };
        write(
            folder.path(),
            "task = \"qa\"\nroute = false\n[defaults]\ntop_k = 2\nstride = 1",
        );
        write(&version, "route = true\n[defaults]\ntop_k = 5");
        let settings = ModelSettings::read(&[folder.path(), &version]).unwrap();
        assert_eq!(
            (settings.task, settings.route),
            (Some(Task::Qa), Some(true))
        );
        assert_eq!(settings.defaults.top_k.map(Count::get), Some(5));
        assert_eq!(settings.defaults.stride.map(Count::get), Some(1));
        write(&version, "route = 1");
        let error = ModelSettings::read(&[folder.path(), &version]).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("2/electra.toml"), "{error}");
    }
}
