//! A real Postgres with a database per test, the program in a scrubbed environment, and fakes of GitHub and GitLab.

pub mod bin;
pub mod forge;
pub mod http;
pub mod mlflow;
pub mod project;
pub mod server;

use std::path::PathBuf;

/// The checkout.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
