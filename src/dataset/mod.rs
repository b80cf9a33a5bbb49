//! Datasets: a query's rows as a Parquet file with its digest; the same rows give the same bytes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tokio_postgres::{IsolationLevel, Transaction};

use crate::names::{RelPath, TableName, ident, statement};
use crate::ports::files::{FileError, Workspace, sha256};
use crate::ports::frame::{self, FrameError};
use crate::ports::postgres::copy::{CopyOutError, copy_out};
use crate::ports::postgres::{PgError, Postgres};

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
    /// The Parquet file to write.
    pub out: RelPath,
    /// What the rows are, for people.
    #[expect(dead_code, reason = "documentation in the file; lineage will carry it")]
    pub description: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Server(#[from] PgError),
    #[error("the query gives no row: a dataset without rows is no version; nothing was written")]
    Empty,
    #[error("{0}")]
    Stream(String),
}

impl DatasetError {
    /// A query that the server rejects is a failure; the rest could not be evaluated.
    pub fn is_verdict(&self) -> bool {
        matches!(self, Self::Empty) || matches!(self, Self::Server(error) if error.is_statement())
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub out: String,
    pub rows: usize,
    pub columns: usize,
    pub bytes: usize,
    pub sha256: String,
    /// False when the file held exactly these bytes already.
    pub changed: bool,
    /// Columns of types that became text.
    pub as_text: Vec<String>,
}

impl Dataset {
    pub fn mistake(&self) -> Option<String> {
        match (&self.query, &self.table) {
            (Some(_), Some(_)) => Some("a dataset is of a `query` or of a `table`, not of both".into()),
            (None, None) => Some("missing key `query` (a file) or `table`".into()),
            _ if !self.out.ends_with(".parquet") => Some("`out` ends in .parquet".into()),
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

    fn sql(&self, workspace: &Workspace) -> Result<String, FileError> {
        let query = match (&self.query, &self.table) {
            (Some(file), _) => workspace.read_text(file)?,
            (None, Some(table)) => format!("select * from {}", table.quoted()),
            (None, None) => String::new(),
        };
        let query = statement(&query);
        Ok(match &self.order_by {
            Some(columns) => {
                let order: Vec<String> = columns.iter().map(|c| ident(c)).collect();
                format!("select * from (\n{query}\n) q order by {}", order.join(", "))
            }
            None => query.to_owned(),
        })
    }
}

/// Writes every dataset from one snapshot of the database; nothing is written for a dataset that fails.
pub async fn write_all(
    server: &Postgres,
    workspace: &Workspace,
    datasets: &Datasets,
) -> Result<Vec<(String, Result<Written, DatasetError>)>, PgError> {
    let mut client = server.client().await?;
    let mut results = Vec::new();
    for (name, dataset) in datasets {
        // A rejected query ends its transaction, so each dataset gets its own.
        let begin = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start();
        let snapshot = begin.await.map_err(|e| server.error("opening a snapshot", &e))?;
        results.push((name.clone(), write(server, &snapshot, workspace, dataset).await));
        drop(snapshot);
    }
    Ok(results)
}

async fn write(server: &Postgres, snapshot: &Transaction<'_>, workspace: &Workspace, dataset: &Dataset) -> Result<Written, DatasetError> {
    let sql = dataset.sql(workspace)?;
    let export = copy_out(snapshot, &sql).await.map_err(|error| match error {
        CopyOutError::Server(source) => server.error(&format!("running {}", dataset.source()), &source).into(),
        other @ CopyOutError::Stream(_) => DatasetError::Stream(other.to_string()),
    })?;
    let (rows, columns) = (export.columns.first().map_or(0, |c| c.values.len()), export.columns.len());
    if rows == 0 {
        return Err(DatasetError::Empty);
    }
    let parquet = frame::to_parquet(export.columns)?;
    let digest = sha256(&parquet);
    let changed = workspace.write(&dataset.out, &parquet)?;
    let file = dataset.out.rsplit('/').next().unwrap_or_default();
    // The format of sha256sum: `sha256sum -c` verifies the file.
    workspace.write(&format!("{}.sha256", dataset.out), format!("{digest}  {file}\n").as_bytes())?;
    Ok(Written { out: dataset.out.to_string(), rows, columns, bytes: parquet.len(), sha256: digest, changed, as_text: export.as_text })
}
