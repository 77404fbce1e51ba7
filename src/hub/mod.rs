//! The Hugging Face hub: a name becomes a folder with the files of a checkpoint, checked, in the cache that Python's
//! `huggingface_hub` shares.
//!
//! The protocol and the layout are those of `huggingface_hub` 0.36. The layout of the cache and the token of a login are taken
//! from the crate `hf-hub` 0.5, without its features. Transfers are our own: those of 0.5 send the token to the hosts that the
//! hub sends on to; those of 1.0 start anew when they break, check no content, know neither `Retry-After` nor `HF_HUB_OFFLINE`,
//! and bring over a hundred crates.

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

pub use access::{Found, Hub};
pub use checksum::Checksum;
pub use client::Pause;
pub use error::HubError;
pub use name::{Commit, ModelName, ModelReference, NameError, check_part};
pub use observer::Observer;
pub use origin::{Origin, OriginError};
pub use selection::{Selection, SelectionError, select};
pub use settings::{HubSettings, Token};
