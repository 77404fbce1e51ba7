//! config.json: the shape of an ELECTRA checkpoint, read and checked.

use std::path::Path;

use serde::{Deserialize, Deserializer};

use super::ExportError;
use crate::heads::classify::ProblemType;

/// The trunk's shape and what the heads need to know, as config.json tells it (transformers' `ElectraConfig`).
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ModelConfig {
    /// Class names such as `ElectraForPreTraining`; may be empty.
    #[serde(default)]
    pub architectures: Vec<String>,
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// Width of the embeddings, before the projection to `hidden_size`.
    #[serde(default = "ElectraDefaults::embedding_size")]
    pub embedding_size: usize,
    /// Width of the encoder.
    pub hidden_size: usize,
    /// Number of encoder layers.
    pub num_hidden_layers: usize,
    /// Number of attention heads a layer.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// The feed-forward layer's activation.
    #[serde(default)]
    pub hidden_act: Activation,
    /// The longest sequence, special tokens included.
    #[serde(default = "ElectraDefaults::max_position_embeddings")]
    pub max_position_embeddings: usize,
    /// Rows of the token type embedding.
    #[serde(default = "ElectraDefaults::type_vocab_size")]
    pub type_vocab_size: usize,
    /// Epsilon of every LayerNorm.
    #[serde(default = "ElectraDefaults::layer_norm_eps")]
    pub layer_norm_eps: f32,
    /// `absolute` is the only kind that an ELECTRA checkpoint was published with.
    #[serde(default = "ElectraDefaults::position_embedding_type")]
    pub position_embedding_type: String,
    /// What a sequence head's logits mean.
    #[serde(default, deserialize_with = "problem_type")]
    pub problem_type: Option<ProblemType>,
}

/// The feed-forward activation, by the names of transformers' `ACT2FN`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Activation {
    /// x · Φ(x) with the error function.
    #[default]
    #[serde(rename = "gelu")]
    Gelu,
    /// The tanh approximation of gelu.
    #[serde(rename = "gelu_new", alias = "gelu_fast", alias = "gelu_pytorch_tanh")]
    GeluTanh,
    /// max(x, 0).
    #[serde(rename = "relu")]
    Relu,
    /// x · sigmoid(x).
    #[serde(rename = "silu", alias = "swish")]
    Silu,
}

impl Activation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Gelu, Self::GeluTanh, Self::Relu, Self::Silu];

    /// The magnitude of the activation's least value, rounded up: its outputs are never below the negative of it.
    /// The minima are -0.16997 (gelu), -0.17004 (its tanh approximation) and -0.27846 (silu).
    #[must_use]
    pub fn depth(self) -> f32 {
        match self {
            Self::Gelu | Self::GeluTanh => 0.1701,
            Self::Silu => 0.2785,
            Self::Relu => 0.0,
        }
    }
}

/// transformers' defaults for keys that older checkpoints leave out.
struct ElectraDefaults;

impl ElectraDefaults {
    fn embedding_size() -> usize {
        128
    }
    fn max_position_embeddings() -> usize {
        512
    }
    fn type_vocab_size() -> usize {
        2
    }
    fn layer_norm_eps() -> f32 {
        1e-12
    }
    fn position_embedding_type() -> String {
        "absolute".to_owned()
    }
}

impl ModelConfig {
    /// Reads and checks `config.json` in a checkpoint's folder.
    ///
    /// # Errors
    /// Where the file can't be read, is no JSON object of an ELECTRA checkpoint, or describes a shape that can't be.
    pub fn from_folder(folder: &Path) -> Result<Self, ExportError> {
        let path = folder.join("config.json");
        let text = std::fs::read_to_string(&path).map_err(|error| ExportError::Read {
            path: path.clone(),
            error,
        })?;
        Self::from_json(&text, &path)
    }

    fn from_json(text: &str, path: &Path) -> Result<Self, ExportError> {
        let invalid = |reason: String| ExportError::Config {
            path: path.to_path_buf(),
            reason,
        };
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        if let Some(model_type) = value.get("model_type").and_then(serde_json::Value::as_str)
            && model_type != "electra"
        {
            return Err(invalid(format!(
                "model_type is `{model_type}`, and only `electra` checkpoints can be exported"
            )));
        }
        let config: Self =
            serde_path_to_error::deserialize(value).map_err(|error| invalid(error.to_string()))?;
        config.check().map_err(invalid)?;
        Ok(config)
    }

    /// Width of one attention head.
    #[must_use]
    pub fn head_size(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    fn check(&self) -> Result<(), String> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("embedding_size", self.embedding_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
        ];
        if let Some((name, size)) = sizes
            .iter()
            .find(|(_, size)| *size == 0 || *size > MAX_SIZE)
        {
            return Err(format!(
                "{name} is {size}, and must be between 1 and {MAX_SIZE}"
            ));
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(format!(
                "hidden_size {} is not a multiple of num_attention_heads {}",
                self.hidden_size, self.num_attention_heads
            ));
        }
        if self.position_embedding_type != "absolute" {
            return Err(format!(
                "position_embedding_type is `{}`, and only `absolute` is supported",
                self.position_embedding_type
            ));
        }
        if !(self.layer_norm_eps.is_finite() && self.layer_norm_eps > 0.0) {
            return Err(format!(
                "layer_norm_eps is {}, and must be a positive number",
                self.layer_norm_eps
            ));
        }
        Ok(())
    }
}

fn problem_type<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ProblemType>, D::Error> {
    let name: Option<String> = Deserialize::deserialize(deserializer)?;
    let parsed = name.map(|name| name.parse()).transpose();
    parsed.map_err(serde::de::Error::custom)
}

/// Far above any real checkpoint, and small enough that a product of two sizes fits in 64 bits.
const MAX_SIZE: usize = 1 << 24;

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"{"model_type": "electra", "vocab_size": 30522, "embedding_size": 128, "hidden_size": 256,
        "num_hidden_layers": 12, "num_attention_heads": 4, "intermediate_size": 1024, "hidden_act": "gelu"}"#;

    fn parse(text: &str) -> Result<ModelConfig, String> {
        ModelConfig::from_json(text, Path::new("config.json")).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_that_old_checkpoints_leave_out_take_transformers_defaults() {
        let config = parse(SMALL).unwrap();
        assert_eq!(
            (config.max_position_embeddings, config.type_vocab_size),
            (512, 2)
        );
        assert_eq!(config.head_size(), 64);
        assert!(config.layer_norm_eps < 1e-11);
    }

    #[test]
    fn impossible_shapes_are_refused_by_name() {
        let check = |from: &str, to: &str, expected: &str| {
            let error = parse(&SMALL.replace(from, to)).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(
            "\"hidden_size\": 256",
            "\"hidden_size\": 255",
            "not a multiple of num_attention_heads",
        );
        check(
            "\"num_hidden_layers\": 12",
            "\"num_hidden_layers\": 0",
            "num_hidden_layers is 0",
        );
        check("\"vocab_size\": 30522,", "", "vocab_size");
        check(
            "\"vocab_size\": 30522",
            "\"vocab_size\": \"many\"",
            "vocab_size",
        );
        check("\"gelu\"", "\"mish\"", "hidden_act");
        check("\"electra\"", "\"gpt2\"", "only `electra` checkpoints");
        check(
            "\"model_type\"",
            "\"position_embedding_type\": \"relative_key\", \"model_type\"",
            "only `absolute`",
        );
        check(
            "\"model_type\"",
            "\"problem_type\": \"guess\", \"model_type\"",
            "`guess`",
        );
        check(
            "\"model_type\"",
            "\"layer_norm_eps\": 0, \"model_type\"",
            "layer_norm_eps",
        );
    }
}
