//! New versions: every dataset of a run from one snapshot of the database.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio_postgres::{IsolationLevel, Transaction};

use super::dvc::{Entry, Out, Tree};
use super::export::{Exported, Into, export};
use super::meta::KEYS;
use super::origins::{Origins, origins};
use super::read;
use super::source::{Reading, Source, describe};
use super::store::{Fresh, Store};
use super::{Dataset, DatasetError, Datasets, Meta, MetaColumn, Pointed, Version};
use crate::ports::files::hex;
use crate::ports::git::Git;
use crate::ports::postgres::Postgres;
use crate::units::counted;

/// What was written.
#[derive(Debug, Clone)]
pub struct Written {
    pub out: String,
    pub pointer: String,
    pub bytes: u64,
    pub md5: String,
    pub meta: Meta,
    /// False when the data was just this already.
    pub changed: bool,
    /// What a reader may stumble over.
    pub notes: Vec<String>,
    pub version: Pointed,
}

/// What a run knows and a version says.
pub struct Context<'a> {
    pub store: &'a Store<'a>,
    pub connections: usize,
    pub schema_revision: Option<String>,
    /// RFC 3339.
    pub now: String,
    /// Hears which dataset is read, about how many rows it has, and where their number is counted.
    pub watch: &'a Watch<'a>,
}

pub type Watch<'a> = dyn Fn(&str, Option<u64>, Arc<AtomicU64>) + Sync + 'a;

pub type Results = Vec<(String, Result<Written, DatasetError>)>;

/// Nothing is written for a dataset that fails.
///
/// Whoever writes the same data at the same time waits, before the snapshot is taken: pointer and data stay together, and
/// what is written last is what was read last.
pub async fn write_all(server: &Postgres, datasets: &Datasets, context: &Context<'_>) -> Result<Results, DatasetError> {
    let _locks = context.store.lock_all(datasets).await?;
    let mut client = server.dedicated().await?;
    let begin = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start();
    let mut holder = begin.await.map_err(|e| DatasetError::from(server.error("opening a snapshot", &e)))?;
    let sql = "select set_config('idle_in_transaction_session_timeout', '0', true), current_setting('server_version'), \
               case when not pg_is_in_recovery() then pg_export_snapshot() end";
    let row = holder.query_one(sql, &[]).await.map_err(|e| DatasetError::from(server.error("exporting the snapshot", &e)))?;
    let (database, snapshot): (String, Option<String>) = (row.get(1), row.get(2));
    let mut results = Vec::new();
    for (name, dataset) in datasets {
        // A rejected query ends its savepoint, not the snapshot.
        let opened = holder.transaction().await.map_err(|e| DatasetError::from(server.error("opening a savepoint", &e)))?;
        let one = One { server, name, dataset, database: &database, snapshot: snapshot.as_deref(), context };
        results.push((name.clone(), one.write(opened).await));
    }
    Ok(results)
}

struct One<'a> {
    server: &'a Postgres,
    name: &'a str,
    dataset: &'a Dataset,
    database: &'a str,
    snapshot: Option<&'a str>,
    context: &'a Context<'a>,
}

impl One<'_> {
    async fn write(&self, mut session: Transaction<'_>) -> Result<Written, DatasetError> {
        let Self { server, dataset, context, .. } = self;
        let store = context.store;
        let source = Source::of(dataset, store.workspace)?;
        let format = dataset.format();
        let reading = Arc::new(describe(server, &session, &source, dataset, format.is_text(), context.connections > 1).await?);
        let names: Vec<&str> = reading.names.iter().map(String::as_str).collect();
        let mut origins = origins(&mut session, &source.query, &names).await;
        origins.tables.extend(dataset.upstream.iter().map(ToString::to_string).filter(|table| !origins.tables.contains(table)).collect::<Vec<_>>());
        drop(session);
        // Known before an hour of reading.
        let before = store.current(dataset)?;
        let rows = Arc::new(AtomicU64::new(0));
        (context.watch)(self.name, reading.estimate, rows.clone());
        let (staged, into) = if dataset.partition_by.is_empty() {
            let staged = store.workspace.stage(&dataset.out)?;
            let file = staged.open().try_clone().map_err(|e| DatasetError::Write(e.to_string()))?;
            (Some(staged), Into::File(file))
        } else {
            (None, Into::Folder(store.workspace.stage_folder(&dataset.out)?))
        };
        let parts = read::start(server, reading.copies.clone(), self.snapshot, context.connections, &source.name);
        let shared = reading.clone();
        let task = tokio::task::spawn_blocking(move || export(&shared, parts, format, into, &rows));
        let exported = task.await.unwrap_or_else(|e| Err(DatasetError::Stream(e.to_string())))?;
        if exported.sums.rows() == 0 {
            return Err(DatasetError::Empty);
        }
        let notes = self.notes(&reading, exported.ties);
        let mut meta = self.meta(&source, &reading, &exported, &origins);
        let (mut out, fresh) = match (staged, exported.folder) {
            (Some(staged), _) => {
                let (_, sum) = exported.files.into_iter().next().ok_or(DatasetError::Empty)?;
                (self.out(sum.md5, sum.bytes, None), Fresh::File(staged))
            }
            (None, Some(folder)) => {
                let size = exported.files.iter().map(|(_, sum)| sum.bytes).sum();
                let tree = Tree::new(exported.files.into_iter().map(|(path, sum)| Entry { path, md5: sum.md5 }).collect());
                (self.out(tree.id(), size, Some(tree.entries.len() as u64)), Fresh::Folder(folder, tree))
            }
            (None, None) => return Err(DatasetError::Empty),
        };
        // The same bytes are the same version: its pointer says when they were seen first.
        let same = match &before {
            Some((_, known)) if known.md5 == out.md5 => store.is_there(dataset, known)? && store.has_all(known)?,
            _ => false,
        };
        meta.of.clone_from(&out.md5);
        let known = before.as_ref().map(|(_, known)| known);
        // The same version was made when it was made first.
        let first = known.and_then(|known| Version::of(known.clone()).meta).filter(|first| first.of == out.md5);
        out.meta = meta_with_others(first.as_ref().unwrap_or(&meta), known.map(|known| &known.meta))?;
        if !same {
            store.settle(dataset, fresh, before, &out)?;
        }
        Ok(Written {
            out: dataset.out.to_string(),
            pointer: Store::pointer(dataset),
            bytes: out.size,
            md5: out.md5.clone(),
            meta,
            changed: !same,
            notes,
            version: Pointed(out),
        })
    }

    fn out(&self, md5: String, size: u64, files: Option<u64>) -> Out {
        Out { md5, size, files, path: Store::name(self.dataset).into(), meta: Value::Null, remote: None, push: true }
    }

    fn meta(&self, source: &Source, reading: &Reading, exported: &Exported, origins: &Origins) -> Meta {
        Meta {
            source: source.name.clone(),
            query: self.dataset.query.is_some().then(|| source.query.clone()),
            query_sha256: hex(&Sha256::digest(&source.query)),
            rows: exported.sums.rows(),
            columns: reading.fields.iter().map(|field| MetaColumn::of(field, origins)).collect(),
            upstream: origins.tables.clone(),
            content: exported.sums.digest(&reading.fields),
            of: String::new(),
            schema_revision: self.context.schema_revision.clone(),
            database: format!("PostgreSQL {}", self.database),
            created_at: self.context.now.clone(),
        }
    }

    fn notes(&self, reading: &Reading, ties: u64) -> Vec<String> {
        let mut notes: Vec<String> = reading.fields.iter().filter_map(|f| Some(format!("`{}` is kept as text: {}", f.name, f.note?))).collect();
        if self.dataset.order_by.is_none() {
            notes.push("without `order_by` the order of rows, and so the bytes, may change from run to run".into());
        } else if ties > 0 {
            let pairs = counted(ties, "pair");
            notes.push(format!("`order_by` cannot tell {pairs} of neighbours apart: their order, and so the bytes, may change from run to run"));
        }
        let (out, pointer) = (&*self.dataset.out, Store::pointer(self.dataset));
        if self.context.store.repo.is_some() {
            let git = Git::at(&self.context.store.workspace.path_of_folder());
            if git.ignores(&pointer) {
                notes.push(format!("git is told to ignore {pointer}: neither it nor DVC will see this version"));
            }
            if git.tracks(out) {
                notes.push(format!("git tracks {out} itself: `git rm -r --cached {out}` leaves it to its pointer"));
            }
        }
        notes
    }
}

/// Ours anew, and what somebody else has put beside it.
fn meta_with_others(meta: &Meta, before: Option<&Value>) -> Result<Value, DatasetError> {
    let mut value = serde_json::to_value(meta).map_err(|e| DatasetError::Write(e.to_string()))?;
    if let (Some(ours), Some(theirs)) = (value.as_object_mut(), before.and_then(Value::as_object)) {
        let others = theirs.iter().filter(|(key, _)| !KEYS.contains(&key.as_str()));
        ours.extend(others.map(|(key, value)| (key.clone(), value.clone())));
    }
    Ok(value)
}
