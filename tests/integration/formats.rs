//! A checkpoint gives the same model in every format of its weights.

use std::path::Path;

use electra_server::export::Precision;

use crate::harness::{checkpoint, copy_folder, export_request, exported, project};
use electra_server::convert::export;

#[test]
fn every_layout_exports_to_the_same_bytes() {
    for (format, same) in [
        ("zip", "discriminator-cased"),
        ("legacy", "discriminator-legacy-keys"),
        ("protocol-4", "token-cased"),
        ("sharded-bin", "discriminator-cased"),
        ("sharded-safetensors", "token-cased"),
        ("data-parallel", "token-cased"),
        ("compiled", "token-cased"),
        ("views", "discriminator-cased"),
    ] {
        for precision in [Precision::Fp32, Precision::Int8] {
            let (input, output) = (
                tempfile::tempdir().expect("a folder"),
                tempfile::tempdir().expect("a folder"),
            );
            copy_folder(&checkpoint(same), input.path());
            std::fs::remove_file(input.path().join("model.safetensors")).expect("a file");
            copy_folder(
                &project().join("tests/golden/formats").join(format),
                input.path(),
            );
            export(&export_request(input.path(), output.path(), precision))
                .unwrap_or_else(|error| panic!("{format}: {error}"));
            let expected = exported(same, precision);
            for file in [
                "model.onnx",
                "model.onnx.data",
                "tokenizer.json",
                "config.json",
            ] {
                let read = |folder: &Path| std::fs::read(folder.join(file)).expect("a file");
                assert!(
                    read(output.path()) == read(&expected),
                    "{format}, {precision}: {file} is not as exported from safetensors"
                );
            }
        }
    }
}
