//! `electra bench`: measures models under load, in the engine alone, through the service, or over HTTP or gRPC.
//! Compares the result with the machine's limit.

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

#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// Names of the models. If empty, the repository's only model.
    pub models: Vec<String>,
    pub via: Via,
    /// The source of the requests' texts.
    pub texts: BenchTexts,
    /// When requests are sent. The engine's own loop ignores it.
    pub load: Load,
    /// Duration of the measurement.
    pub measured: Duration,
    /// Time before the measurement.
    pub warm_up: Duration,
    /// Seed of everything random.
    pub seed: u64,
}

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// Full batches of tokens, straight into the graph.
    Engine,
    /// The service, in this process.
    Service,
    /// A server in this process, over HTTP.
    Http,
    /// A server in this process, over gRPC.
    Grpc,
    /// A running server, over HTTP.
    HttpAt {
        /// The URL to post to: `http`, with a host.
        url: Uri,
        /// The request body, with placeholders for the text, or for question and context. That of the task's route if
        /// absent.
        template: Option<String>,
    },
    /// A running server, over gRPC.
    GrpcAt(Authority),
}

impl Via {
    /// Its name on the command line.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Service => "service",
            Self::Http | Self::HttpAt { .. } => "http",
            Self::Grpc | Self::GrpcAt(_) => "grpc",
        }
    }

    /// The address of a running server.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        match self {
            Self::Engine | Self::Service | Self::Http | Self::Grpc => None,
            Self::HttpAt { url, .. } => Some(url.to_string()),
            Self::GrpcAt(address) => Some(format!("grpc://{address}")),
        }
    }
}

/// The source of the requests' texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BenchTexts {
    /// Generated texts of these lengths. If `None`, default lengths within the model's maximum.
    Lengths(Option<Lengths>),
    /// The lines of a file.
    File(PathBuf),
}

/// Why nothing could be measured.
#[derive(Debug, Error)]
pub enum BenchError {
    /// The arguments are invalid. The sentence says what would be right.
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Models(#[from] ScanError),
    /// A model can't be used.
    #[error("The model `{name}` can't be measured: {reason}")]
    Model { name: String, reason: String },
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A graph can't be loaded or run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The system refuses a thread or a socket.
    #[error("The load can't be started: {0}")]
    System(#[from] std::io::Error),
    /// No request was answered.
    #[error("No request was answered. {0}")]
    NoAnswer(String),
}
