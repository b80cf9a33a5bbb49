//! Migrations: ordered, checksummed files, each applied in one transaction together with its history row, by one run at
//! a time.

mod apply;
mod files;
mod lock;
mod own;

pub use self::apply::{Run, StatusRow, down, status, up};
pub use self::files::{Migration, parse};
pub use self::own::migrations as own_migrations;

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

#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How long a statement may wait for a table's lock.
    pub lock_timeout: Duration,
    /// How long to wait for another run that is migrating.
    pub wait: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { lock_timeout: Duration::from_secs(5), wait: Duration::from_mins(5) }
    }
}

/// Why migrating stopped. What was applied before stays applied and is reported.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("another run has been migrating this database for {waited:?}: {holder}")]
    Locked { waited: Duration, holder: String },
    #[error("{file} was edited after it had been applied: restore it and write a new migration for the change")]
    Edited { version: String, file: String },
    #[error("version {version} ({name}) was applied to this database, but its file is gone: restore it")]
    Gone { version: String, name: String },
    #[error("{file} is older than {head}, which is applied already: give it a higher version")]
    OutOfOrder { file: String, head: String },
    #[error("{file} has no down part, so it cannot be undone")]
    NoDown { file: String },
    #[error("{why}; the transaction was rolled back, so {version} left no trace")]
    Rejected { version: String, file: String, line: Option<usize>, why: String },
    #[error(transparent)]
    Server(#[from] PgError),
}

impl MigrateError {
    /// A wrong migration is a failure; a lost server or a held lock could not be evaluated.
    pub fn is_verdict(&self) -> bool {
        !matches!(self, Self::Server(_) | Self::Locked { .. })
    }
}
