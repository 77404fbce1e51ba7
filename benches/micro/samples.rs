//! Inputs that benchmarks share: texts, a tokenizer, and logits like those of a trained model.

use std::path::Path;

use electra_server::text::Tokenizer;

/// 17 tokens.
pub const SENTENCE: &str =
    "The bridge was closed yesterday because engineers found a crack in one of its steel cables.";

/// About 130 tokens in five sentences.
pub const PARAGRAPH: &str = "The bridge was closed yesterday because engineers found a crack in one of its steel \
    cables. Inspectors had examined the structure only three weeks earlier, and reported nothing unusual at the time. \
    \"We don't yet know how it happened,\" said Maria Lopez, who has supervised maintenance since 2009, \"but corrosion \
    is the likeliest explanation.\" Commuters were redirected to the ferry, which carried 14,300 passengers instead of \
    the usual 5,000, and to a narrow road along the northern shore. Repairs are expected to cost about $2.4 million, \
    and the authorities hope to reopen two of the four lanes before the end of the month.";

/// The tokenizer of a default model: lower-cased, with 30,522 tokens.
pub fn tokenizer() -> Tokenizer {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/electra-mini-discriminator");
    Tokenizer::from_folder(&folder).expect("the default models are part of the project")
}

/// The same logits at every call. A tenth of them are between 2 and 6, the others between -8 and -2.
pub fn logits(count: usize) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(0);
    (0..count)
        .map(|_| {
            if random.u8(..10) == 0 {
                2.0 + 4.0 * random.f32()
            } else {
                -2.0 - 6.0 * random.f32()
            }
        })
        .collect()
}
