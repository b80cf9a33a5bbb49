//! The histories of other tools, as they keep them.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha384};
use tokio_postgres::Client;
use tokio_postgres::types::FromSql;

use super::Files;
use crate::migrate::MigrateError;
use crate::migrate::version::Version;
use crate::ports::postgres::{Postgres, describe};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    Alembic,
    Dbmate,
    Flyway,
    GolangMigrate,
    Goose,
    Sqlx,
}

impl Tool {
    pub const ALL: [Self; 6] = [Self::Alembic, Self::Dbmate, Self::Flyway, Self::GolangMigrate, Self::Goose, Self::Sqlx];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Alembic => "alembic",
            Self::Dbmate => "dbmate",
            Self::Flyway => "flyway",
            Self::GolangMigrate => "golang-migrate",
            Self::Goose => "goose",
            Self::Sqlx => "sqlx",
        }
    }
}

impl FromStr for Tool {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let words = Self::ALL.map(Self::word);
        let found = Self::ALL.into_iter().find(|tool| tool.word() == word);
        found.ok_or_else(|| format!("unknown tool `{word}`; {}", crate::mistakes::suggestion(word, words, "tools")))
    }
}

/// One migration as another tool remembers it.
pub(super) struct Foreign {
    pub(super) version: Version,
    pub(super) applied_at: Option<DateTime<Utc>>,
    pub(super) applied_by: Option<String>,
    pub(super) elapsed_ms: Option<f64>,
    pub(super) proof: Proof,
}

impl Foreign {
    fn new(version: Version) -> Self {
        Self { version, applied_at: None, applied_by: None, elapsed_ms: None, proof: Proof::None }
    }
}

/// By which a file can be known as the one that was applied.
pub(super) enum Proof {
    None,
    /// Of the bytes, whatever line ends they had.
    Sha384(Vec<u8>),
    /// Of the lines without their ends.
    Crc32(i32),
}

impl Proof {
    pub(super) fn holds(&self, raw: &dyn Fn() -> Vec<u8>) -> bool {
        match self {
            Self::None => true,
            Self::Sha384(digest) => {
                let unix = String::from_utf8_lossy(&raw()).replace("\r\n", "\n");
                let windows = unix.replace('\n', "\r\n");
                [raw(), unix.into_bytes(), windows.into_bytes()].iter().any(|bytes| Sha384::digest(bytes).as_slice() == digest.as_slice())
            }
            Self::Crc32(sum) => flyway_checksum(&String::from_utf8_lossy(&raw())) == *sum,
        }
    }

    pub(super) const fn words(&self) -> &'static str {
        match self {
            Self::None => " (it keeps no checksum to verify)",
            Self::Sha384(_) | Self::Crc32(_) => "; its checksum agrees",
        }
    }
}

/// A CRC-32 of the lines one after the other, without their ends and without a byte order mark; as a signed number.
pub(super) fn flyway_checksum(text: &str) -> i32 {
    let mut sum = crc32fast::Hasher::new();
    for line in text.trim_start_matches('\u{feff}').split(['\r', '\n']) {
        sum.update(line.as_bytes());
    }
    sum.finalize().cast_signed()
}

/// The histories that are there, each with the quoted name of its table.
pub(super) async fn find(client: &Client, server: &Postgres, wanted: Option<Tool>) -> Result<Vec<(Tool, String)>, MigrateError> {
    let sql = "select c.oid::regclass::text, c.relname, array_agg(a.attname::text) from pg_class c join pg_namespace n on n.oid = c.relnamespace \
               join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped \
               where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'mlops') \
               and (c.relname in ('alembic_version', '_sqlx_migrations', 'flyway_schema_history', 'schema_migrations', 'goose_db_version') \
                 or exists (select from pg_attribute v where v.attrelid = c.oid and v.attname = 'version_num')) \
               group by c.oid, c.relname order by 1";
    let rows = client.query_typed(sql, &[]).await.map_err(|e| server.error("looking for another tool's history", &e))?;
    let tool = |row: &tokio_postgres::Row| {
        let (name, columns): (String, Vec<String>) = (row.get(1), row.get(2));
        let has = |column: &str| columns.iter().any(|c| c == column);
        Some(match name.as_str() {
            "_sqlx_migrations" if has("checksum") => Tool::Sqlx,
            "flyway_schema_history" if has("installed_rank") => Tool::Flyway,
            "schema_migrations" if has("dirty") => Tool::GolangMigrate,
            "schema_migrations" if has("version") => Tool::Dbmate,
            "goose_db_version" if has("is_applied") => Tool::Goose,
            // Alembic's table can have another name, but no other shape.
            _ if columns == ["version_num"] => Tool::Alembic,
            _ => return None,
        })
    };
    let found = rows.iter().filter_map(|row| Some((tool(row)?, row.get(0)))).filter(|(tool, _)| wanted.is_none_or(|wanted| *tool == wanted));
    Ok(found.collect())
}

/// What is applied, in any order; the inner error says why it cannot be taken over.
pub(super) async fn read(
    client: &Client,
    server: &Postgres,
    tool: Tool,
    table: &str,
    files: &Files<'_>,
) -> Result<Result<Vec<Foreign>, String>, MigrateError> {
    let sql = match tool {
        Tool::Alembic => format!("select version_num::text from {table}"),
        Tool::Sqlx => format!("select version::text, success, installed_on, checksum, execution_time from {table} order by version"),
        Tool::Dbmate => format!("select version::text from {table} order by 1"),
        Tool::GolangMigrate => format!("select version::text, dirty from {table}"),
        Tool::Goose => format!("select version_id::text, is_applied, tstamp::timestamptz from {table} where version_id > 0 order by id"),
        Tool::Flyway => format!(
            "select version::text, success, installed_on::timestamptz, checksum, execution_time, installed_by::text, type::text, description::text \
             from {table} where type not in ('SCHEMA', 'DELETE') order by installed_rank"
        ),
    };
    let rows = client.query_typed(&sql, &[]).await.map_err(|e| server.error(&format!("reading {table}"), &e))?;
    Ok(match tool {
        Tool::Alembic => alembic(&rows, files),
        Tool::Dbmate => rows.iter().map(|row| version(row).map(Foreign::new)).collect(),
        Tool::GolangMigrate => golang_migrate(&rows, files),
        Tool::Goose => goose(&rows),
        Tool::Sqlx => rows.iter().map(sqlx).collect(),
        Tool::Flyway => flyway(&rows, files),
    })
}

/// A cell of a table that somebody else has made: it may hold anything.
fn cell<'a, T: FromSql<'a>>(row: &'a tokio_postgres::Row, at: usize) -> Result<T, String> {
    row.try_get(at).map_err(|e| format!("its column `{}` holds something else than expected: {}", row.columns()[at].name(), describe(&e)))
}

fn version(row: &tokio_postgres::Row) -> Result<Version, String> {
    let text: String = cell(row, 0)?;
    Version::parse(&text).ok_or_else(|| format!("`{text}` is no version: digits, or digits with dots"))
}

/// Its table names the heads; what they need has been applied too.
fn alembic(rows: &[tokio_postgres::Row], files: &Files<'_>) -> Result<Vec<Foreign>, String> {
    let mut open = rows.iter().map(|row| cell(row, 0)).collect::<Result<Vec<String>, _>>()?;
    let mut applied: BTreeSet<Version> = BTreeSet::new();
    while let Some(revision) = open.pop() {
        let known = || files.revisions.keys().map(String::as_str);
        let Some((version, parents)) = files.revisions.get(&revision) else {
            let help = crate::mistakes::suggestion(&revision, known(), "revisions");
            return Err(format!("the database is at revision {revision}, which no file was made from; {help}"));
        };
        if applied.insert(version.clone()) {
            open.extend(parents.clone());
        }
    }
    Ok(applied.into_iter().map(Foreign::new).collect())
}

/// One row: everything up to it.
fn golang_migrate(rows: &[tokio_postgres::Row], files: &Files<'_>) -> Result<Vec<Foreign>, String> {
    let row = match rows {
        [] => return Ok(vec![]),
        [row] => row,
        _ => return Err("golang-migrate keeps one row, and there are more: mend its table first".into()),
    };
    let head = version(row)?;
    if cell(row, 1)? {
        return Err(format!("golang-migrate stopped half-way in version {head} (dirty): finish it or undo it by hand, then `migrate force`"));
    }
    if files.folder.find(&head).is_none() {
        return Ok(vec![Foreign::new(head)]);
    }
    Ok(files.folder.migrations.iter().map(|m| &m.version).filter(|v| **v <= head).cloned().map(Foreign::new).collect())
}

/// The last row of a version counts.
fn goose(rows: &[tokio_postgres::Row]) -> Result<Vec<Foreign>, String> {
    let mut last: BTreeMap<Version, Option<Foreign>> = BTreeMap::new();
    for row in rows {
        let version = version(row)?;
        let foreign = Foreign { applied_at: cell(row, 2)?, ..Foreign::new(version.clone()) };
        last.insert(version, cell::<bool>(row, 1)?.then_some(foreign));
    }
    Ok(last.into_values().flatten().collect())
}

#[expect(clippy::cast_precision_loss, reason = "a duration for people")]
fn sqlx(row: &tokio_postgres::Row) -> Result<Foreign, String> {
    let version = version(row)?;
    if !cell::<bool>(row, 1)? {
        return Err(format!("sqlx stopped half-way in version {version}: finish it or undo it by hand, and mend its row"));
    }
    let nanoseconds: i64 = cell(row, 4)?;
    Ok(Foreign {
        applied_at: cell(row, 2)?,
        proof: Proof::Sha384(cell(row, 3)?),
        elapsed_ms: (nanoseconds >= 0).then_some(nanoseconds as f64 / 1e6),
        ..Foreign::new(version)
    })
}

/// In the order of its ranks: what was undone or failed takes its version back.
fn flyway(rows: &[tokio_postgres::Row], files: &Files<'_>) -> Result<Vec<Foreign>, String> {
    let mut applied: BTreeMap<Version, Foreign> = BTreeMap::new();
    for row in rows {
        let (kind, description): (String, String) = (cell(row, 6)?, cell(row, 7)?);
        if cell::<Option<String>>(row, 0)?.is_none() {
            // Applied again by the next `up`.
            continue;
        }
        let version = version(row)?;
        if !cell::<bool>(row, 1)? {
            return Err(format!("flyway failed in version {version}: undo by hand what it did, then `flyway repair`"));
        }
        if kind.starts_with("UNDO") {
            applied.remove(&version);
            continue;
        }
        if kind == "JDBC" || kind.contains("SPRING") {
            return Err(format!("flyway's version {version} ({description}) is written in Java; write it down as SQL first"));
        }
        if kind.ends_with("BASELINE") {
            // Everything up to it was there before Flyway came.
            let before = files.folder.migrations.iter().map(|m| &m.version).filter(|v| **v < version);
            applied.extend(before.map(|v| (v.clone(), Foreign::new(v.clone()))));
            if files.folder.find(&version).is_none() {
                continue;
            }
        }
        let proof = cell::<Option<i32>>(row, 3)?.filter(|_| kind == "SQL").map_or(Proof::None, Proof::Crc32);
        let elapsed: i32 = cell(row, 4)?;
        let foreign = Foreign {
            applied_at: cell(row, 2)?,
            applied_by: cell(row, 5)?,
            elapsed_ms: Some(elapsed.into()),
            proof,
            ..Foreign::new(version.clone())
        };
        applied.insert(version, foreign);
    }
    Ok(applied.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_blind_to_what_their_tools_are_blind_to() {
        // Computed with Python's zlib.crc32 over the lines.
        for text in ["CREATE TABLE users (\n    id bigint PRIMARY KEY\n);\n", "\u{feff}CREATE TABLE users (\r\n    id bigint PRIMARY KEY\r\n);"] {
            assert_eq!(flyway_checksum(text), -1_476_029_622);
        }
        assert_eq!((flyway_checksum("INSERT INTO t VALUES ('é');\n\nSELECT 1;\n"), flyway_checksum("")), (1_823_472, 0));
        let digest = Proof::Sha384(Sha384::digest("select 1;\r\n").to_vec());
        assert!(digest.holds(&|| b"select 1;\n".to_vec()) && !digest.holds(&|| b"select 2;\n".to_vec()));
    }

    #[test]
    fn a_tool_is_named_as_people_write_it() {
        assert_eq!("golang-migrate".parse(), Ok(Tool::GolangMigrate));
        assert!("alembik".parse::<Tool>().expect_err("unknown").contains("did you mean `alembic`?"));
    }
}
