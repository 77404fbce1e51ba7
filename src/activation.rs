//! Activation functions of feed-forward layers.

/// `hidden_act` in config.json.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// x · Φ(x) with the error function.
    #[default]
    Gelu,
    /// The tanh approximation of gelu.
    GeluTanh,
    /// max(x, 0).
    Relu,
    /// x · sigmoid(x).
    Silu,
}

/// The names in transformers' `ACT2FN`, some of which denote the same function.
const NAMES: [(&str, Activation); 10] = [
    ("gelu", Activation::Gelu),
    ("gelu_python", Activation::Gelu),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_fast", Activation::GeluTanh),
    ("gelu_accurate", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("gelu_python_tanh", Activation::GeluTanh),
    ("relu", Activation::Relu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
];

impl Activation {
    pub const ALL: [Self; 4] = [Self::Gelu, Self::GeluTanh, Self::Relu, Self::Silu];

    /// Looks up an activation by its name in transformers.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut names = NAMES.iter();
        names
            .find(|(known, _)| *known == name)
            .map(|(_, activation)| *activation)
    }

    /// All names that [`Self::named`] accepts.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// The magnitude of the activation's minimum, rounded up: its outputs are at least `-depth`. The minima are
    /// -0.16997 (gelu), -0.17004 (its tanh approximation) and -0.27846 (silu).
    #[must_use]
    pub fn depth(self) -> f32 {
        match self {
            Self::Gelu | Self::GeluTanh => 0.1701,
            Self::Silu => 0.2785,
            Self::Relu => 0.0,
        }
    }
}
