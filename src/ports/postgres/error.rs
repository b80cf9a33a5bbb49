//! What went wrong at a server: the endpoint, what was being done, and the server's own words.

use std::error::Error as _;
use std::fmt::Write as _;

use tokio_postgres::error::{DbError, SqlState};

/// An error that names its server.
#[derive(Debug, thiserror::Error)]
#[error("{endpoint}: {doing} failed: {trouble}")]
pub struct PgError {
    pub endpoint: String,
    pub doing: String,
    pub trouble: Trouble,
}

#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The connection could not be made or was lost.
    #[error("{0}")]
    Lost(String),
    /// The server refused the user, the password or the database.
    #[error("{0}")]
    Refused(String),
    /// The server rejected a statement.
    #[error("{0}")]
    Statement(String),
    /// The server chose another transaction over this one: a serialisation failure, a deadlock, a conflict with
    /// recovery on a replica.
    #[error("{0}")]
    Outdone(String),
    /// The settings make no sense.
    #[error("{0}")]
    Usage(String),
}

impl PgError {
    pub fn new(endpoint: &str, doing: &str, trouble: Trouble) -> Self {
        Self { endpoint: endpoint.into(), doing: doing.into(), trouble }
    }

    pub(super) fn from_source(endpoint: &str, doing: &str, source: &tokio_postgres::Error) -> Self {
        let text = describe(source);
        let trouble = match source.code() {
            // Waiting makes no certificate valid.
            None if text.contains("TLS handshake") => Trouble::Refused(text),
            None => Trouble::Lost(text),
            Some(code) if code.code().starts_with("28") || *code == SqlState::INVALID_CATALOG_NAME => Trouble::Refused(text),
            Some(code) if is_connection(code) => Trouble::Lost(text),
            Some(code) if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code) => Trouble::Outdone(text),
            Some(_) => Trouble::Statement(text),
        };
        Self::new(endpoint, doing, trouble)
    }

    /// Whether waiting may help: a server that is starting, a name that is not known yet.
    pub fn may_pass(&self) -> bool {
        matches!(self.trouble, Trouble::Lost(_))
    }

    /// Whether a second try may succeed where this one did not.
    pub fn may_be_tried_again(&self) -> bool {
        matches!(self.trouble, Trouble::Lost(_) | Trouble::Outdone(_))
    }

    /// Whether the server has refused the statement, rather than the way to the server being lost.
    pub fn is_statement(&self) -> bool {
        matches!(self.trouble, Trouble::Statement(_) | Trouble::Outdone(_))
    }
}

fn is_connection(code: &SqlState) -> bool {
    let class = &code.code()[..2];
    (class == "08" && *code != SqlState::PROTOCOL_VIOLATION)
        || class == "53"
        || [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW].contains(code)
}

/// The server's code, where the server has spoken.
pub fn sql_state(error: &tokio_postgres::Error) -> Option<&str> {
    error.code().map(SqlState::code)
}

/// The whole story in one text; the driver's own `Display` says only "db error".
pub fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        return describe_db(db);
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let _ = write!(text, ": {inner}");
        source = inner.source();
    }
    text
}

fn describe_db(db: &DbError) -> String {
    let mut text = format!("{} ({})", db.message(), db.code().code());
    if db.message().contains("EXECUTE of transaction commands") {
        text = "it runs in a transaction of its own: leave out begin, commit, rollback and savepoints".into();
    }
    // Where a guarded script stands is our business.
    let context = db.where_().filter(|context| !context.contains("inline_code_block"));
    for (label, part) in [("detail", db.detail()), ("hint", db.hint()), ("where", context)] {
        if let Some(part) = part {
            let _ = write!(text, "; {label}: {}", part.replace('\n', " "));
        }
    }
    text
}
