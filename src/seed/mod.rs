//! Seeds: files into tables by COPY, all in one transaction, skipped while file and table are the same as last time.

mod load;
mod plan;

pub use self::load::{Loaded, load};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::names::{RelPath, TableName};

/// One seed: a file into a table, or a script.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The table to load.
    pub table: Option<TableName>,
    /// A `.csv` with a header line, or a `.parquet` file.
    pub file: Option<RelPath>,
    /// What happens to rows that are already there.
    #[serde(default)]
    pub mode: Mode,
    /// A script to run instead of loading a file.
    pub sql: Option<RelPath>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The table holds the file's rows and nothing else.
    #[default]
    Replace,
    /// The file's rows are added.
    Append,
    /// Nothing is loaded into a table that has rows.
    IfEmpty,
}

/// What one entry asks for, once it makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    Table { table: TableName, file: RelPath, mode: Mode },
    Script { file: RelPath },
}

impl Entry {
    pub fn task(&self) -> Result<Task, String> {
        match (&self.table, &self.file, &self.sql) {
            (Some(table), Some(file), None) => Ok(Task::Table { table: table.clone(), file: file.clone(), mode: self.mode }),
            (None, None, Some(sql)) => Ok(Task::Script { file: sql.clone() }),
            (Some(_), None, None) => Err("missing key `file`: a seed is `{table, file}` or `{sql}`".into()),
            (None, Some(_), None) => Err("missing key `table`: a seed is `{table, file}` or `{sql}`".into()),
            _ => Err("a seed is either `{table, file}` or `{sql}`".into()),
        }
    }
}

impl Task {
    /// The key under which the history remembers it.
    pub fn target(&self) -> String {
        match self {
            Self::Table { table, mode: Mode::Append, file } => format!("{table} + {file}"),
            Self::Table { table, .. } => table.to_string(),
            Self::Script { file } => file.to_string(),
        }
    }

    pub fn file(&self) -> &str {
        match self {
            Self::Table { file, .. } | Self::Script { file } => file,
        }
    }
}
