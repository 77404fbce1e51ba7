//! The configuration and the log settings of a command.

use crate::config::{self, Config, SettingArguments, SettingsMistakes};
use crate::telemetry::tracing::LogOptions;

/// Reads the configuration from flags, the process's environment, and the file that they name.
pub(super) fn configuration(settings: &SettingArguments) -> Result<Config, SettingsMistakes> {
    config::load(settings, |name| std::env::var(name).ok())
}

/// One-shot commands log only warnings and errors, unless told otherwise.
pub(super) fn short_command_log(config: &Config, settings: &SettingArguments) -> LogOptions {
    let told = settings.settings.contains_key("log")
        || std::env::var("ELECTRA_LOG").is_ok_and(|log| !log.is_empty());
    let filter = if told {
        config.log.filter.clone()
    } else {
        "warn".to_owned()
    };
    LogOptions {
        format: config.log.format,
        filter,
    }
}
