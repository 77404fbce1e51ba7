//! `electra bench`.

use std::io::{self, ErrorKind, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use hyper::Uri;
use hyper::http::uri::Authority;
use indicatif::ProgressBar;

use super::configuration::{configuration, short_command_log};
use super::error::CliError;
use super::settings::{BenchSettings, Settings};
use crate::bench::drive::Load;
use crate::bench::lengths::Lengths;
use crate::bench::table::table;
use crate::bench::{self, BenchError, BenchOptions, BenchTexts, Via};
use crate::telemetry::tracing;

#[derive(Debug, Args)]
pub struct BenchArguments {
    /// Models to send requests to, in turn; required if the repository has more than one
    #[arg(value_name = "MODEL")]
    names: Vec<String>,
    /// Where requests go. http or grpc: to a server started for this run on a free port. service: through tokenizer,
    /// queue and decoding, without a transport. engine: full batches of tokens straight into the graph, the upper limit
    /// of any server [default: http]
    #[arg(
        long,
        value_name = "engine|service|http|grpc",
        hide_possible_values = true
    )]
    via: Option<ViaArgument>,
    /// Send requests to a server that is already running: http://HOST:PORT/PATH, or grpc://HOST:PORT
    #[arg(long, value_name = "URL", value_parser = place)]
    url: Option<ServerPlace>,
    /// The request body for --url, for servers other than electra: JSON in which {text} (for qa {question} and
    /// {context}) is replaced by a JSON string, quotes included
    #[arg(long, value_name = "TEMPLATE", requires = "url")]
    body: Option<String>,
    /// Lengths of sequences in tokens, special tokens included: sst2 (sentences), squad (questions with paragraphs), or
    /// uniform:A-B [default: uniform:5-128, within the model's maximum]
    #[arg(long, value_name = "LENGTHS")]
    lengths: Option<Lengths>,
    /// A file of your own texts, one per line; for qa, one JSON object with question and context per line
    #[arg(long, value_name = "FILE", conflicts_with = "lengths")]
    texts: Option<PathBuf>,
    /// Closed loop: the number of requests in flight; each answer is followed by the next request [default: 8 per
    /// worker]
    #[arg(long, value_name = "COUNT")]
    concurrency: Option<NonZeroUsize>,
    /// Open loop: requests per second at random times, or with %, a share of the throughput that a closed loop reaches
    /// first. Latency counts from the time when a request was due, so that stalls of the server are included
    #[arg(long, value_name = "RATE|SHARE%", value_parser = rate, conflicts_with = "concurrency")]
    rate: Option<Load>,
    /// Seconds to measure
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = positive_seconds)]
    seconds: Duration,
    /// Seconds to run before measuring
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    warm_up_seconds: Duration,
    /// Seed of random lengths, words and times: the same seed makes the same load
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings<BenchSettings>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ViaArgument {
    Engine,
    Service,
    Http,
    Grpc,
}

/// A server that is already running.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ServerPlace {
    Http(Uri),
    Grpc(Authority),
}

/// Measures, and prints a table or JSON.
///
/// # Errors
/// If the arguments are invalid, nothing could be measured, or no request was answered.
pub fn run(arguments: &BenchArguments) -> Result<(), CliError> {
    let options = options(arguments)?;
    let settings = &arguments.settings.arguments;
    let config = configuration(settings)?;
    tracing::init(&short_command_log(&config, settings))?;
    let progress = progress(&options);
    let report = bench::run(&options, &config);
    progress.finish_and_clear();
    let report = report?;
    let text = if arguments.json {
        serde_json::to_string_pretty(&report).map_err(CliError::failed)? + "\n"
    } else {
        table(&report)
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CliError::failed(error)),
        _ => Ok(()),
    }
}

impl From<BenchError> for CliError {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Usage(reason) => Self::Usage(reason),
            error => Self::failed(error),
        }
    }
}

fn options(arguments: &BenchArguments) -> Result<BenchOptions, CliError> {
    let via = match (&arguments.url, arguments.via) {
        (Some(ServerPlace::Http(url)), None | Some(ViaArgument::Http)) => Via::HttpAt {
            url: url.clone(),
            template: arguments.body.clone(),
        },
        (Some(ServerPlace::Grpc(_)), None | Some(ViaArgument::Grpc))
            if arguments.body.is_some() =>
        {
            let reason = "--body is for servers over HTTP; over gRPC requests are those of electra.v1.Electra.";
            return Err(CliError::Usage(reason.to_owned()));
        }
        (Some(ServerPlace::Grpc(address)), None | Some(ViaArgument::Grpc)) => {
            Via::GrpcAt(address.clone())
        }
        (Some(_), Some(_)) => {
            let reason = "--url determines the protocol; leave out --via.";
            return Err(CliError::Usage(reason.to_owned()));
        }
        (None, Some(ViaArgument::Engine)) => Via::Engine,
        (None, Some(ViaArgument::Service)) => Via::Service,
        (None, None | Some(ViaArgument::Http)) => Via::Http,
        (None, Some(ViaArgument::Grpc)) => Via::Grpc,
    };
    if via == Via::Engine && (arguments.rate.is_some() || arguments.concurrency.is_some()) {
        let reason = "--via engine runs full batches one after another; --concurrency and --rate are for service, http and grpc.";
        return Err(CliError::Usage(reason.to_owned()));
    }
    Ok(BenchOptions {
        models: arguments.names.clone(),
        via,
        texts: match &arguments.texts {
            Some(path) => BenchTexts::File(path.clone()),
            None => BenchTexts::Lengths(arguments.lengths),
        },
        load: arguments
            .rate
            .unwrap_or(Load::Concurrency(arguments.concurrency)),
        measured: arguments.seconds,
        warm_up: arguments.warm_up_seconds,
        seed: arguments.seed,
    })
}

/// Draws on standard error, and only if that is a terminal.
fn progress(options: &BenchOptions) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(format!(
        "measuring for {} s after {} s of warm-up",
        options.measured.as_secs_f64(),
        options.warm_up.as_secs_f64()
    ));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn place(text: &str) -> Result<ServerPlace, String> {
    let url = text.parse::<Uri>().map_err(|error| error.to_string())?;
    match (url.scheme_str(), url.authority()) {
        (Some("http"), Some(_)) => Ok(ServerPlace::Http(url)),
        (Some("grpc"), Some(address)) if address.port().is_some() && url.path() == "/" => {
            Ok(ServerPlace::Grpc(address.clone()))
        }
        _ => {
            let reason = "give http://HOST:PORT/PATH or grpc://HOST:PORT; TLS is not measured";
            Err(reason.to_owned())
        }
    }
}

fn rate(text: &str) -> Result<Load, String> {
    let wrong = || {
        "give requests per second above 0, such as 200, or a share of a closed loop's throughput, such as 80%"
            .to_owned()
    };
    let above_zero = |text: &str| {
        let number = text.parse::<f64>().map_err(|_| wrong())?;
        if number.is_finite() && number > 0.0 {
            Ok(number)
        } else {
            Err(wrong())
        }
    };
    match text.strip_suffix('%') {
        Some(share) => Ok(Load::RateShare(above_zero(share)? / 100.0)),
        None => Ok(Load::Rate(above_zero(text)?)),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok();
    seconds
        .filter(|seconds| *seconds <= 86_400.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "give seconds, at most 86400".to_owned())
}

fn positive_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("give seconds above 0".to_owned()),
        seconds => Ok(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_absolute_or_a_share() {
        assert_eq!(rate("250.5"), Ok(Load::Rate(250.5)));
        assert_eq!(rate("80%"), Ok(Load::RateShare(0.8)));
        for wrong in ["", "0", "-3", "NaN", "inf", "%", "0%", "fast"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn urls_are_plain_http_or_grpc() {
        let http = place("http://localhost:8080/classify");
        assert!(matches!(http, Ok(ServerPlace::Http(_))), "{http:?}");
        for grpc in ["grpc://[::1]:9000", "grpc://[::1]:9000/"] {
            let address = Authority::from_static("[::1]:9000");
            assert_eq!(place(grpc), Ok(ServerPlace::Grpc(address)));
        }
        for wrong in [
            "https://localhost/classify",
            "grpc://localhost",
            "grpc://localhost:9000/classify",
            "localhost:8080",
            "/classify",
            "http://",
            "",
        ] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_bounded() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert!(positive_seconds("0").is_err());
        for wrong in ["-1", "NaN", "1e9", "1s"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
