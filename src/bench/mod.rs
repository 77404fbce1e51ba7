//! `electra bench`: puts load on a model, in the engine alone, through the service, over HTTP or gRPC, and reports what was
//! reached beside what the machine could do.

pub mod batches;
pub mod drive;
pub mod engine;
pub mod grpc;
mod grpc_client;
pub mod http;
pub mod lengths;
pub mod limit;
pub mod load;
pub mod report;
pub mod requests;
pub mod server;
pub mod service;
pub mod statistics;
pub mod subject;
pub mod table;
pub mod texts;

mod run;
mod ways;

use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;
use hyper::http::uri::Authority;
use thiserror::Error;

use self::drive::Load;
use self::lengths::Lengths;
use crate::app::{RunError, StartError};
use crate::engine::{EngineError, RuntimeError};
use crate::model_folder::ScanError;

pub use run::run;

/// What to measure.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// The models to ask, by name; the only one there is where none is named.
    pub models: Vec<String>,
    /// Where requests go.
    pub via: Via,
    /// What they are made of.
    pub texts: Texts,
    /// When they are sent; the engine's own loop takes no heed of it.
    pub load: Load,
    /// Time that is measured.
    pub measured: Duration,
    /// Time before it that is not.
    pub warm_up: Duration,
    /// What everything random is made of.
    pub seed: u64,
}

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// Straight into the graph, as full batches of tokens.
    Engine,
    /// To the service, in this process.
    Service,
    /// To a server in this process, over HTTP.
    Http,
    /// To a server in this process, over gRPC.
    Grpc,
    /// To a server that runs already, over HTTP.
    HttpAt {
        /// Where to post requests to: `http`, with a host.
        url: Uri,
        /// The body, with places for the text, or the question and the context; that of the task's route if absent.
        template: Option<String>,
    },
    /// To a server that runs already, over gRPC.
    GrpcAt(Authority),
}

impl Via {
    /// The name of the way.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Service => "service",
            Self::Http | Self::HttpAt { .. } => "http",
            Self::Grpc | Self::GrpcAt(_) => "grpc",
        }
    }

    /// Where the server is, if it runs already.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        match self {
            Self::Engine | Self::Service | Self::Http | Self::Grpc => None,
            Self::HttpAt { url, .. } => Some(url.to_string()),
            Self::GrpcAt(address) => Some(format!("grpc://{address}")),
        }
    }
}

/// What requests are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Texts {
    /// Made texts of these lengths; absent, of the default lengths as far as the model takes them.
    Lengths(Option<Lengths>),
    /// The lines of a file.
    File(PathBuf),
}

/// Why nothing could be measured.
#[derive(Debug, Error)]
pub enum BenchError {
    /// It was asked for wrongly: a sentence that says how it should be.
    #[error("{0}")]
    Usage(String),
    /// There are no models.
    #[error(transparent)]
    Models(#[from] ScanError),
    /// A model can't be used.
    #[error("The model `{name}` can't be measured: {reason}")]
    Model {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// The server does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The server failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// ONNX Runtime can't be loaded.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A graph can't be loaded or run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The system refuses a thread or a socket.
    #[error("The load can't be made: {0}")]
    System(#[from] std::io::Error),
    /// No request was answered.
    #[error("No request was answered. {0}")]
    NoAnswer(String),
}
