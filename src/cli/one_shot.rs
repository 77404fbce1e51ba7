//! Shared by `discriminate`, `classify`, `tag` and `qa`: answers each argument or line of standard input with one JSON
//! line, through the same service as the server.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::runtime::{self, Runtime};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::configuration::{configuration, short_command_log};
use super::error::CliError;
use super::lines::{self, IN_FLIGHT, InputFormat, Line, Lines, Options};
use super::settings::{LocalSettings, Settings};
use crate::app::{self, App};
use crate::batch::Priority;
use crate::error::ServiceError;
use crate::registry::{DefaultModel, ModelState};
use crate::service::{RequestContext, Service, TaskOperation, json};
use crate::task::Task;
use crate::telemetry::tracing;

/// Effectively no deadline: the user waits, and can interrupt.
const PATIENCE: Duration = Duration::from_hours(30 * 24);

#[derive(Debug, Args)]
pub struct CommonArguments {
    /// The model to use; by default the first by name that has the task
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// The format of lines on standard input [default: auto]
    #[arg(long, value_name = "FORMAT")]
    input_format: Option<InputFormat>,
    #[command(flatten)]
    settings: Settings<LocalSettings>,
}

/// Parses a flag's number as JSON does: NaN and infinity are refused.
///
/// # Errors
/// If it is not a number.
pub fn number(text: &str) -> Result<serde_json::Number, String> {
    serde_json::from_str(text).map_err(|_| "give a number, such as 0.5".to_owned())
}

/// Answers the given bodies, or the lines of standard input if there are none.
///
/// # Errors
/// If the arguments are invalid, the model can't answer, or an input failed.
pub fn run<O: TaskOperation>(
    common: &CommonArguments,
    options: Options,
    bodies: &[Value],
) -> Result<(), CliError> {
    let task = O::TASK;
    let options = options.with("model", common.model.clone());
    check_options::<O>(&options)?;
    let from_stdin = bodies.is_empty();
    if from_stdin && io::stdin().is_terminal() {
        return Err(CliError::Usage(format!(
            "Nothing to do. Give an input as an argument, or pipe lines into it; see `electra {task} --help`."
        )));
    }
    let format = input_format(task, common, from_stdin)?;
    let (runtime, app) = start(common)?;
    let name = common.model.as_deref();
    load(&app, task, name)?;
    app.service()
        .find(task, name)
        .model
        .map_err(CliError::failed)?;
    let lines = if from_stdin {
        lines::read_stdin(format)
    } else {
        lines::from_bodies(bodies)
    };
    let progress = if from_stdin {
        progress()
    } else {
        ProgressBar::hidden()
    };
    let outcome = runtime.block_on(answer_all::<O>(
        &app,
        &options,
        lines,
        &mut io::stdout().lock(),
        &progress,
    ));
    progress.finish_and_clear();
    outcome
}

/// Builds the parts of a server, without listening, for a one-shot command.
pub(super) fn start(common: &CommonArguments) -> Result<(Runtime, App), CliError> {
    start_with(&common.settings.arguments)
}

pub(super) fn start_with(
    settings: &crate::config::SettingArguments,
) -> Result<(Runtime, App), CliError> {
    let mut config = configuration(settings)?;
    tracing::init(&short_command_log(&config, settings))?;
    // The number of lines in flight bounds the queue.
    config.queue_capacity = NonZeroUsize::MAX;
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(config.workers.get())
        .enable_all()
        .build()
        .map_err(CliError::failed)?;
    let app = {
        let _context = runtime.enter();
        app::build(&config.unguarded()).map_err(CliError::failed)?
    };
    Ok((runtime, app))
}

/// Questions have two parts, which only JSON can separate.
fn input_format(
    task: Task,
    common: &CommonArguments,
    from_stdin: bool,
) -> Result<InputFormat, CliError> {
    match (task, common.input_format) {
        (_, Some(_)) if !from_stdin => Err(CliError::Usage(
            "--input-format is for lines of standard input; a text given as an argument is used unchanged."
                .to_owned(),
        )),
        (Task::Qa, Some(InputFormat::Text)) => Err(CliError::Usage(
            "A line of text can't hold a question and its context; give lines of JSON, as {\"question\": …, \"context\": …}."
                .to_owned(),
        )),
        (Task::Qa, _) => Ok(InputFormat::Jsonl),
        (_, format) => Ok(format.unwrap_or_default()),
    }
}

/// A request context without an effective deadline.
pub(super) fn patient_context() -> RequestContext {
    RequestContext::new(Priority::default(), Instant::now() + PATIENCE)
}

/// Wrong options are the caller's mistake, not each input's.
fn check_options<O: TaskOperation>(options: &Options) -> Result<(), CliError> {
    let mut body = if O::TASK == Task::Qa {
        json!({"question": "a", "context": "a"})
    } else {
        json!({"text": "a"})
    };
    if let Some(body) = body.as_object_mut() {
        body.extend(options.0.clone());
    }
    match json::parse::<O>(body.to_string().as_bytes()) {
        Ok(_) => Ok(()),
        Err(error) => Err(CliError::Usage(error.to_string())),
    }
}

/// Loads the model that answers a request, unless it is loaded.
fn load(app: &App, task: Task, asked: Option<&str>) -> Result<(), CliError> {
    let registry = app.service().registry();
    let load_one = |address: &str| match (registry.state(address), registry.find(address)) {
        (Some(ModelState::Loading), Some(name)) => {
            app.load(|found| found == &*name).map_err(CliError::failed)
        }
        _ => Ok(()),
    };
    if let Some(name) = asked {
        return load_one(name);
    }
    while let DefaultModel::Pending(name) = registry.default_model(task) {
        load_one(&name)?;
    }
    match registry.default_model(task) {
        DefaultModel::Known(name) => load_one(&name),
        DefaultModel::Pending(_) | DefaultModel::None => Ok(()),
    }
}

/// Draws on standard error, and only if that is a terminal.
fn progress() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} lines, {per_sec}, {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Answers lines as they come, several at a time, and writes one line each in their order.
async fn answer_all<O: TaskOperation>(
    app: &App,
    options: &Options,
    mut lines: Lines,
    output: &mut impl Write,
    progress: &ProgressBar,
) -> Result<(), CliError> {
    let mut running: VecDeque<JoinHandle<Result<String, ServiceError>>> = VecDeque::new();
    let mut more = true;
    let mut failed = false;
    while more || !running.is_empty() {
        tokio::select! {
            biased;
            answer = async { match running.front_mut() { Some(front) => front.await, None => std::future::pending().await } } => {
                running.pop_front();
                let (line, is_error) = written(answer.map_err(ServiceError::internal).and_then(|answer| answer));
                failed |= is_error;
                if let Err(error) = progress.suspend(|| write_line(output, &line)) {
                    // The reader of the pipe has closed it, as `head` does.
                    return if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(CliError::failed(error)) };
                }
                progress.inc(1);
            }
            line = lines.recv(), if more && running.len() < IN_FLIGHT => match line {
                Some(line) => {
                    let line = line.map_err(|error| CliError::Failed(format!("Standard input can't be read: {error}")))?;
                    running.push_back(begin::<O>(app, options, &line)?);
                }
                None => more = false,
            },
        }
    }
    if failed {
        Err(CliError::Reported)
    } else {
        Ok(())
    }
}

fn write_line(output: &mut impl Write, line: &str) -> io::Result<()> {
    writeln!(output, "{line}")?;
    output.flush()
}

/// The output line of a failed input, in the format of HTTP errors.
#[derive(Serialize)]
struct ErrorLine {
    error: String,
    code: &'static str,
}

/// The output line as JSON, and whether it is an error.
fn written(answer: Result<String, ServiceError>) -> (String, bool) {
    match answer {
        Ok(line) => (line, false),
        Err(error) => {
            let line = ErrorLine {
                error: error.to_string(),
                code: error.code(),
            };
            (serde_json::to_string(&line).unwrap_or_default(), true)
        }
    }
}

fn begin<O: TaskOperation>(
    app: &App,
    options: &Options,
    line: &Line,
) -> Result<JoinHandle<Result<String, ServiceError>>, CliError> {
    let body = lines::body(O::TASK, line, options);
    if let Some(name) = body
        .as_ref()
        .ok()
        .and_then(|body| body.get("model"))
        .and_then(Value::as_str)
    {
        tokio::task::block_in_place(|| load(app, O::TASK, Some(name)))?;
    }
    let service = app.service().clone();
    Ok(tokio::spawn(async move {
        answer::<O>(&service, Value::Object(body?)).await
    }))
}

async fn answer<O: TaskOperation>(service: &Service, body: Value) -> Result<String, ServiceError> {
    let operation: O = json::from_value(body, "The body")?;
    let answer = service.answer(operation, &patient_context()).await?;
    json::write(&answer.output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{ClassifyRequest, DiscriminateRequest, QaRequest, TagRequest};

    #[test]
    fn wrong_options_are_found_before_anything_is_loaded() {
        fn refuses<O: TaskOperation>(field: &str, value: Value) -> bool {
            let options = Options::default().with(field, Some(value));
            matches!(check_options::<O>(&options), Err(CliError::Usage(_)))
        }
        assert!(!refuses::<QaRequest>("top_k", json!(3)));
        assert!(refuses::<QaRequest>("top_k", json!(0)));
        assert!(refuses::<TagRequest>("aggregation", json!("frist")));
        assert!(refuses::<DiscriminateRequest>("threshold", json!(2)));
        assert!(refuses::<ClassifyRequest>("function", json!("softmx")));
    }
}
