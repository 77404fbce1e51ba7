//! What the fuzz targets run: each reads bytes of one format as the server does. tests/fuzz/README.md describes them.
//!
//! A target fails by panicking, aborting, or taking too much time or memory.

mod files;
mod requests;

/// A format, and what reads it.
pub struct Target {
    /// Also the name of the folder of its corpus.
    pub name: &'static str,
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "json",
        run: requests::json,
    },
    Target {
        name: "oip-json",
        run: requests::oip_json,
    },
    Target {
        name: "oip-binary",
        run: requests::oip_binary,
    },
    Target {
        name: "grpc",
        run: requests::grpc,
    },
    Target {
        name: "config",
        run: files::config,
    },
    Target {
        name: "tokenizer",
        run: files::tokenizer,
    },
    Target {
        name: "safetensors",
        run: files::safetensors,
    },
    Target {
        name: "torch",
        run: files::torch,
    },
    Target {
        name: "checkpoint",
        run: files::checkpoint,
    },
    Target {
        name: "onnx",
        run: files::onnx,
    },
    Target {
        name: "graph",
        run: files::graph,
    },
    Target {
        name: "toml",
        run: files::toml,
    },
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_target_takes_its_corpus() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
        for target in TARGETS {
            let inputs = std::fs::read_dir(corpus.join(target.name)).expect(target.name);
            let mut count = 0;
            for input in inputs {
                let path = input.unwrap().path();
                eprintln!("{}", path.display());
                (target.run)(&std::fs::read(&path).unwrap());
                count += 1;
            }
            assert!(count > 0, "{} has no corpus", target.name);
        }
    }
}
