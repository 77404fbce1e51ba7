//! Flags for configuration settings, generated from the table of settings.

use clap::error::Error;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::config::{SETTINGS, Setting, SettingArguments};

/// The settings that a command takes.
pub trait SettingsSelection {
    fn takes(key: &str) -> bool;
}

#[derive(Clone, Copy, Debug)]
pub struct AllSettings;

impl SettingsSelection for AllSettings {
    fn takes(_: &str) -> bool {
        true
    }
}

/// For commands that run models without a server.
#[derive(Clone, Copy, Debug)]
pub struct LocalSettings;

impl SettingsSelection for LocalSettings {
    fn takes(key: &str) -> bool {
        matches!(
            key,
            "models"
                | "device"
                | "onnxruntime_library"
                | "workers"
                | "batch_tokens"
                | "max_inputs"
                | "max_text_bytes"
                | "log"
        )
    }
}

/// For commands that add a model to the repository.
#[derive(Clone, Copy, Debug)]
pub struct RepositorySettings;

impl SettingsSelection for RepositorySettings {
    fn takes(key: &str) -> bool {
        matches!(key, "models" | "onnxruntime_library" | "log_format" | "log")
    }
}

/// For commands that put load on a server of their own, which chooses its addresses, has no TLS, and serves existing models.
#[derive(Clone, Copy, Debug)]
pub struct BenchSettings;

impl SettingsSelection for BenchSettings {
    fn takes(key: &str) -> bool {
        let of_a_server = [
            "http",
            "grpc",
            "admin_http",
            "api_keys",
            "model_control",
            "model",
        ];
        !of_a_server.contains(&key) && !key.starts_with("tls_")
    }
}

#[derive(Clone, Debug)]
pub struct Settings<S> {
    /// Not yet parsed.
    pub arguments: SettingArguments,
    selection: std::marker::PhantomData<S>,
}

fn selected<S: SettingsSelection>() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| S::takes(setting.key))
}

impl<S: SettingsSelection> Args for Settings<S> {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .help("A TOML file of settings [env: ELECTRA_CONFIG]")
            .help_heading("Settings");
        selected::<S>().fold(command.arg(config), |command, setting| {
            let name = setting.key;
            let help = format!(
                "{} [env: {}] [default: {}]",
                setting.help,
                setting.variable(),
                setting.default
            );
            // Values are validated together with those of the environment and the file, so that all mistakes are
            // reported at once.
            let argument = Arg::new(name)
                .long(setting.long)
                .value_name(setting.value)
                .help(help)
                .help_heading("Settings")
                .action(if setting.is_list {
                    ArgAction::Append
                } else {
                    ArgAction::Set
                });
            command.arg(argument.allow_hyphen_values(true))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: SettingsSelection> FromArgMatches for Settings<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = |key: &str| {
            let values: Vec<&str> = matches
                .get_many::<String>(key)?
                .map(String::as_str)
                .collect();
            Some(values.join(","))
        };
        let settings = selected::<S>()
            .filter_map(|setting| Some((setting.key, given(setting.key)?)))
            .collect();
        let arguments = SettingArguments {
            config: given("config"),
            settings,
        };
        Ok(Self {
            arguments,
            selection: std::marker::PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Serve {
        #[command(flatten)]
        settings: Settings<AllSettings>,
    }

    #[test]
    fn every_setting_is_a_flag() {
        let mut line = vec!["electra".to_owned(), "--config=f.toml".to_owned()];
        line.extend(
            SETTINGS
                .iter()
                .map(|setting| format!("{}={}", setting.flag(), setting.key)),
        );
        let arguments = Serve::try_parse_from(line).unwrap().settings.arguments;
        assert_eq!(arguments.config.as_deref(), Some("f.toml"));
        assert_eq!(arguments.settings.len(), SETTINGS.len());
        assert!(arguments.settings.iter().all(|(key, value)| key == value));
    }

    #[test]
    fn the_values_of_a_list_add_up() {
        let arguments = Serve::try_parse_from(["electra", "--model=a/b", "--model", "c"]).unwrap();
        let settings = arguments.settings.arguments.settings;
        assert_eq!(settings.get("model").map(String::as_str), Some("a/b,c"));
        assert!(Serve::try_parse_from(["electra", "--http=:1", "--http=:2"]).is_err());
    }

    #[test]
    fn the_help_text_names_variables_and_defaults() {
        let help = Serve::command().render_long_help().to_string();
        let words: Vec<&str> = help.split_whitespace().collect();
        assert!(
            words
                .join(" ")
                .contains("[env: ELECTRA_QUEUE_CAPACITY] [default: 65536]"),
            "{help}"
        );
    }

    #[test]
    fn the_command_line_is_consistent() {
        crate::cli::Arguments::command().debug_assert();
    }
}
