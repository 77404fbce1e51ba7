//! GET /openapi.json, and GET /docs: Swagger UI, with every file served from here.

mod files;
mod page;

pub use files::{file, file_names};
pub use page::{openapi, page};
