//! Messages, servers and clients that the build generates from `proto/`.

/// The schema that server reflection serves: an encoded `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Paths of all methods of these services, such as `/electra.v1.Electra/Tag`.
pub const METHODS: &[&str] = include!(concat!(env!("OUT_DIR"), "/methods.rs"));

/// `electra.v1`: the tasks.
pub mod electra {
    #![allow(missing_docs, clippy::pedantic, reason = "generated")]
    tonic::include_proto!("electra.v1");
}

/// `inference`: the Open Inference Protocol.
pub mod inference {
    #![allow(missing_docs, clippy::pedantic, reason = "generated")]
    tonic::include_proto!("inference");
}
