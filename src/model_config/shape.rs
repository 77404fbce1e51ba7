//! The sizes of an ELECTRA model, from which its graph is built.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::config_json::{DEFAULT_MAX_TOKENS, DEFAULT_TOKEN_TYPES, ModelConfig};
use super::entries::{Entries, refused};
use super::error::ConfigError;
use crate::activation::Activation;
use crate::quote::quoted;

/// Far above any real model; ELECTRA large has 24. A graph takes some 20 kB for each layer, whatever its weights.
const MOST_LAYERS: usize = 512;
const PRUNED_HEADS: &str = "pruned_heads";

/// The sizes of an ELECTRA model, by their names in transformers' `ElectraConfig`.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelShape {
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// Width of the embeddings, before the projection to `hidden_size`.
    pub embedding_size: usize,
    /// Width of the encoder.
    pub hidden_size: usize,
    /// Number of encoder layers.
    pub num_hidden_layers: usize,
    /// Number of attention heads per layer.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// The feed-forward layer's activation.
    pub hidden_act: Activation,
    /// Length of the longest sequence in tokens, special tokens included.
    pub max_position_embeddings: usize,
    /// Rows of the token type embedding.
    pub type_vocab_size: usize,
    /// Epsilon of every LayerNorm; may be 0.
    pub layer_norm_eps: f32,
    /// Attention heads, by layer, that were pruned from the checkpoint's tensors.
    pub pruned_heads: BTreeMap<usize, BTreeSet<usize>>,
}

/// Returns the shape of the checkpoint's tensor with this name.
pub type TensorShape<'t> = dyn Fn(&str) -> Option<&'t [usize]> + 't;

impl ModelShape {
    /// Determines the shape from config.json. Sizes that it omits are taken from the tensors, or else from the defaults
    /// of `ElectraConfig`.
    ///
    /// # Errors
    /// [`ConfigError::Value`], if this is not an ELECTRA model, or if it uses an option that the exporter does not
    /// support.
    pub fn new(config: &ModelConfig, tensor: &TensorShape<'_>) -> Result<Self, ConfigError> {
        let entries = &config.entries;
        check_kind(entries)?;
        let size = |key: &str, (name, axis): (&str, usize), default: usize| {
            let told = || tensor(name).and_then(|shape| shape.get(axis).copied());
            let said = entries.count(key, 1)?;
            Ok(said.or_else(told).unwrap_or(default))
        };
        let layers = layers(tensor);
        let num_hidden_layers = entries.count("num_hidden_layers", 1)?;
        if let (Some(said), 1..) = (num_hidden_layers, layers)
            && said > layers
        {
            let reason = format!("is {said}, but the weights have {layers} layers");
            return Err(ConfigError::value("num_hidden_layers", reason));
        }
        let default = if layers > 0 { layers } else { 12 };
        let num_hidden_layers = num_hidden_layers.unwrap_or(default);
        if num_hidden_layers > MOST_LAYERS {
            let reason = format!("is {num_hidden_layers}, but must be at most {MOST_LAYERS}");
            return Err(ConfigError::value("num_hidden_layers", reason));
        }
        let shape = Self {
            vocab_size: size("vocab_size", (WORDS, 0), 30_522)?,
            embedding_size: size("embedding_size", (WORDS, 1), 128)?,
            hidden_size: size("hidden_size", (FIRST_OUTPUT, 0), 256)?,
            num_hidden_layers,
            num_attention_heads: entries.count("num_attention_heads", 1)?.unwrap_or(4),
            intermediate_size: size("intermediate_size", (FIRST_OUTPUT, 1), 1024)?,
            hidden_act: activation(entries)?,
            max_position_embeddings: size(
                "max_position_embeddings",
                (POSITIONS, 0),
                DEFAULT_MAX_TOKENS,
            )?,
            type_vocab_size: size("type_vocab_size", (TOKEN_TYPES, 0), DEFAULT_TOKEN_TYPES)?,
            #[expect(
                clippy::cast_possible_truncation,
                reason = "PyTorch adds it to 32-bit floats too"
            )]
            layer_norm_eps: entries.number("layer_norm_eps")?.unwrap_or(1e-12) as f32,
            pruned_heads: BTreeMap::new(),
        };
        if !shape.hidden_size.is_multiple_of(shape.num_attention_heads) {
            let reason = format!(
                "is {}, which is not a multiple of `num_attention_heads`, {}",
                shape.hidden_size, shape.num_attention_heads
            );
            return Err(ConfigError::value("hidden_size", reason));
        }
        Ok(Self {
            pruned_heads: pruned_heads(entries, &shape)?,
            ..shape
        })
    }

    /// Width of one attention head.
    #[must_use]
    pub fn head_size(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// The sizes, by their keys in config.json.
    fn sizes(&self) -> [(&'static str, usize); 8] {
        [
            ("vocab_size", self.vocab_size),
            ("embedding_size", self.embedding_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
        ]
    }
}

impl ModelConfig {
    /// The shape of the graph in the same folder. An export writes all sizes into config.json.
    ///
    /// # Errors
    /// As for [`ModelShape::new`].
    pub fn shape(&self) -> Result<ModelShape, ConfigError> {
        ModelShape::new(self, &|_| None)
    }

    /// Returns the content of a config.json for a graph of this shape. It has every size that the graph was built with.
    /// It omits options that the graph does not have, such as pruned heads.
    #[must_use]
    pub fn json_of(&self, shape: &ModelShape) -> String {
        let mut entries = self.entries.all().clone();
        entries.remove(PRUNED_HEADS);
        for (key, size) in shape.sizes() {
            entries.insert(key.to_owned(), size.into());
        }
        let mut json = serde_json::to_string_pretty(&entries).unwrap_or_default();
        json.push('\n');
        json
    }
}

const WORDS: &str = "electra.embeddings.word_embeddings.weight";
const POSITIONS: &str = "electra.embeddings.position_embeddings.weight";
const TOKEN_TYPES: &str = "electra.embeddings.token_type_embeddings.weight";
/// `[hidden_size, intermediate_size]`.
const FIRST_OUTPUT: &str = "electra.encoder.layer.0.output.dense.weight";

/// Number of encoder layers with tensors, up to the first gap.
fn layers(tensor: &TensorShape<'_>) -> usize {
    (0..=MOST_LAYERS)
        .take_while(|layer| {
            tensor(&format!(
                "electra.encoder.layer.{layer}.output.dense.weight"
            ))
            .is_some()
        })
        .count()
}

/// Refuses other models than ELECTRA's encoder, and options that would change its computation.
fn check_kind(entries: &Entries) -> Result<(), ConfigError> {
    if let Some(other) = entries.text("model_type")?
        && other != "electra"
    {
        let wanted = "only \"electra\" checkpoints can be exported";
        return Err(refused("model_type", &other.into(), wanted));
    }
    if let Some(other) = entries.text("position_embedding_type")?
        && other != "absolute"
    {
        let wanted = "only \"absolute\" is supported";
        return Err(refused("position_embedding_type", &other.into(), wanted));
    }
    for key in ["is_decoder", "add_cross_attention"] {
        if entries.flag(key)? == Some(true) {
            let reason = "is true: this checkpoint is a decoder, and only encoders can be exported";
            return Err(ConfigError::value(key, reason));
        }
    }
    if let Some(quantization) = entries.object("quantization_config")? {
        let method = quantization.get("quant_method").and_then(Value::as_str);
        let reason = format!(
            "says that the weights are quantized ({}); export the checkpoint that they were made from",
            quoted(method.unwrap_or("in a way that it does not name"))
        );
        return Err(ConfigError::value("quantization_config", reason));
    }
    Ok(())
}

fn activation(entries: &Entries) -> Result<Activation, ConfigError> {
    let Some(name) = entries.text("hidden_act")? else {
        return Ok(Activation::default());
    };
    Activation::named(name).ok_or_else(|| {
        let known: Vec<_> = Activation::names().collect();
        let wanted = format!("must be one of {}", known.join(", "));
        refused("hidden_act", &name.into(), &wanted)
    })
}

/// Reads `{"LAYER": [HEAD, …]}`, as written by transformers' `prune_heads`. Heads have their numbers from before the
/// pruning.
fn pruned_heads(
    entries: &Entries,
    shape: &ModelShape,
) -> Result<BTreeMap<usize, BTreeSet<usize>>, ConfigError> {
    let mut pruned = BTreeMap::new();
    for (layer, value) in entries.object(PRUNED_HEADS)?.into_iter().flatten() {
        let key = format!("{PRUNED_HEADS}.{layer}");
        let index = layer.trim().parse().ok();
        let Some(index) = index.filter(|layer| *layer < shape.num_hidden_layers) else {
            let reason = format!("is not a layer: there are {}", shape.num_hidden_layers);
            return Err(ConfigError::value(key, reason));
        };
        let head = |head: &Value| {
            let head = usize::try_from(head.as_u64()?).ok()?;
            (head < shape.num_attention_heads).then_some(head)
        };
        let heads: Option<BTreeSet<usize>> = value
            .as_array()
            .and_then(|heads| heads.iter().map(head).collect());
        let heads = heads.ok_or_else(|| {
            let last = shape.num_attention_heads - 1;
            refused(
                &key,
                value,
                &format!("must be a list of attention heads from 0 to {last}"),
            )
        })?;
        if !heads.is_empty() {
            pruned.insert(index, heads);
        }
    }
    Ok(pruned)
}
