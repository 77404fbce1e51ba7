//! Generates the gRPC services and ONNX's messages from `proto/`; no protoc is needed on the machine.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use protox::prost::Message;
use tonic_prost_build::FileDescriptorSet;

/// The services, by their files below `proto/`.
const SERVICES: &[&str] = &["electra/v1/electra.proto", "inference/grpc_service.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(SERVICES, ["proto"])?;
    let folder = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo names no OUT_DIR")?);
    // What server reflection tells of.
    fs::write(folder.join("descriptors.bin"), descriptors.encode_to_vec())?;
    fs::write(folder.join("methods.rs"), methods(&descriptors))?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    // Apart from the services, so that reflection does not list it.
    let onnx = protox::compile(["onnx/onnx.proto3"], ["proto"])?;
    tonic_prost_build::configure().compile_fds(onnx)?;
    Ok(())
}

/// The paths of all methods, as a Rust expression.
fn methods(descriptors: &FileDescriptorSet) -> String {
    let services = descriptors
        .file
        .iter()
        .flat_map(|file| file.service.iter().map(move |service| (file, service)));
    let paths: Vec<String> = services
        .flat_map(|(file, service)| {
            let prefix = format!("/{}.{}", file.package(), service.name());
            let methods = service.method.iter();
            methods.map(move |method| format!("{prefix}/{}", method.name()))
        })
        .collect();
    format!("&{paths:?}")
}
