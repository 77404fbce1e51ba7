//! Tests how fp16 is chosen or rejected, which without a GPU can't be observed from outside.

use super::*;
use crate::engine::testing::runtime;

/// Raises the first weights of one tensor above the range of 16-bit floats.
fn enlarge(folder: &Path, tensor: &str) {
    let path = folder.join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let (header, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let start = header + 8 + metadata.info(tensor).unwrap().data_offsets.0;
    bytes[start..start + 4].copy_from_slice(&70_000_f32.to_le_bytes());
    std::fs::write(path, bytes).unwrap();
}

fn copy(checkpoint: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/checkpoints");
    for entry in std::fs::read_dir(checkpoints.join(checkpoint)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

/// Exports as for a device that `precision` is for, on the CPU.
fn preferred(runtime: &Runtime, checkpoint: &TempDir, precision: Precision) -> ExportReport {
    let output = tempfile::tempdir().unwrap();
    let request = ExportRequest {
        checkpoint: checkpoint.path().to_path_buf(),
        output: output.path().to_path_buf(),
        options: ExportOptions {
            device: Device::Cpu,
            ..ExportOptions::default()
        },
    };
    let tokenizer = Tokenizer::from_folder(checkpoint.path()).unwrap();
    let export = Export {
        request: &request,
        tokenizer: &tokenizer,
        work: output.path(),
    };
    let (_, report) = export.preferred(precision, Device::Cpu, runtime).unwrap();
    report
}

#[test]
fn a_gpu_gets_fp16_where_it_decides_as_fp32_does() {
    let Some(runtime) = runtime() else {
        return;
    };
    let report = preferred(&runtime, &copy("sequence-three-labels"), Precision::Fp16);
    assert_eq!(report.exported.precision, Precision::Fp16);
    let compared = report.comparison.unwrap();
    assert_eq!(compared.precision, Precision::Fp16);
    assert!(compared.comparison.largest_difference < 0.01);
}

#[test]
fn a_checkpoint_beyond_fp16_is_left_in_fp32_with_the_weight_named() {
    let Some(runtime) = runtime() else {
        return;
    };
    let checkpoint = copy("sequence-cross-encoder");
    let tensor = "electra.encoder.layer.0.intermediate.dense.weight";
    enlarge(checkpoint.path(), tensor);
    let report = preferred(&runtime, &checkpoint, Precision::Fp16);
    assert_eq!(report.exported.precision, Precision::Fp32);
    assert!(report.comparison.is_none());
    let reason = report.selection.unwrap().to_string();
    assert!(
        reason.starts_with("fp32, because") && reason.contains(tensor) && reason.contains("70000"),
        "{reason}"
    );
}
