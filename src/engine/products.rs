//! Runs a model's matrix products alone, as the model runs them, to measure the machine's limit.

use std::num::NonZeroUsize;
use std::path::Path;

use half::f16;
use ort::session::builder::{GraphOptimizationLevel, PrepackedWeights, SessionBuilder};
use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;
use prost::Message as _;

use super::sessions::{configure, find_weights, share_weights};
use super::weights::{read_external, read_linear};
use super::{Device, EngineError, Runtime, operators};
use crate::export::graph::products::{ATTENTION_INPUTS, Element, ProductFeed, Products, Rows};
use crate::inference::Cores;
use crate::onnx;

/// The sizes that a batch's products depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchShape {
    /// Tokens of all sequences.
    pub tokens: usize,
    /// Number of sequences.
    pub sequences: usize,
    /// The length at which this many sequences of equal length are as much work for attention as the batch.
    pub attention_length: usize,
}

/// Sessions for the products of one model, for one worker. They compute on the caller's thread alone.
#[derive(Debug)]
pub struct ProductSessions {
    linear: Session,
    attention: Session,
    feeds: Vec<ProductFeed>,
    heads: usize,
    head_size: usize,
    /// Elements of the inputs, in each type.
    bytes: Vec<u8>,
    halves: Vec<f16>,
    floats: Vec<f32>,
}

impl ProductSessions {
    /// Opens sessions for a number of workers, which share the weights of the graph at `path`.
    ///
    /// # Errors
    /// If the weights can't be read, or ONNX Runtime refuses the graphs of products.
    pub fn open(
        runtime: &Runtime,
        path: &Path,
        products: &Products,
        workers: NonZeroUsize,
    ) -> Result<Vec<Self>, EngineError> {
        let linear = products.linear_graph();
        let weights = read_external(&linear, path, &runtime.weights)?;
        let named_weights = read_linear(&products.named_weights(), path, &runtime.weights)?;
        let prepacked = PrepackedWeights::new();
        let attention = products.attention_graph();
        (0..workers.get())
            .map(|_| {
                let builder = unoptimized(runtime, path)?;
                let builder = share_weights(builder, &weights, &prepacked)
                    .map_err(|error| load_error(path, &error))?;
                let operators = operators::domain(Cores::One, &named_weights)
                    .map_err(|error| load_error(path, &error))?;
                let builder = builder
                    .with_operators(operators)
                    .map_err(|error| load_error(path, &error))?;
                Ok(Self {
                    linear: commit(builder, &linear, path)?,
                    attention: commit(unoptimized(runtime, path)?, &attention, path)?,
                    feeds: products.feeds(),
                    heads: products.heads(),
                    head_size: products.head_size(),
                    bytes: Vec::new(),
                    halves: Vec::new(),
                    floats: Vec::new(),
                })
            })
            .collect()
    }

    /// Computes the linear products of a batch.
    ///
    /// # Errors
    /// If ONNX Runtime fails.
    pub fn run_linear(&mut self, shape: BatchShape) -> Result<(), EngineError> {
        let rows = |feed: &ProductFeed| match feed.rows {
            Rows::Tokens => shape.tokens,
            Rows::Sequences => shape.sequences,
        };
        let most = self.feeds.iter().map(|feed| rows(feed) * feed.width).max();
        self.reserve(most.unwrap_or(0));
        let inputs = self
            .feeds
            .iter()
            .map(|feed| {
                let dimensions = [rows(feed), feed.width];
                let elements = dimensions[0] * dimensions[1];
                let value: SessionInputValue = match feed.element {
                    Element::Byte => {
                        TensorRef::from_array_view((dimensions, &self.bytes[..elements]))?.into()
                    }
                    Element::Half => {
                        TensorRef::from_array_view((dimensions, &self.halves[..elements]))?.into()
                    }
                    Element::Single => {
                        TensorRef::from_array_view((dimensions, &self.floats[..elements]))?.into()
                    }
                };
                Ok((feed.name(), value))
            })
            .collect::<Result<Vec<_>, ort::Error>>()
            .map_err(EngineError::Runtime)?;
        self.linear
            .run(inputs)
            .map(drop)
            .map_err(EngineError::Runtime)
    }

    /// Computes attention's products of a batch, in all layers.
    ///
    /// # Errors
    /// If ONNX Runtime fails.
    pub fn run_attention(&mut self, shape: BatchShape) -> Result<(), EngineError> {
        let (batch, length) = (shape.sequences * self.heads, shape.attention_length);
        let size = self.head_size;
        self.reserve(batch * length * size);
        let dimensions = [
            [batch, length, size],
            [batch, size, length],
            [batch, length, size],
        ];
        let inputs = ATTENTION_INPUTS
            .iter()
            .zip(dimensions)
            .map(|(name, dimensions)| {
                let floats = &self.floats[..batch * length * size];
                let value = TensorRef::from_array_view((dimensions, floats))?;
                Ok((*name, SessionInputValue::from(value)))
            })
            .collect::<Result<Vec<_>, ort::Error>>()
            .map_err(EngineError::Runtime)?;
        self.attention
            .run(inputs)
            .map(drop)
            .map_err(EngineError::Runtime)
    }

    /// Extends the inputs to at least `elements` numbers of ordinary size. Only denormals and the like would change a
    /// product's time.
    fn reserve(&mut self, elements: usize) {
        for index in self.bytes.len()..elements {
            // 89 has no factor in common with 256, so its multiples visit every byte.
            let byte = u8::try_from(index * 89 % 256).unwrap_or_default();
            self.bytes.push(byte);
            let float = f32::from(byte) / 128.0 - 1.0;
            self.halves.push(f16::from_f32(float));
            self.floats.push(float);
        }
    }
}

/// Without optimizations: there is nothing to optimize, and products with equal inputs must not be merged.
#[allow(
    clippy::result_large_err,
    reason = "ort hands the builder back inside its errors"
)]
fn unoptimized(runtime: &Runtime, path: &Path) -> Result<SessionBuilder, EngineError> {
    configure(runtime, path, Device::Cpu, Cores::One)?
        .with_optimization_level(GraphOptimizationLevel::Disable)
        .and_then(|builder| find_weights(builder, path))
        .map_err(|error| load_error(path, &error))
}

fn commit(
    mut builder: SessionBuilder,
    model: &onnx::Model,
    path: &Path,
) -> Result<Session, EngineError> {
    builder
        .commit_from_memory(&model.encode_to_vec())
        .map_err(|error| load_error(path, &error))
}

fn load_error(path: &Path, error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Load {
        path: path.to_path_buf(),
        reason: format!("its matrix products alone are refused: {error}"),
    }
}
