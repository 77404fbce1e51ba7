//! `electra key`.

use clap::Args;

use super::error::CliError;
use crate::access::{NewKey, Scopes, is_name};

#[derive(Debug, Args)]
pub struct KeyArguments {
    /// What logs and metrics call the key: letters, digits and `._-`
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
    /// What the key may be used for: infer, metrics or admin, or several with commas between them
    #[arg(long, value_name = "SCOPES", default_value = "infer")]
    scope: Scopes,
}

/// Makes a key. Shows it once, and the line for the file of keys.
///
/// # Errors
/// If the operating system gives no random bytes.
pub fn run(arguments: &KeyArguments) -> Result<(), CliError> {
    let key = NewKey::random()
        .map_err(|_| CliError::Failed("The system gives no random bytes.".to_owned()))?;
    let KeyArguments { name, scope } = arguments;
    // What is said about the two lines is not in the way of programs that read them.
    eprintln!(
        "The key, shown only now, for the header `authorization: Bearer KEY`; and its line for api_keys:"
    );
    println!("{}", key.reveal());
    println!("{name} {scope} {}", key.digest());
    Ok(())
}

fn name(text: &str) -> Result<String, String> {
    if is_name(text) {
        Ok(text.to_owned())
    } else {
        Err("give 1 to 64 letters, digits and `._-`".to_owned())
    }
}
