//! `gates.data` of `mlops.yml`: table → column → check → requirement.

mod read;
mod schema;

pub use self::read::parse;
pub use self::schema::schema;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Check, Target};
use crate::names::TableName;
use crate::outcome::{Location, Status};

/// All data gates of a project.
#[derive(Default)]
pub struct Gates {
    pub tables: Vec<TableGates>,
    /// Columns whose values no report may show.
    pub redacted: BTreeSet<(TableName, String)>,
}

impl Gates {
    /// The checks whose measures are remembered, by their paths.
    pub fn with_history(&self) -> Vec<String> {
        self.tables.iter().flat_map(|table| &table.checks).filter(|planned| planned.check.has_history()).map(Planned::path).collect()
    }

    /// How many checks there are.
    pub fn count(&self) -> usize {
        self.tables.iter().map(|table| table.checks.len()).sum()
    }
}

pub struct TableGates {
    pub table: TableName,
    /// `where` of the whole table.
    pub filter: Option<String>,
    /// An empty table fails every check but `rows`, unless this is set.
    pub allow_empty: bool,
    /// The columns under `columns`.
    pub columns: Vec<String>,
    pub checks: Vec<Planned>,
}

/// One check with what every check may say.
pub struct Planned {
    pub kind: &'static str,
    pub target: Target,
    pub check: Box<dyn Check>,
    pub level: Level,
    pub on_broken: OnBroken,
    /// The user's own name for it.
    pub name: Option<String>,
    pub tags: Vec<String>,
    pub owner: Option<String>,
    pub location: Location,
}

impl Planned {
    /// The name under which it is reported.
    pub fn title(&self) -> String {
        self.name.as_ref().map_or_else(|| self.kind.to_owned(), |name| format!("{} ({name})", self.kind))
    }

    /// `data.flights.tailnum.references`: what `--only` selects by.
    pub fn path(&self) -> String {
        let name = self.name.as_ref().map(|name| format!(".{name}")).unwrap_or_default();
        format!("data.{}.{}{name}", self.target.subject(), self.kind)
    }

    /// What the check's own settings make of a result.
    pub fn apply(&self, status: Status) -> Status {
        match (self.on_broken, status) {
            (OnBroken::Warn, Status::Broken) => Status::Warned,
            _ => self.level.apply(status),
        }
    }

    /// Whom to ask.
    pub fn remedy(&self, status: Status) -> Option<String> {
        let owner = self.owner.as_ref().filter(|_| matches!(status, Status::Failed | Status::Warned | Status::Broken))?;
        Some(format!("owner: {owner}"))
    }
}

/// How much a failure matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    #[default]
    Fail,
    Warn,
    Info,
}

impl Level {
    /// Not evaluated stays not evaluated, whatever the level.
    pub fn apply(self, status: Status) -> Status {
        match (self, status) {
            (Self::Warn, Status::Failed) => Status::Warned,
            (Self::Info, Status::Failed | Status::Warned) => Status::Passed,
            _ => status,
        }
    }
}

/// What becomes of a check that could not be evaluated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnBroken {
    #[default]
    Fail,
    Warn,
}

/// The keys that every check takes.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Common {
    /// Only rows for which this SQL condition holds.
    #[serde(rename = "where")]
    filter: Option<String>,
    /// A name of your own, shown in the report.
    name: Option<String>,
    /// What a failure does to the verdict.
    #[serde(default)]
    level: Level,
    /// What becomes of it when it could not be evaluated: `fail` (exit 3) or `warn`.
    #[serde(default)]
    on_broken: OnBroken,
    /// Words to select it by with `--tags`.
    #[serde(default)]
    tags: Vec<String>,
    /// Whom to ask when it fails.
    owner: Option<String>,
}

const COMMON: [&str; 6] = ["where", "name", "level", "on_broken", "tags", "owner"];
const TABLE_KEYS: [&str; 5] = ["where", "allow_empty", "columns", "tags", "owner"];
/// What a column may say of itself, beside its checks.
const COLUMN_KEYS: [&str; 3] = ["redact", "tags", "owner"];
/// Asked by themselves for every table; there is nothing to write.
const IMPLIED: [&str; 2] = ["exists", "columns"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_never_hides_what_could_not_be_evaluated() {
        assert_eq!(Level::Info.apply(Status::Broken), Status::Broken);
        assert_eq!((Level::Info.apply(Status::Failed), Level::Warn.apply(Status::Failed)), (Status::Passed, Status::Warned));
    }
}
