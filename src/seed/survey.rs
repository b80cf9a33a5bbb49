//! Everything that has to be known before the first row moves.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use tokio_postgres::{Client, Transaction};

use super::plan::{Known, Last};
use super::source::Pools;
use super::{Load, Mode, SeedError, Task};
use crate::mistakes::suggestion;
use crate::names::{TableName, ident, literal};
use sha2::Sha256;

use crate::ports::files::{Workspace, digest_of, sha256};
use crate::ports::postgres::{Postgres, catalog};

pub(super) struct Survey {
    pub(super) catalog: catalog::Catalog,
    pub(super) known: Vec<Known>,
    /// Foreign keys between tables of which one at least is seeded.
    pub(super) references: Vec<(u32, u32)>,
    /// The server's clock shows UTC.
    pub(super) utc: bool,
}

impl Survey {
    /// The error names the seed that it is about.
    pub(super) async fn take(
        client: &mut Client,
        server: &Postgres,
        workspace: &Workspace,
        tasks: &[Task],
    ) -> Result<Self, (Option<usize>, SeedError)> {
        let everything = |e: tokio_postgres::Error| (None, SeedError::from(server.error("looking at the tables to seed", &e)));
        let transaction = client.transaction().await.map_err(everything)?;
        let names: Vec<TableName> = tasks.iter().filter_map(|t| t.as_load().map(|load| load.table.clone())).collect();
        let catalog = catalog::read(&transaction, &names).await.map_err(everything)?;
        let mut known = Vec::new();
        for (i, task) in tasks.iter().enumerate() {
            let at = |e| (Some(i), e);
            if let Some(load) = task.as_load()
                && !catalog.tables.contains_key(&load.table)
            {
                let help = suggestion(&load.table.to_string(), catalog.known.iter().map(String::as_str), "tables");
                return Err(at(SeedError::Wrong(format!("table {} does not exist; {help}", load.table))));
            }
            known.push(remember(&transaction, server, workspace, task).await.map_err(at)?);
        }
        let relations: Vec<u32> = known.iter().filter_map(|k| k.relation).collect();
        let sql = "select conrelid, confrelid from pg_constraint where contype = 'f' and conparentid = 0 and confrelid = any($1)";
        let rows = transaction.query(sql, &[&relations]).await.map_err(everything)?;
        let references = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let utc =
            transaction.query_one("select current_setting('timezone') in ('UTC', 'Etc/UTC', 'GMT', 'Etc/GMT')", &[]).await.map_err(everything)?;
        Ok(Self { catalog, known, references, utc: utc.get(0) })
    }
}

async fn remember(transaction: &Transaction<'_>, server: &Postgres, workspace: &Workspace, task: &Task) -> Result<Known, SeedError> {
    let fail = |e| SeedError::from(server.error("reading the seed history", &e));
    let last =
        transaction.query_opt("select digest, relation, rows, bad_rows from mlops.seed where target = $1", &[&task.target()]).await.map_err(fail)?;
    let last = last.map(|row| Last { digest: row.get(0), relation: row.get(1), rows: row.get(2), bad_rows: row.get(3) });
    let path = task.file().map(|file| workspace.path(file)).transpose()?;
    // Without a last time there is nothing to compare with: the digest is taken while the rows move.
    let digest = match (&path, &last) {
        (Some(path), None) => {
            if let Some(file) = task.file().filter(|_| !path.is_file()) {
                return Err(SeedError::Unreadable(format!("{file}: no such file")));
            }
            None
        }
        _ => Some(digest(task, path).await?),
    };
    let Some(load) = task.as_load() else {
        return Ok(Known { digest, relation: None, has_rows: true, partitioned: false, last });
    };
    let quoted = load.table.quoted();
    let sql = format!("select c.oid, exists (select from {quoted}), c.relkind = 'p' from pg_class c where c.oid = {}::regclass", literal(&quoted));
    let row = transaction.query_one(&sql, &[]).await.map_err(fail)?;
    Ok(Known { digest, relation: Some(row.get(0)), has_rows: row.get(1), partitioned: row.get(2), last })
}

/// Of the file's content and of the settings that decide the rows beside it; of the content alone where there are none.
pub(super) async fn digest(task: &Task, path: Option<PathBuf>) -> Result<String, SeedError> {
    let settings = task.as_load().map(|load| load.settings.clone()).unwrap_or_default();
    let content = match (path, task.file()) {
        (Some(path), Some(file)) => {
            let hashed = tokio::task::spawn_blocking(move || hash(&path)).await.unwrap_or_else(|_| Err("hashing it panicked".into()));
            hashed.map_err(|why| SeedError::Unreadable(format!("{file}: {why}")))?
        }
        _ => String::new(),
    };
    Ok(if settings.is_empty() { content } else { sha256(format!("{content}\n{settings}").as_bytes()) })
}

fn hash(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|e| if e.kind() == std::io::ErrorKind::NotFound { "no such file".into() } else { e.to_string() })?;
    digest_of::<Sha256>(file).map_err(|e| e.to_string())
}

/// The values that made-up columns refer to, as the tables hold them now.
pub(super) async fn pools(transaction: &Transaction<'_>, server: &Postgres, load: &Load) -> Result<Pools, SeedError> {
    let mut pools = BTreeMap::new();
    for from in load.refers_to() {
        let (table, column) = from.rsplit_once('.').unwrap_or((from, ""));
        let wrong = || SeedError::Wrong(format!("`references: {from}`: write it as `table.column`"));
        let table = TableName::parse(table).map_err(|_| wrong())?;
        let sql = format!("select distinct {0}::text from {1} where {0} is not null order by 1 limit 100000", ident(column), table.quoted());
        let rows = transaction.query(&sql, &[]).await.map_err(|e| server.error(&format!("reading the values of {from}"), &e))?;
        if rows.is_empty() {
            return Err(SeedError::Wrong(format!("`references: {from}`: there is no value to refer to; seed {table} above this entry")));
        }
        pools.insert(from.to_owned(), rows.iter().map(|row| row.get(0)).collect());
    }
    Ok(pools)
}

/// Whether several connections may load it at once.
pub(super) fn may_share(load: &Load, known: &Known) -> bool {
    load.connections > 1 && !known.has_rows && matches!(load.mode, Mode::Replace | Mode::IfEmpty)
}
