//! Migrations: ordered, checksummed files, each applied in one transaction together with its history row, by one run at
//! a time.

mod adopt;
mod apply;
mod files;
mod history;
mod inspect;
pub mod lint;
mod lock;
mod mend;
mod merge;
mod offline;
mod own;
mod plan;
mod round_trip;
mod schema;
mod script;
mod steps;
mod vars;
mod version;

pub use self::adopt::{Files as Adoptable, Tool, adopt, convert};
pub use self::apply::{Goal, Run, migrate, up_to_date};
pub use self::files::{Folder, Migration, Repeatable, is_migration, only_undoes, parse};
pub use self::inspect::{Status, drift, head, invalid_indexes, new_ones, outlook, recorded_digest, status};
pub use self::mend::{Mended, Repair, repair, stamp};
pub use self::merge::against;
pub use self::offline::{Way, script as offline_script};
pub use self::own::migrations as own_migrations;
pub use self::round_trip::{Trip, round_trip};
pub use self::schema::record_schema;
pub use self::vars::{Vars, is_name};
pub use self::version::Version;

use std::time::Duration;

use crate::ports::postgres::PgError;

/// Whose migrations: the user's, or the tool's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    App,
    Own,
}

impl Source {
    pub const fn word(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Own => "mlops",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Options {
    /// How long a statement may wait for a table's lock.
    pub lock_timeout: Duration,
    /// How long a statement may take; `None`: what the connection says.
    pub statement_timeout: Option<Duration>,
    /// How often a migration is tried again that did not get a lock in time, or met a deadlock.
    pub retries: usize,
    /// How long to wait for another run that is migrating.
    pub wait: Duration,
    /// Whether a version below the last one may still be applied.
    pub out_of_order: bool,
    /// Who: the CI run, or a user at a machine.
    pub run: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lock_timeout: Duration::from_secs(5),
            statement_timeout: None,
            retries: 5,
            wait: Duration::from_mins(5),
            out_of_order: false,
            run: None,
        }
    }
}

/// Why migrating stopped. What was applied before stays applied and is reported.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("another run has been migrating this database for {waited:?}: {holder}")]
    Locked { waited: Duration, holder: String },
    #[error("{file} was edited after it had been applied: {}", edited_help(*.harmless, .version))]
    Edited { version: String, file: String, harmless: bool },
    #[error("version {version} ({name}) was applied to this database, but its file is gone: restore it (git log --diff-filter=D -- '*{version}*')")]
    Gone { version: String, name: String },
    #[error("{file} is older than {head}, which is applied already: give it a higher version{}, or allow it with `out_of_order: true`", free.as_ref().map(|v| format!(" (the next free one is {v})")).unwrap_or_default())]
    OutOfOrder { file: String, head: String, free: Option<String> },
    #[error("version {version} is taken by {other} on the other branch: give {file} another one{}", free.as_ref().map(|v| format!(" (the next free one is {v})")).unwrap_or_default())]
    Taken { version: String, file: String, other: String, free: Option<String> },
    #[error("there is no version {wanted}; {help}")]
    NoVersion { wanted: String, help: String },
    #[error("{file} has no down part, so it cannot be undone")]
    NoDown { file: String },
    #[error("{why}; the transaction was rolled back, so {version} left no trace")]
    Rejected { version: String, file: String, line: Option<usize>, why: String },
    #[error("{version} did not get its lock in time, {tries} times in a row: {why}{}; it left no trace", open.as_ref().map(|o| format!(" (open transactions: {o})")).unwrap_or_default())]
    Busy { version: String, file: String, tries: usize, why: String, open: Option<String> },
    #[error("{why}; statement {statement} of {of}: those before it are done. {way_out}")]
    Stopped { version: String, file: String, line: usize, statement: usize, of: usize, why: String, way_out: String },
    #[error("{0}")]
    Unsplittable(String),
    #[error(
        "{version} stopped after statement {reached}, and a statement up to there was changed since: restore it, or undo by hand what was done and run `mlops migrate repair --forget {version}`"
    )]
    Changed { version: String, file: String, reached: usize },
    #[error(
        "the session changed under the migration lock: this is a connection pooler in transaction mode; give migrations the database's own address"
    )]
    Pooled,
    #[error("{version} was applied, but the history does not have it: somebody else changes `mlops.migration`")]
    Unrecorded { version: String },
    #[error(transparent)]
    Server(#[from] PgError),
}

fn edited_help(harmless: bool, version: &str) -> String {
    if harmless {
        format!("only comments or layout changed; `mlops migrate repair {version}` takes the new text")
    } else {
        "restore it and write a new migration for the change".into()
    }
}

impl MigrateError {
    /// A wrong migration is a failure; a lost server or a held lock could not be evaluated.
    pub fn is_verdict(&self) -> bool {
        !matches!(self, Self::Server(_) | Self::Locked { .. } | Self::Busy { .. } | Self::Pooled)
    }
}
