//! Looking without touching: what is applied, what would be, and what somebody changed by hand.

use std::collections::BTreeSet;

use serde::Serialize;
use tokio_postgres::Client;

use super::files::Folder;
use super::history::{self, History};
use super::plan::pending;
use super::schema::{self, Change, Schema};
use super::version::Version;
use super::{MigrateError, Options, Source};
use crate::ports::postgres::Postgres;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Applied,
    Pending,
    /// It stopped half-way.
    Unfinished,
    /// Its file was changed since.
    Edited,
    /// Applied, but its file is gone.
    Missing,
    /// Below the last one that is applied.
    OutOfOrder,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusRow {
    pub migration: String,
    pub status: Status,
    pub applied_at: Option<String>,
    pub applied_by: Option<String>,
    pub run: Option<String>,
    pub elapsed_ms: Option<f64>,
    pub adopted_from: Option<String>,
}

/// Every migration, and when it was applied. Writes nothing.
pub async fn status(server: &Postgres, source: Source, folder: &Folder) -> Result<Vec<StatusRow>, MigrateError> {
    let client = server.dedicated().await?;
    let (history, circumstances) = match history::look(&client, server, source).await? {
        Some(history) => (history, history::circumstances(&client, server, source).await?),
        None => Default::default(),
    };
    let row = |migration: String, status: Status, row: Option<&history::Row>| {
        let known = row.and_then(|row| circumstances.get(&row.version));
        StatusRow {
            migration,
            status,
            applied_at: known.map(|c| c.applied_at.clone()),
            applied_by: known.map(|c| c.applied_by.clone()),
            run: known.and_then(|c| c.run.clone()),
            elapsed_ms: known.map(|c| c.elapsed_ms),
            adopted_from: known.and_then(|c| c.adopted_from.clone()),
        }
    };
    let head = history.versioned.last_key_value().map(|(version, _)| version.clone());
    let mut rows: Vec<(Option<Version>, StatusRow)> = Vec::new();
    for m in &folder.migrations {
        let known = history.versioned.get(&m.version);
        let status = match known {
            Some(r) if r.steps.is_some_and(|s| !s.is_whole()) => Status::Unfinished,
            Some(r) if r.checksum != m.checksum => Status::Edited,
            Some(_) => Status::Applied,
            None if head.as_ref().is_some_and(|head| m.version < *head) => Status::OutOfOrder,
            None => Status::Pending,
        };
        rows.push((Some(m.version.clone()), row(m.id(), status, known)));
    }
    for (version, r) in history.versioned.iter().filter(|(version, _)| folder.find(version).is_none()) {
        rows.push((Some(version.clone()), row(format!("{}_{}", r.version, r.name), Status::Missing, Some(r))));
    }
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    for r in &folder.repeatables {
        let known = history.repeatable.get(&r.name);
        let status = if known.is_some_and(|k| k.checksum == r.checksum) { Status::Applied } else { Status::Pending };
        rows.push((None, row(r.id(), status, known)));
    }
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// The last version that is applied; nothing without a history.
pub async fn head(server: &Postgres) -> Result<Option<String>, MigrateError> {
    let client = server.client().await?;
    Ok(known(&client, server, Source::App).await?.head().map(|row| row.version.clone()))
}

/// The digest of the schema as the last migration left it; nothing where none was recorded.
pub async fn recorded_digest(server: &Postgres) -> Result<Option<String>, MigrateError> {
    let client = server.client().await?;
    schema::recorded_digest(&client, server).await
}

async fn known(client: &Client, server: &Postgres, source: Source) -> Result<History, MigrateError> {
    Ok(history::look(client, server, source).await?.unwrap_or_default())
}

/// What `up` would do.
#[derive(Debug, Serialize)]
pub struct Outlook {
    pub head: Option<String>,
    pub steps: Vec<Step>,
    /// What stands in the way.
    #[serde(skip)]
    pub troubles: Vec<MigrateError>,
    pub invalid_indexes: Vec<InvalidIndex>,
}

#[derive(Debug, Serialize)]
pub struct Step {
    pub migration: String,
    pub file: String,
    pub transaction: bool,
    pub can_be_undone: bool,
    /// Of one that stopped half-way: the statements that are done.
    pub resumes_after: Option<usize>,
}

pub async fn outlook(server: &Postgres, folder: &Folder, options: &Options) -> Result<Outlook, MigrateError> {
    let client = server.dedicated().await?;
    let history = known(&client, server, Source::App).await?;
    let mut outlook = Outlook { head: history.head().map(|row| row.version.clone()), steps: vec![], troubles: vec![], invalid_indexes: vec![] };
    outlook.invalid_indexes = find_invalid(&client, server).await?;
    match pending(&history, folder, options) {
        Err(troubles) => outlook.troubles = troubles,
        Ok(pending) => {
            let unfinished = pending.unfinished.map(|(m, steps)| (m, Some(steps.reached)));
            for (m, resumes_after) in unfinished.into_iter().chain(pending.migrations.iter().map(|m| (*m, None))) {
                let (migration, file) = (m.id(), m.file().to_owned());
                outlook.steps.push(Step { migration, file, transaction: m.up.transactional, can_be_undone: m.down.is_some(), resumes_after });
            }
            for r in pending.repeatables {
                let (migration, file) = (r.id(), r.script.file.clone());
                outlook.steps.push(Step { migration, file, transaction: true, can_be_undone: false, resumes_after: None });
            }
        }
    }
    Ok(outlook)
}

/// Versions and names of repeatables that are pending; the inner error: files and history disagree.
pub async fn new_ones(
    server: &Postgres,
    folder: &Folder,
    options: &Options,
) -> Result<Result<(BTreeSet<String>, BTreeSet<String>), Vec<MigrateError>>, MigrateError> {
    let client = server.dedicated().await?;
    let history = known(&client, server, Source::App).await?;
    Ok(pending(&history, folder, options).map(|pending| {
        let versions = pending.migrations.iter().map(|m| m.version.to_string()).collect();
        (versions, pending.repeatables.iter().map(|r| r.name.clone()).collect())
    }))
}

/// What `create index concurrently` leaves behind when it is cut off: no query uses it, every write maintains it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InvalidIndex {
    pub index: String,
    pub table: String,
    pub remedy: String,
}

pub async fn invalid_indexes(server: &Postgres) -> Result<Vec<InvalidIndex>, MigrateError> {
    find_invalid(&*server.client().await?, server).await
}

async fn find_invalid(client: &Client, server: &Postgres) -> Result<Vec<InvalidIndex>, MigrateError> {
    let sql = "select i.indexrelid::regclass::text, i.indrelid::regclass::text, \
               c.relname ~ '_cc(new|old)[0-9]*$' or exists (select from pg_index v where v.indrelid = i.indrelid and v.indisvalid \
                 and v.indkey = i.indkey and v.indclass = i.indclass and v.indpred is not distinct from i.indpred and v.indexprs is not distinct from i.indexprs) \
               from pg_index i join pg_class c on c.oid = i.indexrelid \
               where not i.indisvalid and c.relkind = 'i' and not exists (select from pg_stat_progress_create_index p where p.index_relid = i.indexrelid) \
               order by 1";
    let rows = client.query_typed(sql, &[]).await.map_err(|e| server.error("looking for invalid indexes", &e))?;
    let row = |row: &tokio_postgres::Row| {
        let index: String = row.get(0);
        let remedy = if row.get(2) { format!("drop index concurrently {index}") } else { format!("reindex index concurrently {index}") };
        InvalidIndex { index, table: row.get(1), remedy }
    };
    Ok(rows.iter().map(row).collect())
}

/// The schema now beside the one that the last migration left.
#[derive(Debug, Serialize)]
pub struct Drift {
    pub version: Option<String>,
    pub recorded_at: String,
    pub changes: Vec<Change>,
}

/// `None`: no schema was recorded yet.
pub async fn drift(server: &Postgres) -> Result<Option<Drift>, MigrateError> {
    let client = server.dedicated().await?;
    if history::look(&client, server, Source::App).await?.is_none() {
        return Ok(None);
    }
    let Some(recorded) = schema::recorded(&client, server).await? else { return Ok(None) };
    let now = Schema::read(&client, server).await?;
    Ok(Some(Drift { version: recorded.version, recorded_at: recorded.at, changes: recorded.schema.changes(&now) }))
}
