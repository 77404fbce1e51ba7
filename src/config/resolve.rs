//! Resolves the configuration: flags override environment variables, which override the file, which overrides defaults.
//! Reports all mistakes at once.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use super::parse::ValueError;
use super::{Config, Mistake, SETTINGS, Setting, SettingsMistakes, parse};
use crate::engine::Device;
use crate::export::PrecisionChoice;
use crate::limits::{Limits, Timeouts};
use crate::suggest::suggestion;
use crate::telemetry::tracing::{LogFormat, LogOptions};
use crate::text_file;

/// Settings given as flags, not yet parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingArguments {
    /// The value of `--config`.
    pub config: Option<String>,
    /// By key. Holds only the flags given.
    pub settings: BTreeMap<&'static str, String>,
}

/// Reads the TOML file that `--config` or `ELECTRA_CONFIG` names, if any, and resolves the configuration.
///
/// # Errors
/// All mistakes, including an unreadable file.
pub fn load(
    arguments: &SettingArguments,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Config, SettingsMistakes> {
    let named = arguments
        .config
        .clone()
        .map(|path| ("--config", path))
        .or_else(|| {
            environment("ELECTRA_CONFIG")
                .filter(|path| !path.is_empty())
                .map(|path| ("ELECTRA_CONFIG", path))
        });
    let Some((source, path)) = named else {
        return resolve(arguments, environment, None);
    };
    match text_file::read(Path::new(&path)) {
        Ok(text) => resolve(arguments, environment, Some((&path, &text))),
        Err(error) => {
            let unreadable = Mistake {
                source: source.to_owned(),
                reason: format!("can't read `{path}`: {error}"),
            };
            let mut mistakes = vec![unreadable];
            if let Err(others) = resolve(arguments, environment, None) {
                mistakes.extend(others.mistakes);
            }
            Err(SettingsMistakes { mistakes })
        }
    }
}

/// Resolves the configuration from flags, a look-up of environment variables, and the file's name and content.
///
/// An environment variable that is set but empty counts as not set.
///
/// # Errors
/// All mistakes, each with its source.
pub fn resolve(
    arguments: &SettingArguments,
    environment: impl Fn(&str) -> Option<String>,
    file: Option<(&str, &str)>,
) -> Result<Config, SettingsMistakes> {
    let mut resolver = Resolver {
        given: BTreeMap::new(),
        mistakes: Vec::new(),
    };
    if let Some((path, text)) = file {
        resolver.read_file(path, text);
    }
    for setting in SETTINGS {
        if let Some(value) = environment(&setting.variable()).filter(|value| !value.is_empty()) {
            resolver
                .given
                .insert(setting.key, (setting.variable(), value));
        }
        if let Some(value) = arguments.settings.get(setting.key) {
            resolver
                .given
                .insert(setting.key, (setting.flag(), value.clone()));
        }
    }
    resolver.resolve()
}

/// The given settings by key, each with its source and text, and the mistakes so far.
struct Resolver {
    given: BTreeMap<&'static str, (String, String)>,
    mistakes: Vec<Mistake>,
}

impl Resolver {
    fn read_file(&mut self, path: &str, text: &str) {
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                return self.mistake(
                    path.to_owned(),
                    format!("is not TOML: {}", error.to_string().trim_end()),
                );
            }
        };
        for (key, value) in table {
            let source = format!("{path}, key {key}");
            let Some(setting) = Setting::named(&key) else {
                let hint = suggestion(&key, SETTINGS.iter().map(|setting| setting.key));
                self.mistake(source, format!("there is no such setting. {hint}"));
                continue;
            };
            let text = match &value {
                toml::Value::Array(values) if setting.is_list => {
                    let texts: Option<Vec<String>> = values.iter().map(scalar).collect();
                    texts.map(|texts| texts.join(","))
                }
                value => scalar(value),
            };
            match text {
                Some(text) => drop(self.given.insert(setting.key, (source, text))),
                None => self.mistake(
                    source,
                    format!(
                        "a {} can't be used here; give a single value",
                        value.type_str()
                    ),
                ),
            }
        }
    }

    fn resolve(mut self) -> Result<Config, SettingsMistakes> {
        let limits = Limits::default();
        let timeouts = Timeouts::default();
        let bytes = |default: usize| NonZeroUsize::new(default).unwrap_or(NonZeroUsize::MIN);
        let config = Config {
            models: self.value("models", parse::path, "models".into()),
            model: self.value("model", parse::origins, Vec::new()),
            http: self.value("http", parse::address, "0.0.0.0:8080".to_owned()),
            grpc: self.value(
                "grpc",
                parse::address_or_off,
                Some("0.0.0.0:9000".to_owned()),
            ),
            device: self.value("device", parse::device, Device::Auto),
            onnxruntime_library: self.value(
                "onnxruntime_library",
                |text| parse::path(text).map(Some),
                None,
            ),
            // Respects CPU affinity and cgroup quotas.
            workers: self.value(
                "workers",
                parse::count,
                std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            ),
            queue_capacity: self.value("queue_capacity", parse::count, bytes(1024)),
            batch_tokens: self.value("batch_tokens", |text| parse::count(text).map(Some), None),
            precision: self.value("precision", parse::precision, PrecisionChoice::Auto),
            watch_interval: self.value(
                "watch_interval_ms",
                parse::interval,
                Some(Duration::from_secs(2)),
            ),
            limits: Limits {
                max_body_bytes: self
                    .value("max_body_bytes", parse::count, bytes(limits.max_body_bytes))
                    .get(),
                max_inputs: self
                    .value("max_inputs", parse::count, bytes(limits.max_inputs))
                    .get(),
                max_text_bytes: self
                    .value("max_text_bytes", parse::count, bytes(limits.max_text_bytes))
                    .get(),
            },
            timeouts: Timeouts {
                request: self.value("request_timeout_ms", parse::milliseconds, timeouts.request),
                max_request: self.value(
                    "max_request_timeout_ms",
                    parse::milliseconds,
                    timeouts.max_request,
                ),
                drain: self.value("drain_timeout_ms", parse::milliseconds, timeouts.drain),
            },
            log: LogOptions {
                format: self.value("log_format", parse::log_format, LogFormat::Text),
                filter: self.value("log", parse::log_filter, "info,ort=warn".to_owned()),
            },
        };
        self.check_timeouts(config.timeouts.request, config.timeouts.max_request);
        self.check_addresses(&config.http, config.grpc.as_deref());
        if self.mistakes.is_empty() {
            Ok(config)
        } else {
            Err(SettingsMistakes {
                mistakes: self.mistakes,
            })
        }
    }

    fn value<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, ValueError>,
        default: T,
    ) -> T {
        let Some((source, text)) = self.given.get(key) else {
            return default;
        };
        parse(text.trim()).unwrap_or_else(|error| {
            self.mistakes.push(Mistake {
                source: source.clone(),
                reason: error.to_string(),
            });
            default
        })
    }

    /// The default timeout of a request must not exceed the maximum.
    fn check_timeouts(&mut self, request: Duration, most: Duration) {
        if request <= most {
            return;
        }
        let source = |key: &str| self.given.get(key).map(|(source, _)| source.clone());
        let source = source("request_timeout_ms")
            .or_else(|| source("max_request_timeout_ms"))
            .unwrap_or_else(|| "request_timeout_ms".to_owned());
        let reason = format!(
            "request_timeout_ms is {}, more than max_request_timeout_ms, which is {}; lower the first or raise the second",
            request.as_millis(),
            most.as_millis()
        );
        self.mistake(source, reason);
    }

    /// Two servers can't listen on one address, except on port 0, where each gets a port of its own.
    fn check_addresses(&mut self, http: &str, grpc: Option<&str>) {
        if grpc != Some(http) || http.ends_with(":0") {
            return;
        }
        let given = ["grpc", "http"]
            .iter()
            .find_map(|key| self.given.get(key).map(|(source, _)| source.clone()));
        let reason =
            format!("HTTP and gRPC can't both listen on {http}; give one of them another port");
        self.mistake(given.unwrap_or_else(|| "grpc".to_owned()), reason);
    }

    fn mistake(&mut self, source: String, reason: String) {
        self.mistakes.push(Mistake { source, reason });
    }
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(settings: &[(&'static str, &str)]) -> SettingArguments {
        SettingArguments {
            config: None,
            settings: settings
                .iter()
                .map(|(key, value)| (*key, (*value).to_owned()))
                .collect(),
        }
    }

    fn resolved(
        flags: &[(&'static str, &str)],
        environment: &[(&str, &str)],
        file: Option<&str>,
    ) -> Result<Config, Vec<(String, String)>> {
        let look_up = |name: &str| {
            environment
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        resolve(
            &arguments(flags),
            look_up,
            file.map(|text| ("electra.toml", text)),
        )
        .map_err(|error| {
            error
                .mistakes
                .into_iter()
                .map(|mistake| (mistake.source, mistake.reason))
                .collect()
        })
    }

    #[test]
    fn nothing_given_is_the_defaults_the_help_text_shows() {
        let config = resolved(&[], &[], None).unwrap();
        let shown: Vec<(&'static str, &str)> = SETTINGS
            .iter()
            .filter(|setting| {
                let not_values = ["model", "onnxruntime_library", "workers", "batch_tokens"];
                !not_values.contains(&setting.key)
            })
            .map(|setting| (setting.key, setting.default))
            .collect();
        assert_eq!(resolved(&shown, &[], None).unwrap(), config);
        assert_eq!(config.batch_tokens, None);
        assert_eq!(
            config.workers,
            std::thread::available_parallelism().unwrap()
        );
    }

    #[test]
    fn flags_are_named_like_their_keys() {
        for setting in SETTINGS {
            assert_eq!(setting.long, setting.key.replace('_', "-"));
        }
    }

    #[test]
    fn flag_beats_environment_beats_file() {
        let file = Some("queue_capacity = 1\nworkers = 1\nlog = \"warn\"");
        let environment = [
            ("ELECTRA_QUEUE_CAPACITY", "2"),
            ("ELECTRA_WORKERS", "2"),
            ("ELECTRA_LOG", ""),
        ];
        let config = resolved(&[("queue_capacity", "3")], &environment, file).unwrap();
        assert_eq!((config.queue_capacity.get(), config.workers.get()), (3, 2));
        assert_eq!(
            config.log.filter, "warn",
            "an empty variable counts as not set"
        );
    }

    #[test]
    fn a_list_may_be_an_array_in_the_file() {
        let config = resolved(&[], &[], Some("model = [\"a/b\", \"c@v1\"]")).unwrap();
        let names: Vec<String> = config.model.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["a/b", "c@v1"]);
        let config = resolved(&[], &[("ELECTRA_MODEL", "a/b,c")], None).unwrap();
        assert_eq!(config.model.len(), 2);
    }

    #[test]
    fn a_wrong_value_that_is_overridden_does_no_harm() {
        assert_eq!(
            resolved(&[("workers", "2")], &[("ELECTRA_WORKERS", "many")], None)
                .unwrap()
                .workers
                .get(),
            2
        );
    }

    #[test]
    fn every_mistake_is_reported_with_its_source() {
        let mistakes = resolved(
            &[("workers", "0")],
            &[("ELECTRA_DEVICE", "gpu"), ("ELECTRA_HTTP", "8080")],
            Some("queue_capcity = 5\nmax_inputs = [1]\nbatch_tokens = -3"),
        )
        .unwrap_err();
        let mut sources: Vec<&str> = mistakes.iter().map(|(source, _)| source.as_str()).collect();
        sources.sort_unstable();
        assert_eq!(
            sources,
            [
                "--workers",
                "ELECTRA_DEVICE",
                "ELECTRA_HTTP",
                "electra.toml, key batch_tokens",
                "electra.toml, key max_inputs",
                "electra.toml, key queue_capcity",
            ]
        );
        let unknown = &mistakes
            .iter()
            .find(|(source, _)| source.ends_with("capcity"))
            .unwrap()
            .1;
        assert!(unknown.contains("`queue_capacity`"), "{unknown}");
    }

    #[test]
    fn a_file_that_is_not_toml_does_not_hide_other_mistakes() {
        let mistakes = resolved(&[("log_format", "xml")], &[], Some("workers = ")).unwrap_err();
        assert_eq!(mistakes.len(), 2);
    }

    #[test]
    fn the_default_time_of_a_request_must_be_allowed() {
        let mistakes = resolved(&[("max_request_timeout_ms", "1000")], &[], None).unwrap_err();
        assert_eq!(mistakes[0].0, "--max-request-timeout-ms");
    }

    #[test]
    fn grpc_is_off_or_has_an_address_of_its_own() {
        let grpc = |address: &str| resolved(&[("grpc", address), ("http", ":0")], &[], None);
        assert_eq!(grpc("off").unwrap().grpc, None);
        assert_eq!(grpc(":0").unwrap().grpc.as_deref(), Some("0.0.0.0:0"));
        let mistakes = resolved(&[], &[("ELECTRA_GRPC", ":8080")], None).unwrap_err();
        assert_eq!(mistakes[0].0, "ELECTRA_GRPC");
    }

    #[test]
    fn an_unreadable_file_is_a_mistake_beside_the_others() {
        let mut arguments = arguments(&[("workers", "x")]);
        arguments.config = Some("no/such/file.toml".to_owned());
        let error = load(&arguments, |_| None).unwrap_err();
        let sources: Vec<_> = error
            .mistakes
            .iter()
            .map(|mistake| mistake.source.as_str())
            .collect();
        assert_eq!(sources, ["--config", "--workers"]);
    }
}
