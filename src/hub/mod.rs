//! The Hugging Face hub: turns a model's name into a folder with a verified checkpoint, in the cache that Python's
//! `huggingface_hub` shares.
//!
//! The protocol and the layout are those of `huggingface_hub` 0.36. The layout of the cache and the token of a login
//! come from the crate `hf-hub` 0.5, without its features.
//!
//! Downloads are implemented here. `hf-hub` 0.5 sends the token to the hosts that the hub redirects to. `hf-hub` 1.0
//! does not resume downloads, verifies no content, supports neither `Retry-After` nor `HF_HUB_OFFLINE`, and adds over a
//! hundred crates.

mod access;
mod cache;
mod checksum;
mod client;
mod download;
mod error;
mod name;
mod observer;
mod origin;
mod refusal;
mod retry;
mod selection;
mod settings;
mod url;

pub use access::{FoundRevision, Hub};
pub use checksum::Checksum;
pub use client::Pause;
pub use error::HubError;
pub use name::{Commit, ModelName, ModelReference, NameError, check_part};
pub use observer::Observer;
pub use origin::{Origin, OriginError};
pub use selection::{Selection, SelectionError, select};
pub use settings::{HubSettings, Token};
