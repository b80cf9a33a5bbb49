//! What a check compares with: a baseline that was written down, or other rows of the database.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Target;
use super::known::Known;
use crate::names::{RelPath, TableName};
use crate::profile::{Profile, TableProfile};

/// `baseline`, the path of another profile, or rows of the database: `{where: …}` of the same table, `{table: …}`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected `baseline`, the path of a profile, or `{where: …}` or `{table: …}`")]
pub enum Against {
    File(String),
    Rows(Rows),
}

/// Rows of the database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// The table. Default: the check's own.
    pub table: Option<TableName>,
    /// Only rows for which this SQL condition holds.
    #[serde(rename = "where")]
    pub filter: Option<String>,
}

impl Default for Against {
    fn default() -> Self {
        Self::File("baseline".into())
    }
}

impl Against {
    pub fn mistake(&self) -> Option<String> {
        match self {
            Self::File(path) => RelPath::parse(path).err(),
            Self::Rows(rows) if *rows == Rows::default() => Some("`against` names neither rows nor a table".into()),
            Self::Rows(_) => None,
        }
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::File(path) if path == "baseline" => Some(Profile::FILE),
            Self::File(path) => Some(path),
            Self::Rows(_) => None,
        }
    }

    /// The rows, if they are some.
    pub fn rows(&self, target: &Target) -> Option<Target> {
        let Self::Rows(rows) = self else { return None };
        let table_filter = if rows.table.is_some() { None } else { target.table_filter.clone() };
        Some(Target { table: rows.table.clone().unwrap_or_else(|| target.table.clone()), column: None, table_filter, filter: rows.filter.clone() })
    }

    /// The name under which it is known.
    pub fn key(&self, target: &Target) -> String {
        match self.rows(target) {
            Some(rows) => rows.selection(None),
            None => format!("{} of {}", target.table, self.file().unwrap_or_default()),
        }
    }

    /// As a reader calls it.
    pub fn shown(&self) -> String {
        match self {
            Self::File(_) => self.file().unwrap_or_default().to_owned(),
            Self::Rows(rows) => {
                let table = rows.table.as_ref().map(|t| format!(" of {t}")).unwrap_or_default();
                let filter = rows.filter.as_ref().map(|f| format!(" where {f}")).unwrap_or_default();
                format!("the rows{table}{filter}")
            }
        }
    }

    /// What is compared with.
    pub fn profile<'k>(&self, target: &Target, known: &'k Known) -> Result<&'k TableProfile, String> {
        let missing = || format!("{} has not been read", self.shown());
        known.references.get(&self.key(target)).ok_or_else(missing)?.as_ref().map_err(Clone::clone)
    }
}
