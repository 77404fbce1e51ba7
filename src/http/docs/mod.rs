//! GET /openapi.json, and /docs, the page to read and try it: Swagger UI, with nothing loaded from elsewhere.

mod files;
mod page;

pub use files::{file, file_names};
pub use page::{openapi, page};
