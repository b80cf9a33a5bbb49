//! One seed into its table, inside a transaction of somebody else's.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_postgres::Transaction;

use super::bad::{BATCH, Bad, Origin, copy_tolerating, find};
use super::copy::{Stopped, copy};
use super::feed::Format;
use super::source::{self, Fault, Pools, Source};
use super::survey::{Survey, pools};
use super::{Load, Mode, SeedError};
use crate::mistakes::suggestion;
use crate::names::{ident, literal};
use crate::ports::files::Workspace;
use crate::ports::postgres::Postgres;
use crate::ports::postgres::kind::Kind;
use crate::ports::postgres::rows::Rows;

/// What came of it.
#[derive(Default)]
pub(super) struct Filled {
    /// Rows that were added or changed.
    pub(super) rows: u64,
    /// Rows that the server took.
    pub(super) copied: u64,
    pub(super) bad: Vec<Bad>,
    pub(super) columns: Vec<String>,
}

/// A load whose file has been looked at.
pub(super) struct Filling<'a> {
    load: &'a Load,
    server: &'a Postgres,
    path: PathBuf,
    pools: Arc<Pools>,
    pub(super) origin: Origin,
    columns: Vec<String>,
    kinds: Vec<Option<Kind>>,
    /// It refers to itself: a row may need one that comes much later.
    to_itself: bool,
    max_bad_rows: u64,
}

impl<'a> Filling<'a> {
    pub(super) async fn begin(
        transaction: &Transaction<'_>,
        server: &'a Postgres,
        workspace: &Workspace,
        survey: &Survey,
        (load, max_bad_rows): (&'a Load, u64),
    ) -> Result<Self, SeedError> {
        // Else a NULL in an array would be the text "NULL".
        transaction.batch_execute("set local array_nulls = on").await.map_err(|e| server.error("preparing the session", &e))?;
        let relation = format!("to_regclass({})", literal(&load.table.quoted()));
        let sql = format!("select exists (select from pg_constraint where contype = 'f' and conrelid = {relation} and confrelid = conrelid)");
        let to_itself = transaction.query_one(&sql, &[]).await.map_err(|e| server.error("looking at what the table refers to", &e))?.get(0);
        let path = load.file.as_ref().map(|file| workspace.path(file)).transpose()?.unwrap_or_default();
        let pools = Arc::new(pools(transaction, server, load).await?);
        let name = load.file.as_ref().map_or_else(|| format!("the rows made up for {}", load.table), |file| workspace.shown(file));
        let origin = Origin { name, lines: matches!(load.feed.format, Format::Csv(_) | Format::Json) };
        let mut filling =
            Self { load, server, path, pools, origin, columns: vec![], kinds: vec![], to_itself, max_bad_rows: load.max_bad_rows.max(max_bad_rows) };
        let columns = filling.open().await?.columns().to_vec();
        let known = &survey.catalog.tables[&load.table].columns;
        for column in &columns {
            let Some(facts) = known.iter().find(|facts| facts.name == *column) else {
                let help = suggestion(column, known.iter().map(|c| c.name.as_str()), "columns");
                return Err(SeedError::Wrong(format!("{}: table {} has no column `{column}`; {help}", filling.origin.name, load.table)));
            };
            filling.kinds.push(Kind::of(&facts.base_type, facts.is_enum, survey.utc));
        }
        filling.columns = columns;
        Ok(filling)
    }

    /// From the first row on; files are read on a thread of their own.
    async fn open(&self) -> Result<Box<dyn Source>, SeedError> {
        let (feed, path, pools) = (self.load.feed.clone(), self.path.clone(), self.pools.clone());
        let opened = tokio::task::spawn_blocking(move || source::open(&feed, &path, &pools)).await;
        let opened = opened.unwrap_or_else(|_| Err("it could not be read".into()));
        opened.map_err(|why| {
            let said = format!("{}: {why}", self.origin.name);
            if self.path.is_file() || self.load.file.is_none() { SeedError::Wrong(said) } else { SeedError::Unreadable(said) }
        })
    }

    fn list(&self) -> String {
        self.columns.iter().map(|c| ident(c)).collect::<Vec<_>>().join(", ")
    }

    fn copy_into(&self, relation: &str, rows: &Rows) -> String {
        format!("copy {relation} ({}) from stdin (format {})", self.list(), if rows.is_binary() { "binary" } else { "text" })
    }

    fn error(&self, error: &tokio_postgres::Error) -> SeedError {
        self.server.error(&format!("loading {}", self.origin.name), error).into()
    }

    /// Over several connections at once; `None`: it cannot be done that way.
    pub(super) async fn shared(&self, connections: &[&Transaction<'_>]) -> Result<Option<Filled>, SeedError> {
        let rows = Rows::new(self.kinds.clone(), true);
        let statement = self.copy_into(&self.load.table.quoted(), &rows);
        match copy(connections, &statement, self.open().await?, rows).await {
            Ok(rows) => Ok(Some(Filled { rows, copied: rows, bad: vec![], columns: self.columns.clone() })),
            // One connection alone finds out what it was.
            Err(Stopped::Row(..) | Stopped::Server(_)) => Ok(None),
        }
    }

    pub(super) async fn fill(&self, transaction: &mut Transaction<'_>) -> Result<Filled, SeedError> {
        let upsert = self.load.mode == Mode::Upsert;
        let relation = if upsert { self.stage(transaction).await? } else { self.load.table.quoted() };
        let (copied, bad) = self.copy(transaction, &relation).await?;
        let rows = if upsert { self.merge(transaction, &relation).await? } else { copied };
        self.move_sequences(transaction).await?;
        Ok(Filled { rows, copied, bad, columns: self.columns.clone() })
    }

    async fn copy(&self, transaction: &mut Transaction<'_>, relation: &str) -> Result<(u64, Vec<Bad>), SeedError> {
        for binary in [true, false] {
            let rows = Rows::new(self.kinds.clone(), binary);
            if rows.is_binary() != binary {
                continue;
            }
            let statement = self.copy_into(relation, &rows);
            let point = transaction.savepoint("mlops_copy").await.map_err(|e| self.error(&e))?;
            let stopped = match copy(&[&point], &statement, self.open().await?, rows).await {
                Ok(rows) => {
                    point.commit().await.map_err(|e| self.error(&e))?;
                    return Ok((rows, vec![]));
                }
                Err(stopped) => stopped,
            };
            if let Err(error) = point.rollback().await {
                // What stopped it says more than what came of that.
                return Err(match stopped {
                    Stopped::Server(first) => self.error(&first),
                    Stopped::Row(..) => self.error(&error),
                });
            }
            match stopped {
                Stopped::Row(fault @ (Fault::File(_) | Fault::Content(_)), place) => return Err(self.origin.fault(fault, place)),
                // The server reads more than we do.
                Stopped::Row(Fault::Odd, _) if binary => {}
                _ if self.max_bad_rows > 0 => return self.tolerating(transaction, relation).await,
                Stopped::Row(fault, place) => return Err(self.origin.fault(fault, place)),
                Stopped::Server(error) => return Err(self.refused(&error).await),
            }
        }
        Err(SeedError::Wrong(format!("{}: its rows could not be written", self.origin.name)))
    }

    async fn tolerating(&self, transaction: &mut Transaction<'_>, relation: &str) -> Result<(u64, Vec<Bad>), SeedError> {
        let rows = Rows::new(self.kinds.clone(), false);
        let statement = self.copy_into(relation, &rows);
        let batch = if self.to_itself { usize::MAX } else { BATCH };
        copy_tolerating(transaction, self.server, &statement, self.open().await?, (rows, batch), (self.max_bad_rows, &self.origin)).await
    }

    /// With the row that it was, where that can be told.
    async fn refused(&self, error: &tokio_postgres::Error) -> SeedError {
        let wrapped = self.error(error);
        if !wrapped.is_verdict() {
            return wrapped;
        }
        let Ok(source) = self.open().await else { return wrapped };
        find(error, source).await.map_or(wrapped, |bad| SeedError::Wrong(bad.shown(&self.origin)))
    }

    /// A table beside the target, gone with the transaction.
    async fn stage(&self, transaction: &Transaction<'_>) -> Result<String, SeedError> {
        let sql = format!(
            "drop table if exists pg_temp.mlops_upsert; create temp table mlops_upsert on commit drop as select {} from {} with no data",
            self.list(),
            self.load.table.quoted()
        );
        transaction.batch_execute(&sql).await.map_err(|e| self.error(&e))?;
        Ok("pg_temp.mlops_upsert".into())
    }

    async fn merge(&self, transaction: &Transaction<'_>, staged: &str) -> Result<u64, SeedError> {
        let key = self.key(transaction).await?;
        let quoted = key.iter().map(|c| ident(c)).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "select concat_ws(', ', {quoted}), count(*) from {staged} group by {quoted} having count(*) > 1 and count(({quoted})) > 0 order by 2 desc limit 1"
        );
        if let Some(row) = transaction.query_opt(&sql, &[]).await.map_err(|e| self.error(&e))? {
            let (value, times): (String, i64) = (row.get(0), row.get(1));
            return Err(SeedError::Wrong(format!("{}: the key ({}) = ({value}) is there {times} times", self.origin.name, key.join(", "))));
        }
        let rest: Vec<String> = self.columns.iter().filter(|c| !key.contains(c)).map(|c| ident(c)).collect();
        let action = if rest.is_empty() {
            "nothing".into()
        } else {
            let set: Vec<String> = rest.iter().map(|c| format!("{c} = excluded.{c}")).collect();
            // A row that says the same is left as it is; equal is not the same: 1 month and 30 days, 1.0 and 1.00.
            let side = |table: &str| rest.iter().map(|c| format!("{table}.{c}::text")).collect::<Vec<_>>().join(", ");
            format!("update set {} where ({}) is distinct from ({})", set.join(", "), side("t"), side("excluded"))
        };
        let (table, list) = (self.load.table.quoted(), self.list());
        let sql = format!("insert into {table} as t ({list}) overriding system value select {list} from {staged} on conflict ({quoted}) do {action}");
        transaction.execute(&sql, &[]).await.map_err(|e| self.error(&e))
    }

    async fn key(&self, transaction: &Transaction<'_>) -> Result<Vec<String>, SeedError> {
        let key = match &self.load.key {
            Some(key) => key.clone(),
            None => {
                let sql = "select a.attname from pg_index i, unnest(i.indkey) with ordinality k(attnum, at) join pg_attribute a on a.attnum = k.attnum \
                           where i.indrelid = to_regclass($1) and a.attrelid = i.indrelid and i.indisprimary order by k.at";
                let rows = transaction.query(sql, &[&self.load.table.quoted()]).await.map_err(|e| self.error(&e))?;
                rows.iter().map(|row| row.get(0)).collect()
            }
        };
        if key.is_empty() {
            return Err(SeedError::Wrong(format!("table {} has no primary key: `mode: upsert` needs `key`", self.load.table)));
        }
        match key.iter().find(|column| !self.columns.contains(column)) {
            Some(column) => {
                let help = suggestion(column, self.columns.iter().map(String::as_str), "columns");
                Err(SeedError::Wrong(format!(
                    "{}: there is no column `{column}`, which the key of {} needs; {help}",
                    self.origin.name, self.load.table
                )))
            }
            None => Ok(key),
        }
    }

    /// Past the keys that were loaded: the next insert must not meet one of them.
    pub(super) async fn move_sequences(&self, transaction: &Transaction<'_>) -> Result<(), SeedError> {
        let table = self.load.table.quoted();
        let sql = "select a.attname, s.seqrelid::regclass::text, s.seqincrement > 0 from pg_depend d join pg_sequence s on s.seqrelid = d.objid \
                   join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid \
                   where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = to_regclass($1) \
                   and d.deptype in ('a', 'i') and a.attname = any($2)";
        for row in transaction.query(sql, &[&table, &self.columns]).await.map_err(|e| self.error(&e))? {
            let (column, sequence, up): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
            let (end, beyond) = if up { ("max", ">=") } else { ("min", "<=") };
            let sql = format!(
                "select setval({}, m) from (select {end}({}) as m from {table}) x where m {beyond} (select last_value from {sequence})",
                literal(&sequence),
                ident(&column)
            );
            transaction.batch_execute(&sql).await.map_err(|e| self.error(&e))?;
        }
        Ok(())
    }
}
