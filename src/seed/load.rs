//! The loading itself: everything in one transaction, or nothing.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio_postgres::Transaction;

use super::plan::{Action, Known, Last, decide};
use super::{Mode, Task};
use crate::mistakes::suggestion;
use crate::names::{TableName, ident};
use crate::ports::files::{FileError, Workspace, sha256};
use crate::ports::frame::{self, FrameError};
use crate::ports::postgres::{PgError, Postgres, catalog, copy, guarded};

#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Wrong(String),
    #[error(transparent)]
    Server(#[from] PgError),
}

impl SeedError {
    /// Data that the table refuses is a failure; a file that cannot be read or a lost server was not evaluated.
    pub fn is_verdict(&self) -> bool {
        match self {
            Self::Wrong(_) => true,
            Self::Server(error) => error.is_statement(),
            Self::File(_) | Self::Frame(_) => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    pub target: String,
    /// `None`: nothing had to be done, for the reason given.
    pub rows: Option<u64>,
    pub note: String,
    pub elapsed: Duration,
}

/// `mlsee` in ASCII.
const LOCK: i64 = 0x006d_6c73_6565;

/// Loads what changed. The error names the seed at which the whole transaction was given up.
pub async fn load(server: &Postgres, workspace: &Workspace, tasks: &[Task]) -> Result<Vec<Loaded>, (String, SeedError)> {
    let everything = |e: SeedError| ("seed".to_owned(), e);
    let mut client = server.client().await.map_err(|e| everything(e.into()))?;
    let transaction = client.transaction().await.map_err(|e| everything(server.error("beginning", &e).into()))?;
    // Two runs that load at once would each find the tables empty. The lock goes with the transaction.
    let locked = transaction.execute("select pg_advisory_xact_lock($1)", &[&LOCK]).await;
    locked.map_err(|e| everything(server.error("waiting for another run that is seeding", &e).into()))?;
    let names: Vec<TableName> = tasks.iter().filter_map(|t| if let Task::Table { table, .. } = t { Some(table.clone()) } else { None }).collect();
    let catalog = catalog::read(&transaction, &names).await.map_err(|e| everything(server.error("reading the catalog", &e).into()))?;
    let mut known = Vec::new();
    let mut contents = Vec::new();
    for task in tasks {
        let at = |e| (task.target(), e);
        let content = workspace.read(task.file()).map_err(|e| at(e.into()))?;
        if let Task::Table { table, .. } = task
            && !catalog.tables.contains_key(table)
        {
            let help = suggestion(&table.to_string(), catalog.known.iter().map(String::as_str), "tables");
            return Err(at(SeedError::Wrong(format!("table {table} does not exist; {help}"))));
        }
        known.push((task.clone(), remember(&transaction, server, task, sha256(&content)).await.map_err(at)?));
        contents.push(Bytes::from(content));
    }
    let actions = decide(&known);
    empty_replaced(&transaction, server, &known, &actions).await.map_err(everything)?;
    let mut loaded = Vec::new();
    for (((task, known), action), content) in known.iter().zip(&actions).zip(contents) {
        let started = Instant::now();
        let at = |e: SeedError| (task.target(), e);
        let note = |text: &str| Loaded { target: task.target(), rows: None, note: text.into(), elapsed: started.elapsed() };
        loaded.push(match action {
            Action::Unchanged => note("unchanged since the last load"),
            Action::NotEmpty => note("the table has rows already"),
            Action::Load => {
                let rows = run(&transaction, server, workspace, task, content, &catalog).await.map_err(at)?;
                record(&transaction, server, task, known, rows).await.map_err(at)?;
                Loaded { target: task.target(), rows: Some(rows), note: format!("from {}", task.file()), elapsed: started.elapsed() }
            }
        });
    }
    transaction.commit().await.map_err(|e| everything(server.error("committing the seeds", &e).into()))?;
    Ok(loaded)
}

async fn remember(transaction: &Transaction<'_>, server: &Postgres, task: &Task, digest: String) -> Result<Known, SeedError> {
    let fail = |e| SeedError::from(server.error("reading the seed history", &e));
    let last = transaction.query_opt("select digest, relation, rows from mlops.seed where target = $1", &[&task.target()]).await.map_err(fail)?;
    let last = last.map(|row| Last { digest: row.get(0), relation: row.get(1), rows: row.get(2) });
    let Task::Table { table, .. } = task else {
        return Ok(Known { digest, relation: None, has_rows: true, last });
    };
    let sql = format!("select {}::regclass::oid, exists (select from {})", crate::names::literal(&table.quoted()), table.quoted());
    let row = transaction.query_one(&sql, &[]).await.map_err(fail)?;
    Ok(Known { digest, relation: Some(row.get(0)), has_rows: row.get(1), last })
}

/// All replaced tables in one statement: they may refer to each other.
async fn empty_replaced(transaction: &Transaction<'_>, server: &Postgres, tasks: &[(Task, Known)], actions: &[Action]) -> Result<(), SeedError> {
    let mut tables = Vec::new();
    let mut any_rows = false;
    for ((task, known), _) in tasks.iter().zip(actions).filter(|(_, action)| **action == Action::Load) {
        if let Task::Table { table, mode: Mode::Replace, .. } = task {
            tables.push(table.quoted());
            any_rows |= known.has_rows;
        }
    }
    if !any_rows {
        return Ok(());
    }
    let sql = format!("truncate {}", tables.join(", "));
    transaction.batch_execute(&sql).await.map_err(|e| server.error("emptying the tables with mode replace", &e).into())
}

async fn run(
    transaction: &Transaction<'_>,
    server: &Postgres,
    workspace: &Workspace,
    task: &Task,
    content: Bytes,
    catalog: &catalog::Catalog,
) -> Result<u64, SeedError> {
    let doing = format!("loading {}", task.file());
    let (table, file) = match task {
        Task::Script { file } => {
            let sql = workspace.read_text(file)?;
            return transaction.batch_execute(&guarded(&sql)).await.map(|()| 0).map_err(|e| server.error(&doing, &e).into());
        }
        Task::Table { table, file, .. } => (table, file),
    };
    let (columns, format, data) = if file.ends_with(".parquet") {
        let columns = frame::read_columns(&workspace.path(file)?, file)?;
        let names = columns.iter().map(|c| c.name.clone()).collect();
        (names, "text", copy::to_text_format(&columns))
    } else if file.ends_with(".csv") {
        (header(&content, file)?, "csv, header", content)
    } else {
        return Err(SeedError::Wrong(format!("{file}: seeds end in .csv or .parquet")));
    };
    let known: Vec<&str> = catalog.tables[table].columns.iter().map(|c| c.name.as_str()).collect();
    if let Some(unknown) = columns.iter().find(|c| !known.contains(&c.as_str())) {
        let help = suggestion(unknown, known.iter().copied(), "columns");
        return Err(SeedError::Wrong(format!("{file}: table {table} has no column `{unknown}`; {help}")));
    }
    let list: Vec<String> = columns.iter().map(|c| ident(c)).collect();
    let statement = format!("copy {} ({}) from stdin (format {format})", table.quoted(), list.join(", "));
    copy::copy_in(transaction, &statement, data).await.map_err(|e| server.error(&doing, &e).into())
}

fn header(content: &[u8], file: &str) -> Result<Vec<String>, SeedError> {
    // Servers before 17 read this line as the end of the data and would drop the rest without a word.
    if let Some(at) = content.split(|byte| *byte == b'\n').position(|line| line.strip_suffix(b"\r").unwrap_or(line) == b"\\.") {
        return Err(SeedError::Wrong(format!("{file}:{}: a line `\\.` ends the data for the server; quote it", at + 1)));
    }
    let content = content.strip_prefix("\u{feff}".as_bytes()).unwrap_or(content);
    let mut reader = csv::Reader::from_reader(content);
    let header = reader.headers().map_err(|e| SeedError::Wrong(format!("{file}: {e}")))?;
    if header.is_empty() {
        return Err(SeedError::Wrong(format!("{file}: it is empty; the first line names the columns")));
    }
    Ok(header.iter().map(str::to_owned).collect())
}

async fn record(transaction: &Transaction<'_>, server: &Postgres, task: &Task, known: &Known, rows: u64) -> Result<(), SeedError> {
    let sql = "insert into mlops.seed (target, digest, relation, rows) values ($1, $2, $3, $4) on conflict (target) do update \
               set digest = excluded.digest, relation = excluded.relation, rows = excluded.rows, loaded_at = now(), loaded_by = session_user";
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    transaction
        .execute(sql, &[&task.target(), &known.digest, &known.relation, &rows])
        .await
        .map(drop)
        .map_err(|e| server.error("writing the seed history", &e).into())
}
