//! The outside world: one file or folder a system, each with its own error that names the endpoint.
//! Timeouts and retries live here and nowhere else.

pub mod alembic;
pub mod api;
pub mod ci;
mod client;
pub mod files;
pub mod frame;
pub mod git;
pub mod github;
pub mod gitlab;
pub mod http;
pub mod mlflow;
pub mod objects;
pub mod openlineage;
pub mod parquet;
pub mod postgres;
