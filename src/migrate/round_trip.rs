//! Up, down and up again on a scratch database: is the way back exact, do rows survive, and who has to wait?

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tokio_postgres::SimpleQueryMessage;

use super::apply::{Run, Session};
use super::files::{Folder, Migration};
use super::history::History;
use super::schema::{Change, Schema};
use super::{MigrateError, Options, Source};
use crate::names::{ident, literal};
use crate::ports::postgres::{Postgres, guarded};

/// What came of one migration.
#[derive(Debug, Serialize)]
pub struct Trip {
    pub migration: String,
    pub file: String,
    pub down_file: String,
    /// There is no down part to try.
    pub one_way: bool,
    /// The schema after the way back, beside the schema before.
    pub not_undone: Vec<Change>,
    /// The schema after the second time up, beside the first.
    pub not_repeated: Vec<Change>,
    /// Rows and columns that did not survive, in words.
    pub lost: Vec<String>,
    /// Why losing them is all right.
    pub reason: Option<String>,
    pub locks: Vec<Lock>,
}

impl Trip {
    pub fn is_exact(&self) -> bool {
        // Columns come back at the end; that is no loss.
        self.not_undone.iter().chain(&self.not_repeated).all(Change::is_order)
    }
}

/// A lock on a table that was there before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Lock {
    pub table: String,
    pub mode: String,
    /// Who waits while it is held.
    pub blocks: Blocks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blocks {
    ReadsAndWrites,
    Writes,
    OtherChanges,
}

impl Blocks {
    /// <https://www.postgresql.org/docs/current/explicit-locking.html>; `None`: it stands in nobody's way.
    fn of(mode: &str) -> Option<Self> {
        match mode {
            "AccessExclusiveLock" => Some(Self::ReadsAndWrites),
            "ExclusiveLock" | "ShareRowExclusiveLock" | "ShareLock" => Some(Self::Writes),
            "ShareUpdateExclusiveLock" => Some(Self::OtherChanges),
            _ => None,
        }
    }

    pub const fn words(self) -> &'static str {
        match self {
            Self::ReadsAndWrites => "blocks reads and writes",
            Self::Writes => "blocks writes",
            Self::OtherChanges => "blocks only other changes of the schema",
        }
    }
}

/// Applies what is not new, lets `fill` put rows in, and then takes each new migration up, down and up.
pub async fn round_trip(
    scratch: &Postgres,
    folder: &Folder,
    is_new: &(dyn Fn(&Migration) -> bool + Sync),
    options: &Options,
    fill: impl AsyncFnOnce(&Postgres),
) -> Result<Vec<Trip>, MigrateError> {
    let session = Session::begin(scratch, Source::App, options).await?;
    let mut run = Run::default();
    let (mut trips, mut fill) = (Vec::new(), Some(fill));
    for migration in &folder.migrations {
        if !is_new(migration) {
            session.up(migration, &mut run).await?;
            continue;
        }
        if let Some(fill) = fill.take() {
            fill(scratch).await;
        }
        let trip = trip(&session, migration, &mut run).await?;
        let exact = trip.is_exact();
        trips.push(trip);
        if !exact {
            break;
        }
    }
    session.end().await;
    Ok(trips)
}

async fn trip(session: &Session<'_>, migration: &Migration, run: &mut Run) -> Result<Trip, MigrateError> {
    let (client, server) = (&session.client, session.server);
    let before = Schema::read(client, server).await?;
    let rows = content(session).await?;
    let locks = if migration.up.transactional { observed(session, migration).await? } else { Vec::new() };
    if !migration.up.transactional {
        session.up(migration, run).await?;
    }
    let after = Schema::read(client, server).await?;
    let mut lost = missing(&rows, &content(session).await?, "up");
    let mut trip = Trip {
        migration: migration.id(),
        file: migration.file().into(),
        down_file: migration.down_file.clone(),
        one_way: migration.down.is_none(),
        not_undone: vec![],
        not_repeated: vec![],
        lost: vec![],
        reason: migration.up.reason.clone(),
        locks,
    };
    if migration.down.is_some() {
        session.down(migration, &History::default(), run).await?;
        trip.not_undone = before.changes(&Schema::read(client, server).await?);
        for line in missing(&rows, &content(session).await?, "up and down") {
            // Said once: what up loses, down cannot bring back.
            if lost.is_empty() {
                lost.push(line);
            }
        }
        // What is left behind would only make the second time fail.
        if trip.is_exact() {
            session.up(migration, run).await?;
            trip.not_repeated = after.changes(&Schema::read(client, server).await?);
        }
    }
    trip.lost = lost;
    Ok(trip)
}

/// Up, and the locks it holds at its end on what was there before.
async fn observed(session: &Session<'_>, migration: &Migration) -> Result<Vec<Lock>, MigrateError> {
    let tables = "select oid from pg_class where relkind in ('r', 'p', 'm', 'v', 'f')";
    let there: Vec<u32> = session
        .client
        .query_typed(tables, &[])
        .await
        .map_err(|e| session.server.error("listing the tables", &e))?
        .iter()
        .map(|row| row.get(0))
        .collect();
    let meaning = migration.up.meaning();
    let row = session.row(migration, Some(&meaning), None).insert();
    let probe = "select relation, relation::regclass::text, mode from pg_locks where pid = pg_backend_pid() and locktype = 'relation' \
                 and database = (select oid from pg_database where datname = current_database())";
    let batch = format!("{}; {}; reset role; {probe}; {row}; commit", session.head(true), guarded(&migration.up.text));
    let messages = match session.client.simple_query(&batch).await {
        Ok(messages) => messages,
        Err(error) => {
            let _ = session.client.batch_execute("rollback").await;
            return Err(session.rejected(&migration.id(), &migration.up, &error));
        }
    };
    let mut held = BTreeSet::new();
    for message in messages {
        let SimpleQueryMessage::Row(row) = message else { continue };
        let (Some(oid), Some(table), Some(mode)) = (row.get(0), row.try_get(1).ok().flatten(), row.try_get(2).ok().flatten()) else { continue };
        if let (true, Some(blocks)) = (oid.parse().is_ok_and(|oid: u32| oid >= 16384 && there.contains(&oid)), Blocks::of(mode)) {
            held.insert(Lock { table: table.to_owned(), mode: mode.trim_end_matches("Lock").to_owned(), blocks });
        }
    }
    // The strongest on each table says it all.
    let mut strongest: BTreeMap<String, Lock> = BTreeMap::new();
    for lock in held {
        strongest
            .entry(lock.table.clone())
            .and_modify(|known| {
                if lock.blocks < known.blocks {
                    *known = lock.clone();
                }
            })
            .or_insert(lock);
    }
    Ok(strongest.into_values().collect())
}

/// Table → rows, and column → type and a digest of its values that knows no order.
type Content = BTreeMap<String, (u64, BTreeMap<String, (String, String)>)>;

async fn content(session: &Session<'_>) -> Result<Content, MigrateError> {
    let fail = |e: tokio_postgres::Error| MigrateError::from(session.server.error("reading the rows of the scratch database", &e));
    let sql = "select n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod) from pg_class c \
               join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped \
               where c.relkind in ('r', 'p') and not c.relispartition and n.nspname not in ('pg_catalog', 'information_schema', 'mlops', 'pg_toast') \
               order by 1, 2, a.attnum";
    let mut tables: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for row in session.client.query_typed(sql, &[]).await.map_err(fail)? {
        let table = format!("{}.{}", ident(row.get(0)), ident(row.get(1)));
        tables.entry(table).or_default().push((row.get(2), row.get(3)));
    }
    let mut content = Content::new();
    for (table, columns) in tables {
        let sums: Vec<String> = columns
            .iter()
            .map(|(c, _)| format!("coalesce(sum(hashtextextended(coalesce({0}::text, {1}), 0)::numeric), 0)::text", ident(c), literal("\u{1}null")))
            .collect();
        let sql = format!("select count(*), array[{}]::text[] from {table}", sums.join(", "));
        let rows = session.client.query_typed(&sql, &[]).await.map_err(fail)?;
        let Some(row) = rows.first() else { continue };
        let digests: Vec<String> = row.get(1);
        let columns = columns.into_iter().zip(digests).map(|((name, kind), digest)| (name, (kind, digest))).collect();
        content.insert(table, (u64::try_from(row.get::<_, i64>(0)).unwrap_or(0), columns));
    }
    Ok(content)
}

/// What was there and is not, or not the same: tables, rows, columns whose type did not change.
fn missing(before: &Content, after: &Content, way: &str) -> Vec<String> {
    let mut lost = Vec::new();
    for (key, (rows, columns)) in before.iter().filter(|(_, (rows, _))| *rows > 0) {
        let table = key.replace('"', "");
        let Some((left, now)) = after.get(key) else {
            lost.push(format!("after {way}, {table} is gone with its {}", crate::units::counted(*rows, "row")));
            continue;
        };
        if left < rows {
            lost.push(format!("after {way}, {table} has {left} of its {}", crate::units::counted(*rows, "row")));
            continue;
        }
        for (column, (kind, digest)) in columns {
            match now.get(column) {
                None => lost.push(format!("after {way}, the values of {table}.{column} are gone")),
                Some((same, other)) if same == kind && other != digest => {
                    lost.push(format!("after {way}, the values of {table}.{column} are others"));
                }
                Some(_) => {}
            }
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_values_that_do_not_survive_are_named() {
        let table = |rows: u64, columns: &[(&str, &str, &str)]| {
            (rows, columns.iter().map(|(n, k, d)| ((*n).to_owned(), ((*k).to_owned(), (*d).to_owned()))).collect::<BTreeMap<_, _>>())
        };
        let before: Content =
            [("t".to_owned(), table(2, &[("a", "int", "1"), ("b", "int", "2"), ("c", "int", "3")])), ("u".to_owned(), table(0, &[]))].into();
        let after: Content = [("t".to_owned(), table(2, &[("a", "int", "1"), ("b", "bigint", "9"), ("c", "int", "4")]))].into();
        assert_eq!(missing(&before, &after, "up"), ["after up, the values of t.c are others"]);
        assert_eq!(missing(&before, &Content::new(), "up"), ["after up, t is gone with its 2 rows"]);
        let fewer: Content = [("t".to_owned(), table(1, &[]))].into();
        assert_eq!(missing(&before, &fewer, "up"), ["after up, t has 1 of its 2 rows"]);
    }
}
