//! Normalizes tensor names to transformers' current spelling, without the wrappers around the saved model.

use std::collections::BTreeSet;

/// Names of modules that wrap a model or one of its layers: `DataParallel` and `DistributedDataParallel`,
/// `torch.compile`, FSDP (also in older PyTorch), activation checkpointing, and Lightning Fabric or DeepSpeed.
const WRAPPERS: [&str; 6] = [
    "module",
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_fpw_module",
    "_checkpoint_wrapped_module",
    "_forward_module",
];

/// The tensor whose prefix tells where the model is in a larger module.
const TRUNK: &str = "electra.embeddings.word_embeddings.weight";

/// A tensor's name without wrappers, in the current spelling. Old checkpoints converted from TensorFlow have `gamma`
/// and `beta` in the names of a LayerNorm's tensors.
pub(super) fn canonical(name: &str) -> String {
    let parts: Vec<&str> = name
        .split('.')
        .filter(|part| !WRAPPERS.contains(part))
        .collect();
    let name = parts.join(".");
    for (old, new) in [
        ("LayerNorm.gamma", "LayerNorm.weight"),
        ("LayerNorm.beta", "LayerNorm.bias"),
    ] {
        if let Some(prefix) = name.strip_suffix(old) {
            return format!("{prefix}{new}");
        }
    }
    name
}

/// The modules that contain the model, such as `model.` in a checkpoint of Lightning; empty if there are none.
///
/// # Errors
/// If a checkpoint contains several models: the modules of each.
pub(super) fn prefix<'n>(names: impl Iterator<Item = &'n str>) -> Result<&'n str, Vec<&'n str>> {
    let prefixes: BTreeSet<&str> = names
        .filter_map(|name| name.strip_suffix(TRUNK))
        .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
        .collect();
    match Vec::from_iter(prefixes).as_slice() {
        // A model outside of all modules is the one to export, even if a module contains another.
        [] | ["", ..] => Ok(""),
        [prefix] => Ok(prefix),
        several => Err(several.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_are_left_out_wherever_they_stand() {
        for (name, expected) in [
            (
                "electra.embeddings.LayerNorm.gamma",
                "electra.embeddings.LayerNorm.weight",
            ),
            ("module.classifier.weight", "classifier.weight"),
            ("_orig_mod.classifier.weight", "classifier.weight"),
            ("module._orig_mod.module.qa_outputs.bias", "qa_outputs.bias"),
            (
                "_fsdp_wrapped_module.electra.encoder.layer.0._fsdp_wrapped_module.output.dense.bias",
                "electra.encoder.layer.0.output.dense.bias",
            ),
            (
                "electra.encoder.layer.0._checkpoint_wrapped_module.output.LayerNorm.beta",
                "electra.encoder.layer.0.output.LayerNorm.bias",
            ),
            (
                "electra.encoder.layer.1._orig_mod.output.dense.weight",
                "electra.encoder.layer.1.output.dense.weight",
            ),
        ] {
            assert_eq!(canonical(name), expected);
        }
    }

    #[test]
    fn a_part_of_a_larger_module_is_found() {
        let check = |names: &[&str], expected: Result<&str, Vec<&str>>| {
            assert_eq!(prefix(names.iter().copied()), expected, "{names:?}");
        };
        let trunk = |prefix: &str| format!("{prefix}{TRUNK}");
        let (plain, model, nested) = (trunk(""), trunk("model."), trunk("student.model."));
        check(&["classifier.weight"], Ok(""));
        check(&[&plain], Ok(""));
        check(
            &[&model, "model.classifier.weight", "loss.weight"],
            Ok("model."),
        );
        check(&[&nested], Ok("student.model."));
        check(&[&plain, &model], Ok(""));
        check(&[&model, &nested], Err(vec!["model.", "student.model."]));
        // A module whose name ends in the same letters.
        check(&["myelectra.embeddings.word_embeddings.weight"], Ok(""));
    }
}
