//! The history in the database: who applied what, when, and how long it took.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::version::Version;
use super::{MigrateError, Source};
use crate::names::literal;
use crate::ports::postgres::Postgres;

/// A migration as the database remembers it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub version: String,
    pub name: String,
    pub checksum: String,
    pub meaning: Option<String>,
    pub steps: Option<Steps>,
}

/// Who applied a migration, when, and how long it took: for people, and so only read for them.
#[derive(Debug, Clone, PartialEq)]
pub struct Circumstances {
    /// In UTC, to the second.
    pub applied_at: String,
    pub applied_by: String,
    pub elapsed_ms: f64,
    pub adopted_from: Option<String>,
    pub run: Option<String>,
}

/// How far a migration outside a transaction has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    pub statements: usize,
    pub started: usize,
    pub reached: usize,
    pub undoing: bool,
}

impl Steps {
    pub fn is_whole(&self) -> bool {
        self.reached >= self.statements && !self.undoing
    }
}

/// What one source has applied.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub versioned: BTreeMap<Version, Row>,
    /// By name.
    pub repeatable: BTreeMap<String, Row>,
}

impl History {
    fn of(rows: &[tokio_postgres::Row]) -> Self {
        let mut history = Self::default();
        for r in rows {
            let count = |at: usize| usize::try_from(r.get::<_, Option<i32>>(at).unwrap_or(0)).unwrap_or(0);
            let steps = r.get::<_, Option<i32>>(4).map(|_| Steps { statements: count(4), started: count(5), reached: count(6), undoing: r.get(7) });
            let row = Row { version: r.get(0), name: r.get(1), checksum: r.get(2), meaning: r.get(3), steps };
            match Version::parse(&row.version) {
                Some(version) => history.versioned.insert(version, row),
                None => history.repeatable.insert(row.name.clone(), row),
            };
        }
        history
    }

    pub fn head(&self) -> Option<&Row> {
        self.versioned.values().rev().find(|row| row.steps.is_none_or(|s| s.is_whole()))
    }
}

/// What is there; `None`: the tables are not, or not in their present shape.
pub(super) async fn look(client: &Client, server: &Postgres, source: Source) -> Result<Option<History>, MigrateError> {
    let missing = [&SqlState::INVALID_SCHEMA_NAME, &SqlState::UNDEFINED_TABLE, &SqlState::UNDEFINED_COLUMN];
    match rows(client, source).await {
        Err(error) if error.code().is_some_and(|code| missing.contains(&code)) => Ok(None),
        Err(error) => Err(server.error("reading the migration history", &error).into()),
        Ok(rows) => Ok(Some(History::of(&rows))),
    }
}

/// Under the migration lock: `create … if not exists` is no protection against another run.
pub(super) async fn ensure(client: &Client, server: &Postgres, source: Source) -> Result<History, MigrateError> {
    if let Some(history) = look(client, server, source).await? {
        return Ok(history);
    }
    client.batch_execute(include_str!("history.sql")).await.map_err(|e| server.error("making the migration history", &e))?;
    read(client, server, source).await
}

pub(super) async fn read(client: &Client, server: &Postgres, source: Source) -> Result<History, MigrateError> {
    let rows = rows(client, source).await.map_err(|e| server.error("reading the migration history", &e))?;
    Ok(History::of(&rows))
}

async fn rows(client: &Client, source: Source) -> Result<Vec<tokio_postgres::Row>, tokio_postgres::Error> {
    let sql = "select version, name, checksum, meaning, statements, started, reached, undoing from mlops.migration where source = $1";
    client.query_typed(sql, &[(&source.word(), Type::TEXT)]).await
}

/// Of every row of a history that is there, by its version.
pub(super) async fn circumstances(client: &Client, server: &Postgres, source: Source) -> Result<BTreeMap<String, Circumstances>, MigrateError> {
    let sql = "select version, applied_at, applied_by, elapsed_ms, adopted_from, run from mlops.migration where source = $1";
    let rows = client.query_typed(sql, &[(&source.word(), Type::TEXT)]).await;
    let rows = rows.map_err(|e| server.error("reading the migration history", &e))?;
    let of = |r: &tokio_postgres::Row| Circumstances {
        applied_at: r.get::<_, DateTime<Utc>>(1).format("%Y-%m-%d %H:%M:%S").to_string(),
        applied_by: r.get(2),
        elapsed_ms: r.get(3),
        adopted_from: r.get(4),
        run: r.get(5),
    };
    Ok(rows.iter().map(|r| (r.get(0), of(r))).collect())
}

/// What a migration changes in the history: it travels in the same message as the migration.
pub(super) enum Change<'a> {
    Applied(NewRow<'a>),
    /// The row goes, and what it said stays among the events.
    Undone {
        source: Source,
        version: &'a str,
        run: Option<&'a str>,
    },
}

pub(super) struct NewRow<'a> {
    pub(super) source: Source,
    pub(super) version: &'a str,
    pub(super) name: &'a str,
    pub(super) checksum: &'a str,
    pub(super) meaning: Option<&'a str>,
    pub(super) reason: Option<&'a str>,
    pub(super) statements: Option<usize>,
    pub(super) adopted_from: Option<&'a str>,
    pub(super) run: Option<&'a str>,
}

fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "null".into(), literal)
}

impl Change<'_> {
    pub(super) fn sql(&self) -> String {
        match self {
            Self::Applied(row) => row.insert(),
            Self::Undone { source, version, run } => undone(&literal(source.word()), &literal(version), &optional(*run)),
        }
    }

    /// By the statements that `prepare` has made: the server plans them once.
    pub(super) fn execute(&self, prepared: &str) -> String {
        match self {
            Self::Applied(row) => format!("execute {prepared}_applied({})", row.values()),
            Self::Undone { source, version, run } => {
                format!("execute {prepared}_undone({}, {}, {})", literal(source.word()), literal(version), optional(*run))
            }
        }
    }
}

/// Under names that no other session has: behind a pooler they tell when the session has changed.
pub(super) fn prepare(prepared: &str) -> String {
    format!(
        "prepare {prepared}_applied (text, text, text, text, text, text, text, text, int, int, int) as {}; \
         prepare {prepared}_undone (text, text, text) as {}",
        applied("$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11"),
        undone("$1", "$2", "$3"),
    )
}

/// Also over the row of an earlier version of something repeatable.
fn applied(values: &str) -> String {
    format!(
        "insert into mlops.migration (source, version, name, checksum, meaning, reason, adopted_from, run, statements, started, reached) \
         values ({values}) on conflict (source, version) do update set name = excluded.name, \
         checksum = excluded.checksum, meaning = excluded.meaning, reason = excluded.reason, applied_at = excluded.applied_at, \
         applied_by = excluded.applied_by, elapsed_ms = excluded.elapsed_ms, run = excluded.run"
    )
}

fn undone(source: &str, version: &str, run: &str) -> String {
    format!(
        "with gone as (delete from mlops.migration where source = {source} and version = {version} returning *) \
         insert into mlops.migration_event (verb, run, source, version, detail) select 'down', {run}, source, version, to_jsonb(gone) || \
         jsonb_build_object('down_ms', extract(epoch from clock_timestamp() - now()) * 1000) from gone"
    )
}

impl NewRow<'_> {
    pub(super) fn insert(&self) -> String {
        applied(&self.values())
    }

    fn values(&self) -> String {
        let steps = self.statements.map_or_else(|| "null, null, null".into(), |n| format!("{n}, 0, 0"));
        let texts = [Some(self.source.word()), Some(self.version), Some(self.name), Some(self.checksum)];
        let texts = texts.into_iter().chain([self.meaning, self.reason, self.adopted_from, self.run]).map(optional).collect::<Vec<_>>();
        format!("{}, {steps}", texts.join(", "))
    }
}

/// Something that was done to the history itself.
pub(super) fn event(verb: &str, source: Source, version: &str, run: Option<&str>, detail: &serde_json::Value) -> String {
    format!(
        "insert into mlops.migration_event (verb, run, source, version, detail) values ({}, {}, {}, {}, {}::jsonb)",
        literal(verb),
        run.map_or_else(|| "null".into(), literal),
        literal(source.word()),
        literal(version),
        literal(&detail.to_string()),
    )
}
