//! What fills a table, as the entry in `mlops.yml` describes it.

use super::source::{Naming, Recipe};

/// Rows of a file, or made up.
#[derive(Debug, Clone)]
pub(super) struct Feed {
    pub(super) format: Format,
    pub(super) naming: Naming,
}

#[derive(Debug, Clone)]
pub(super) enum Format {
    Csv(Dialect),
    Json,
    Parquet,
    Generate(Recipe),
}

/// How a CSV file is written.
#[derive(Debug, Clone)]
pub(super) struct Dialect {
    pub(super) delimiter: u8,
    /// `None`: nothing is quoted.
    pub(super) quote: Option<u8>,
    /// `None`: a quote is doubled.
    pub(super) escape: Option<u8>,
    /// What stands for NULL where it is not quoted.
    pub(super) nulls: Vec<String>,
    /// The columns, where the file does not name them.
    pub(super) header: Option<Vec<String>>,
}

impl Default for Dialect {
    fn default() -> Self {
        Self { delimiter: b',', quote: Some(b'"'), escape: None, nulls: vec![String::new()], header: None }
    }
}
