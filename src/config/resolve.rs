//! Resolves the configuration: flags override environment variables, which override the file, which overrides defaults.
//! Reports all mistakes at once.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use super::parse::ValueError;
use super::{Config, Mistake, SETTINGS, Setting, SettingsMistakes, memory, parse};
use crate::access::{AccessOptions, Digest};
use crate::batch::PriorityAccess;
use crate::browsers::BrowserPolicy;
use crate::connections::ConnectionOptions;
use crate::engine::Device;
use crate::export::PrecisionChoice;
use crate::limits::{Limits, Timeouts};
use crate::suggest::suggestion;
use crate::telemetry::tracing::{LogFormat, LogOptions};
use crate::text_file;
use crate::tls::TlsFiles;

/// The variable of the key that may do everything. There is no flag for it, which others on the machine could read.
const API_KEY: &str = "ELECTRA_API_KEY";

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
        environment_key: None,
    };
    if let Some(key) = environment(API_KEY) {
        match parse::api_key(&key) {
            Ok(digest) => resolver.environment_key = Some(digest),
            Err(error) => resolver.mistake(API_KEY.to_owned(), error.to_string()),
        }
    }
    // Else a variable that was not filled in would serve everybody.
    let of_keys = Setting::named("api_keys").map(Setting::variable);
    if let Some(variable) = of_keys
        && environment(&variable).is_some_and(|value| value.is_empty())
    {
        let reason = "it is empty; name the file of keys, or unset it to serve without keys";
        resolver.mistake(variable, reason.to_owned());
    }
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
    environment_key: Option<Digest>,
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
        let timeouts = Timeouts::default();
        let admin_http = self.value("admin_http", parse::address_or_off, None);
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
            queue_capacity: self.value("queue_capacity", parse::count, bytes(65536)),
            max_queue: self.value("max_queue_ms", parse::milliseconds, Duration::from_secs(1)),
            batch_tokens: self.value("batch_tokens", |text| parse::count(text).map(Some), None),
            precision: self.value("precision", parse::precision, PrecisionChoice::Auto),
            load_timeout: self.value(
                "load_timeout_ms",
                parse::milliseconds,
                Duration::from_mins(5),
            ),
            watch_interval: self.value(
                "watch_interval_ms",
                parse::interval,
                Some(Duration::from_secs(2)),
            ),
            limits: self.limits(),
            max_inflight_bytes: self.value(
                "max_inflight_bytes",
                parse::count,
                bytes(memory::default_inflight_bytes()),
            ),
            timeouts: Timeouts {
                request: self.value("request_timeout_ms", parse::milliseconds, timeouts.request),
                max_request: self.value(
                    "max_request_timeout_ms",
                    parse::milliseconds,
                    timeouts.max_request,
                ),
                shutdown_delay: self.value(
                    "shutdown_delay_ms",
                    parse::delay,
                    timeouts.shutdown_delay,
                ),
                drain: self.value("drain_timeout_ms", parse::milliseconds, timeouts.drain),
            },
            connections: self.connections(),
            browsers: self.browsers(),
            access: self.access(admin_http.is_some()),
            admin_http,
            tls: self.tls(),
            priorities: self.value("priorities", parse::priorities, PriorityAccess::Any),
            log: LogOptions {
                format: self.value("log_format", parse::log_format, LogFormat::Text),
                filter: self.value(
                    "log",
                    parse::log_filter,
                    "info,ort=warn,h2=error".to_owned(),
                ),
            },
        };
        self.check_timeouts(config.timeouts.request, config.timeouts.max_request);
        self.check_addresses(&config);
        if self.mistakes.is_empty() {
            Ok(config)
        } else {
            Err(SettingsMistakes {
                mistakes: self.mistakes,
            })
        }
    }

    fn connections(&mut self) -> ConnectionOptions {
        let default = ConnectionOptions::default();
        ConnectionOptions {
            max_connections: self.value("max_connections", parse::count, default.max_connections),
            trusted_proxies: self.value(
                "trusted_proxies",
                parse::trusted_proxies,
                default.trusted_proxies,
            ),
        }
    }

    fn browsers(&mut self) -> BrowserPolicy {
        let default = BrowserPolicy::default();
        BrowserPolicy {
            allowed_hosts: self.value("allowed_hosts", parse::allowed_hosts, default.allowed_hosts),
            cors_allow_origins: self.value(
                "cors_allow_origins",
                parse::allowed_origins,
                default.cors_allow_origins,
            ),
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

    fn limits(&mut self) -> Limits {
        let limits = Limits::default();
        Limits {
            max_body_bytes: self
                .value("max_body_bytes", parse::count, bytes(limits.max_body_bytes))
                .get(),
            max_inputs: self
                .value("max_inputs", parse::count, bytes(limits.max_inputs))
                .get(),
            max_text_bytes: self
                .value("max_text_bytes", parse::count, bytes(limits.max_text_bytes))
                .get(),
        }
    }

    fn access(&mut self, is_administration_apart: bool) -> AccessOptions {
        AccessOptions {
            environment_key: self.environment_key,
            key_file: self.value("api_keys", parse::file, None),
            model_control: self.value("model_control", parse::switch, false),
            is_administration_apart,
        }
    }

    /// The files of TLS. None of them is of use without the server's certificate and its key.
    fn tls(&mut self) -> Option<TlsFiles> {
        let certificate = self.value("tls_certificate", parse::file, None);
        let key = self.value("tls_key", parse::file, None);
        let client_ca = self.value("tls_client_ca", parse::file, None);
        let (of, reason) = match (certificate, key, &client_ca) {
            (Some(certificate), Some(key), _) => {
                return Some(TlsFiles {
                    certificate,
                    key,
                    client_ca,
                });
            }
            (None, None, None) => return None,
            (Some(_), None, _) => (
                "tls_certificate",
                "TLS needs the certificate's key too; set tls_key",
            ),
            (None, Some(_), _) => (
                "tls_key",
                "TLS needs the key's certificate too; set tls_certificate",
            ),
            (None, None, Some(_)) => (
                "tls_client_ca",
                "clients show certificates only over TLS; set tls_certificate and tls_key too",
            ),
        };
        let source = self.given.get(of).map(|(source, _)| source.clone());
        self.mistake(source.unwrap_or_else(|| of.to_owned()), reason.to_owned());
        None
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

    /// Two listeners can't have one address, except port 0, where each gets a port of its own.
    fn check_addresses(&mut self, config: &Config) {
        let addresses = [
            ("http", Some(&config.http)),
            ("grpc", config.grpc.as_ref()),
            ("admin_http", config.admin_http.as_ref()),
        ];
        for (position, (key, address)) in addresses.iter().enumerate() {
            let same = |(_, other): &&(_, Option<&String>)| other == address;
            let Some(address) = address.filter(|address| !address.ends_with(":0")) else {
                continue;
            };
            let Some((other, _)) = addresses[..position].iter().find(same) else {
                continue;
            };
            let given = [*key, *other];
            let given = given.iter().find_map(|key| self.given.get(key));
            let source = given.map_or_else(|| (*key).to_owned(), |(source, _)| source.clone());
            let reason = format!(
                "{other} and {key} can't both listen on {address}; give one of them another port"
            );
            self.mistake(source, reason);
        }
    }

    fn mistake(&mut self, source: String, reason: String) {
        self.mistakes.push(Mistake { source, reason });
    }
}

fn bytes(default: usize) -> NonZeroUsize {
    NonZeroUsize::new(default).unwrap_or(NonZeroUsize::MIN)
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
mod tests;
