//! Applying and undoing: one round trip a migration, history in the same transaction.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio_postgres::Client;
use tokio_postgres::error::ErrorPosition;

use super::{MigrateError, Migration, Options, Source, lock};
use crate::names::literal;
use crate::ports::postgres::{Postgres, describe, guarded};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    pub id: String,
    pub file: String,
    pub elapsed: Duration,
}

/// What a run did, also when it had to stop.
#[derive(Debug, Default)]
pub struct Run {
    pub done: Vec<Applied>,
    /// Applied by earlier runs.
    pub before: usize,
    /// The last version in the history after this run.
    pub head: Option<String>,
    pub trouble: Option<MigrateError>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRow {
    pub id: String,
    pub applied_at: Option<String>,
}

struct Row {
    version: String,
    name: String,
    checksum: String,
    applied_at: String,
}

type History = BTreeMap<(usize, String), Row>;

/// Applies what is pending, in order.
pub async fn up(server: &Postgres, source: Source, migrations: &[Migration], options: Options) -> Run {
    with_lock(server, options, async |client, run| {
        ensure_history(client, server).await?;
        let history = read_history(client, server, source).await?;
        run.before = history.len();
        run.head = history.values().next_back().map(|row| row.version.clone());
        for migration in pending(&history, migrations)? {
            let started = Instant::now();
            let tail = format!(
                "insert into mlops.migration (source, version, name, checksum) values ({}, {}, {}, {})",
                literal(source.word()),
                literal(&migration.version),
                literal(&migration.name),
                literal(&migration.checksum)
            );
            execute(client, server, migration, Direction::Up, &migration.up, &tail, options).await?;
            run.done.push(Applied { id: migration.id(), file: migration.file.clone(), elapsed: started.elapsed() });
            run.head = Some(migration.version.clone());
        }
        Ok(())
    })
    .await
}

/// Undoes the last `steps` migrations, the newest first.
pub async fn down(server: &Postgres, source: Source, migrations: &[Migration], steps: usize, options: Options) -> Run {
    with_lock(server, options, async |client, run| {
        ensure_history(client, server).await?;
        let history = read_history(client, server, source).await?;
        pending(&history, migrations)?; // edited, gone and out of order are refused both ways
        let applied: Vec<&Migration> = migrations.iter().filter(|m| history.contains_key(&order(&m.version))).collect();
        run.before = applied.len();
        run.head = applied.last().map(|m| m.version.clone());
        // Known before the first one is undone.
        if let Some(migration) = applied.iter().rev().take(steps).find(|m| m.down.is_none()) {
            return Err(MigrateError::NoDown { file: migration.down_file.clone() });
        }
        for migration in applied.iter().rev().take(steps) {
            let started = Instant::now();
            let sql = migration.down.as_deref().unwrap_or_default();
            let tail = format!("delete from mlops.migration where source = {} and version = {}", literal(source.word()), literal(&migration.version));
            execute(client, server, migration, Direction::Down, sql, &tail, options).await?;
            run.done.push(Applied { id: migration.id(), file: migration.down_file.clone(), elapsed: started.elapsed() });
            let left = applied.len() - run.done.len();
            run.head = left.checked_sub(1).map(|last| applied[last].version.clone());
        }
        Ok(())
    })
    .await
}

/// Every migration, and when it was applied. Writes nothing.
pub async fn status(server: &Postgres, source: Source, migrations: &[Migration]) -> Result<Vec<StatusRow>, MigrateError> {
    let client = server.dedicated().await?;
    let exists = client.query_one("select to_regclass('mlops.migration') is not null", &[]).await;
    let exists: bool = exists.map_err(|e| server.error("reading the history", &e))?.get(0);
    let history = if exists { read_history(&client, server, source).await? } else { History::new() };
    let at = |m: &Migration| history.get(&order(&m.version)).map(|row| row.applied_at.clone());
    Ok(migrations.iter().map(|m| StatusRow { id: m.id(), applied_at: at(m) }).collect())
}

async fn with_lock(server: &Postgres, options: Options, work: impl AsyncFnOnce(&Client, &mut Run) -> Result<(), MigrateError>) -> Run {
    let mut run = Run::default();
    run.trouble = locked(server, options, &mut run, work).await.err();
    run
}

async fn locked(
    server: &Postgres,
    options: Options,
    run: &mut Run,
    work: impl AsyncFnOnce(&Client, &mut Run) -> Result<(), MigrateError>,
) -> Result<(), MigrateError> {
    let client = server.dedicated().await?;
    lock::acquire(&client, options.wait).await?;
    let result = work(&client, run).await;
    lock::release(&client).await;
    result
}

async fn ensure_history(client: &Client, server: &Postgres) -> Result<(), MigrateError> {
    let sql = "set client_min_messages = warning; \
               create schema if not exists mlops; \
               create table if not exists mlops.migration ( \
                 source text not null, version text not null, name text not null, checksum text not null, \
                 applied_at timestamptz not null default now(), applied_by text not null default session_user, \
                 elapsed_ms double precision not null default extract(epoch from clock_timestamp() - now()) * 1000, \
                 primary key (source, version)); \
               reset client_min_messages";
    client.batch_execute(sql).await.map_err(|e| server.error("making the migration history", &e).into())
}

async fn read_history(client: &Client, server: &Postgres, source: Source) -> Result<History, MigrateError> {
    let sql =
        "select version, name, checksum, to_char(applied_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') from mlops.migration where source = $1";
    let rows = client.query(sql, &[&source.word()]).await.map_err(|e| server.error("reading the migration history", &e))?;
    Ok(rows.iter().map(|r| (order(r.get(0)), Row { version: r.get(0), name: r.get(1), checksum: r.get(2), applied_at: r.get(3) })).collect())
}

/// Versions in numeric order, however they are written.
fn order(version: &str) -> (usize, String) {
    let digits = version.trim_start_matches('0');
    (digits.len(), digits.to_owned())
}

/// What is not applied yet, once the history and the files agree on the rest.
fn pending<'a>(history: &History, migrations: &'a [Migration]) -> Result<Vec<&'a Migration>, MigrateError> {
    let mut known: Vec<_> = history.keys().cloned().collect();
    let head = history.last_key_value();
    let mut pending = Vec::new();
    for migration in migrations {
        let place = order(&migration.version);
        match history.get(&place) {
            Some(row) if row.checksum != migration.checksum => {
                return Err(MigrateError::Edited { version: migration.version.clone(), file: migration.file.clone() });
            }
            Some(_) => known.retain(|key| *key != place),
            None if head.is_some_and(|(head, _)| place < *head) => {
                let head = head.map(|(_, row)| row.version.clone()).unwrap_or_default();
                return Err(MigrateError::OutOfOrder { file: migration.file.clone(), head });
            }
            None => pending.push(migration),
        }
    }
    match known.first() {
        Some(gone) => Err(MigrateError::Gone { version: history[gone].version.clone(), name: history[gone].name.clone() }),
        None => Ok(pending),
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down,
}

async fn execute(
    client: &Client,
    server: &Postgres,
    migration: &Migration,
    direction: Direction,
    sql: &str,
    history: &str,
    options: Options,
) -> Result<(), MigrateError> {
    // What the last migration left in the session must not change what this one means.
    let head = format!("reset role; reset all; begin; set local lock_timeout = {}", options.lock_timeout.as_millis());
    let batch = format!("{head}; {}; reset role; {history}; commit", guarded(sql));
    let Err(error) = client.batch_execute(&batch).await else { return Ok(()) };
    let wrapped = server.error(&format!("applying {}", migration.id()), &error);
    if !wrapped.is_statement() {
        return Err(wrapped.into());
    }
    // The session sits in a failed transaction; should this fail too, its end rolls back.
    let _ = client.batch_execute("rollback").await;
    let (file, first) = match direction {
        Direction::Up => (&migration.file, migration.up_line),
        Direction::Down => (&migration.down_file, migration.down_line),
    };
    let line = line_of(&error, sql).map(|line| first + line);
    Err(MigrateError::Rejected { version: migration.id(), file: file.clone(), line, why: describe(&error) })
}

/// The server counts characters of the script; a reader counts lines of the file.
fn line_of(error: &tokio_postgres::Error, sql: &str) -> Option<usize> {
    let Some(ErrorPosition::Internal { position, query }) = error.as_db_error()?.position() else { return None };
    let at = usize::try_from(*position).ok()?.checked_sub(1)?;
    // An error inside a function that the script calls counts in that function.
    if query != sql {
        return None;
    }
    (at < sql.chars().count()).then(|| 1 + sql.chars().take(at).filter(|c| *c == '\n').count())
}
