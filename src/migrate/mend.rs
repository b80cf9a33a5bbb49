//! Changes to the history alone: each is recorded with who made it and what stood there before.

use serde::Serialize;
use serde_json::json;

use super::apply::Session;
use super::files::{Folder, Migration};
use super::history::{self, Row};
use super::version::Version;
use super::{MigrateError, Options, Source, schema};
use crate::mistakes::suggestion;
use crate::names::literal;
use crate::ports::postgres::Postgres;

/// What a mending did, a line each.
#[derive(Debug, Default, Serialize)]
pub struct Mended {
    pub done: Vec<String>,
    /// What was left as it is, and why.
    pub left: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// Take the text of an edited file; `force`: although its statements changed.
    Text { force: bool },
    /// A statement of an unfinished migration took effect.
    Done(usize),
    /// A statement of an unfinished migration did not take effect.
    Redo(usize),
    /// The version is not applied.
    Forget,
}

/// Records everything up to a version as applied, without running it.
pub async fn stamp(server: &Postgres, folder: &Folder, version: &Version, options: &Options) -> Result<Mended, MigrateError> {
    if folder.find(version).is_none() {
        return Err(no_version(folder, version));
    }
    let session = Session::begin(server, Source::App, options).await?;
    let known = &session.known;
    let (mut mended, mut sql) = (Mended::default(), String::from("begin"));
    for migration in folder.migrations.iter().filter(|m| m.version <= *version && !known.versioned.contains_key(&m.version)) {
        let meaning = migration.up.meaning();
        let row = history::NewRow { adopted_from: Some("stamp"), ..session.row(migration, Some(&meaning), None) };
        let event = history::event("stamp", Source::App, migration.version.as_str(), options.run.as_deref(), &json!({"file": migration.file()}));
        sql.push_str(&format!("; {}; {event}", row.insert()));
        mended.done.push(format!("{} is recorded as applied; it was not run", migration.id()));
    }
    write(&session, &sql).await?;
    schema::record(&session.client, server, Some(version.as_str()), Source::App.word()).await?;
    session.end().await;
    Ok(mended)
}

fn no_version(folder: &Folder, version: &Version) -> MigrateError {
    let known: Vec<&str> = folder.migrations.iter().map(|m| m.version.as_str()).collect();
    MigrateError::NoVersion { wanted: version.to_string(), help: suggestion(version.as_str(), known.iter().copied(), "versions") }
}

pub(super) async fn write(session: &Session<'_>, sql: &str) -> Result<(), MigrateError> {
    let sent = session.client.batch_execute(&format!("{sql}; commit")).await;
    sent.map_err(|e| session.server.error("writing the migration history", &e).into())
}

/// One version, or with `None` all of them.
pub async fn repair(server: &Postgres, folder: &Folder, version: Option<&Version>, what: Repair, options: &Options) -> Result<Mended, MigrateError> {
    let session = Session::begin(server, Source::App, options).await?;
    let known = &session.known;
    let rows: Vec<(&Version, &Row)> = known.versioned.iter().filter(|(v, _)| version.is_none_or(|wanted| wanted == *v)).collect();
    if let (Some(version), true) = (version, rows.is_empty()) {
        return Err(no_version(folder, version));
    }
    let circumstances = history::circumstances(&session.client, server, Source::App).await?;
    let (mut mended, mut sql) = (Mended::default(), String::from("begin"));
    for (version, row) in rows {
        let file = folder.find(version);
        let verdict = match what {
            Repair::Text { force } => text(row, file, force),
            Repair::Done(n) | Repair::Redo(n) => Some(position(row, n, matches!(what, Repair::Done(_)))),
            Repair::Forget => {
                Some(Ok((format!("delete from mlops.migration where {}", key(row)), format!("{} is no longer recorded as applied", id(row)))))
            }
        };
        match verdict {
            None => {}
            Some(Err(why)) => mended.left.push(why),
            Some(Ok((change, said))) => {
                let then = circumstances.get(&row.version);
                let (at, by) = (then.map(|c| &c.applied_at), then.map(|c| &c.applied_by));
                let before = json!({"checksum": row.checksum, "applied_at": at, "applied_by": by, "what": said});
                let event = history::event("repair", Source::App, &row.version, options.run.as_deref(), &before);
                sql.push_str(&format!("; {change}; {event}"));
                mended.done.push(said);
            }
        }
    }
    write(&session, &sql).await?;
    session.end().await;
    Ok(mended)
}

fn id(row: &Row) -> String {
    format!("{}_{}", row.version, row.name)
}

fn key(row: &Row) -> String {
    format!("source = {} and version = {}", literal(Source::App.word()), literal(&row.version))
}

type Verdict = Option<Result<(String, String), String>>;

fn text(row: &Row, file: Option<&Migration>, force: bool) -> Verdict {
    let Some(migration) = file else {
        return Some(Err(format!("{}: its file is gone; restore it, or `mlops migrate repair {} --forget`", id(row), row.version)));
    };
    if migration.checksum == row.checksum && migration.name == row.name {
        return None;
    }
    let meaning = migration.up.meaning();
    if !force && row.meaning.as_deref() != Some(&meaning) {
        return Some(Err(format!("{}: its statements changed, not only comments or layout; with --force the new text is taken", id(row))));
    }
    let (checksum, name) = (literal(&migration.checksum), literal(&migration.name));
    let change = format!("update mlops.migration set checksum = {checksum}, name = {name}, meaning = {} where {}", literal(&meaning), key(row));
    Some(Ok((change, format!("{} has the checksum of {} now", id(row), migration.file()))))
}

fn position(row: &Row, n: usize, done: bool) -> Result<(String, String), String> {
    let Some(steps) = row.steps.filter(|s| !s.is_whole()) else {
        return Err(format!("{} did not stop half-way", id(row)));
    };
    if n != steps.reached + 1 {
        return Err(format!("{}: statement {} is the one that was cut off, not {n}", id(row), steps.reached + 1));
    }
    let reached = if done { n } else { n - 1 };
    let change = format!("update mlops.migration set started = {n}, reached = {reached} where {}", key(row));
    let again = format!("; update mlops.migration set started = {reached} where {}", key(row));
    let word = if done { "is recorded as done" } else { "will be run again" };
    Ok((change + &again, format!("statement {n} of {} {word}; `mlops migrate up` goes on", id(row))))
}
