//! Builds sequences from the tokens of one or two texts and the model's special tokens.

use super::tokenizer::SpecialTokens;
use crate::inference::Sequence;

/// `[CLS] ids [SEP]`.
#[must_use]
pub fn single(special: SpecialTokens, ids: &[u32]) -> Sequence {
    let ids: Vec<u32> = [&[special.cls], ids, &[special.sep]].concat();
    Sequence {
        type_ids: vec![0; ids.len()],
        ids,
    }
}

/// `[CLS] first [SEP] second [SEP]`; token type 1 from `second` on.
#[must_use]
pub fn pair(special: SpecialTokens, first: &[u32], second: &[u32]) -> Sequence {
    let ids = [
        &[special.cls],
        first,
        &[special.sep],
        second,
        &[special.sep],
    ]
    .concat();
    let mut type_ids = vec![0; first.len() + 2];
    type_ids.resize(ids.len(), 1);
    Sequence { ids, type_ids }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_have_special_tokens_and_types() {
        let special = SpecialTokens { cls: 2, sep: 3 };
        assert_eq!(single(special, &[7, 8]).ids, [2, 7, 8, 3]);
        let pair = pair(special, &[7], &[8, 9]);
        assert_eq!(pair.ids, [2, 7, 3, 8, 9, 3]);
        assert_eq!(pair.type_ids, [0, 0, 0, 1, 1, 1]);
    }
}
