//! Datasets: a query's rows as files with their digests; the same rows give the same bytes.

mod decode;
mod diff;
mod digest;
mod dvc;
mod export;
mod field;
mod format;
mod lineage;
mod live;
mod meta;
pub mod openlineage;
mod origins;
mod read;
mod rows;
mod source;
mod store;
mod stream;
mod versions;
mod write;

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

pub use self::diff::{ColumnDiff, Diff, Keys, Rows, Side, diff};
use self::format::Format;
pub use self::lineage::lineage;
pub use self::live::live_content;
pub use self::meta::{Meta, MetaColumn};
pub use self::store::Store;
pub use self::stream::stream;
pub use self::versions::{Pointed, Version};
pub use self::write::{Context, Written, write_all};
use crate::names::{RelPath, TableName};
use crate::ports::files::{FileError, Workspace};
use crate::ports::objects::ObjectError;
use crate::ports::postgres::PgError;
use crate::ports::postgres::copy::CopyOutError;

/// Every dataset by its name.
pub type Datasets = BTreeMap<String, Dataset>;

/// A versioned query result.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// The file with the query.
    pub query: Option<RelPath>,
    /// A whole table instead of a query.
    pub table: Option<TableName>,
    /// The columns that put the rows in a fixed order: the same rows, the same bytes.
    pub order_by: Option<Vec<String>>,
    /// The file to write: `.parquet`, `.csv` or `.arrow`; with `partition_by`, the folder.
    pub out: RelPath,
    /// Columns that split the rows into folders `column=value/`; they are not in the files.
    #[serde(default)]
    pub partition_by: Vec<String>,
    /// Columns to write as the server's text, where no other type can hold their values.
    #[serde(default)]
    pub as_text: Vec<String>,
    /// What the rows are, for people.
    pub description: Option<String>,
    /// The tables that the rows come from, where the server cannot tell.
    #[serde(default)]
    pub upstream: Vec<TableName>,
    /// Where versions are pushed to by every run: a remote of `.dvc/config`, or a URL (`s3://bucket/dvc`).
    pub remote: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Server(#[from] PgError),
    #[error("the query gives no row: a dataset without rows is no version; nothing was written")]
    Empty,
    /// What the settings say does not fit what the query gives.
    #[error("{0}")]
    Columns(String),
    #[error("{0}")]
    Stream(String),
    #[error("writing: {0}")]
    Write(String),
    #[error("{0}")]
    Dvc(String),
    #[error(transparent)]
    Remote(#[from] ObjectError),
}

impl From<CopyOutError> for DatasetError {
    fn from(error: CopyOutError) -> Self {
        Self::Stream(match error {
            CopyOutError::Stream(why) => why,
            other @ CopyOutError::Server(_) => other.to_string(),
        })
    }
}

impl DatasetError {
    /// A query that the server rejects is a failure; the rest could not be evaluated.
    pub fn is_verdict(&self) -> bool {
        matches!(self, Self::Empty | Self::Columns(_)) || matches!(self, Self::Server(error) if error.is_statement())
    }
}

impl Dataset {
    /// Rows that go nowhere.
    fn unwritten(from: Result<&TableName, &RelPath>) -> Result<Self, DatasetError> {
        let (table, query) = (from.ok().cloned(), from.err().cloned());
        let out = RelPath::parse("nowhere.parquet").map_err(DatasetError::Columns)?;
        Ok(Self { query, table, order_by: None, out, partition_by: vec![], as_text: vec![], description: None, upstream: vec![], remote: None })
    }

    pub fn mistake(&self) -> Option<String> {
        match (&self.query, &self.table) {
            (Some(_), Some(_)) => Some("a dataset is of a `query` or of a `table`, not of both".into()),
            (None, None) => Some("missing key `query` (a file) or `table`".into()),
            _ if self.partition_by.is_empty() && Format::of(&self.out).is_none() => Some("`out` ends in .parquet, .csv or .arrow".into()),
            _ if !self.partition_by.is_empty() && Format::of(&self.out).is_some() => Some("with `partition_by`, `out` is a folder".into()),
            _ if self.order_by.as_ref().is_some_and(Vec::is_empty) => Some("`order_by` names no column".into()),
            _ => None,
        }
    }

    /// Its query, or the name of its table: where the names stand that it reads.
    pub fn reads(&self, workspace: &Workspace) -> String {
        let query = self.query.as_ref().and_then(|file| workspace.read_text(file).ok());
        query.or_else(|| self.table.as_ref().map(ToString::to_string)).unwrap_or_default()
    }

    pub fn source(&self) -> String {
        self.query.as_ref().map(ToString::to_string).or_else(|| self.table.as_ref().map(ToString::to_string)).unwrap_or_default()
    }

    fn format(&self) -> Format {
        Format::of(&self.out).unwrap_or(Format::Parquet)
    }
}
