//! A database's schema as lines of kind, name and definition: equal lines, equal schemas.
//!
//! `pg_dump` would need a client of the server's version, and its text differs between releases.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::MigrateError;
use crate::ports::files::sha256;
use crate::ports::postgres::Postgres;

/// (kind, name) → definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schema {
    objects: BTreeMap<(String, String), String>,
}

/// One object that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub kind: String,
    pub name: String,
    /// `None`: it is new.
    pub before: Option<String>,
    /// `None`: it is gone.
    pub after: Option<String>,
}

impl Change {
    /// Adding behind what was dropped changes the order of columns and nothing else.
    pub fn is_order(&self) -> bool {
        self.kind == "column order"
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, .. } = self;
        match (&self.before, &self.after) {
            (None, Some(after)) if after.is_empty() => write!(f, "+ {kind} {name}"),
            (None, Some(after)) => write!(f, "+ {kind} {name}: {}", one_line(after)),
            (Some(before), None) if before.is_empty() => write!(f, "- {kind} {name}"),
            (Some(before), None) => write!(f, "- {kind} {name}: {}", one_line(before)),
            (before, after) => {
                let (before, after) = apart(before.as_deref().unwrap_or_default(), after.as_deref().unwrap_or_default());
                write!(f, "~ {kind} {name}: {before} → {after}")
            }
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Of long definitions, only the line that differs.
fn apart(before: &str, after: &str) -> (String, String) {
    let (b, a): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    if b.len() < 2 && a.len() < 2 {
        return (one_line(before), one_line(after));
    }
    let at = b.iter().zip(&a).position(|(b, a)| b != a).unwrap_or_else(|| b.len().min(a.len()));
    let line = |lines: &[&str]| lines.get(at).map_or_else(|| "(ends)".into(), |text| format!("line {}: {}", at + 1, one_line(text)));
    (line(&b), line(&a))
}

impl Schema {
    /// Outside a transaction of the caller's. Compiling the query would take a hundred times as long as running it.
    pub async fn read(client: &Client, server: &Postgres) -> Result<Self, MigrateError> {
        let sql = concat!("begin read only; set local search_path = ''; set local jit = off; ", include_str!("schema.sql"), "; commit");
        let messages = client.simple_query(sql).await.map_err(|e| server.error("reading the schema", &e));
        if messages.is_err() {
            let _ = client.batch_execute("rollback").await;
        }
        let mut schema = Self::default();
        for message in messages? {
            if let SimpleQueryMessage::Row(row) = message {
                let text = |at: usize| row.get(at).unwrap_or_default().to_owned();
                schema.objects.insert((text(0), text(1)), text(2));
            }
        }
        Ok(schema)
    }

    pub fn digest(&self) -> String {
        sha256(self.to_lines().as_bytes())
    }

    /// What has to be done to come from here to there.
    pub fn changes(&self, to: &Self) -> Vec<Change> {
        let mut keys: Vec<_> = self.objects.keys().chain(to.objects.keys()).collect();
        keys.sort();
        keys.dedup();
        let change = |key: &(String, String)| {
            let (before, after) = (self.objects.get(key), to.objects.get(key));
            (before != after).then(|| Change { kind: key.0.clone(), name: key.1.clone(), before: before.cloned(), after: after.cloned() })
        };
        keys.into_iter().filter_map(change).collect()
    }

    fn to_lines(&self) -> String {
        let rows: Vec<_> = self.objects.iter().map(|((kind, name), definition)| [kind, name, definition]).collect();
        serde_json::to_string(&rows).unwrap_or_default()
    }

    fn from_lines(lines: &str) -> Option<Self> {
        let rows: Vec<[String; 3]> = serde_json::from_str(lines).ok()?;
        Some(Self { objects: rows.into_iter().map(|[kind, name, definition]| ((kind, name), definition)).collect() })
    }
}

/// Keeps the schema as it is now, as what the migrations have made.
pub(super) async fn record(client: &Client, server: &Postgres, version: Option<&str>, source: &str) -> Result<String, MigrateError> {
    let schema = Schema::read(client, server).await?;
    let digest = schema.digest();
    let sql = "with state as (insert into mlops.schema_state (version, digest, lines) values ($1, $2, $3) on conflict (singleton) do update \
               set version = excluded.version, digest = excluded.digest, lines = excluded.lines, recorded_at = excluded.recorded_at, \
               recorded_by = excluded.recorded_by) update mlops.migration set schema_digest = $2 where source = $4 and version = $1";
    let lines = schema.to_lines();
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] =
        [(&version, Type::TEXT), (&digest, Type::TEXT), (&lines, Type::TEXT), (&source, Type::TEXT)];
    client.query_typed(sql, &parameters).await.map_err(|e| server.error("recording the schema", &e))?;
    Ok(digest)
}

/// The schema as it is now is the one that is meant.
pub async fn record_schema(server: &Postgres) -> Result<(), MigrateError> {
    let client = server.dedicated().await?;
    if let Some(recorded) = recorded(&client, server).await? {
        record(&client, server, recorded.version.as_deref(), super::Source::App.word()).await?;
    }
    Ok(())
}

/// The schema that the last migration left, and its version and time.
pub struct Recorded {
    pub version: Option<String>,
    pub at: String,
    pub schema: Schema,
}

pub(super) async fn recorded(client: &Client, server: &Postgres) -> Result<Option<Recorded>, MigrateError> {
    let sql = "select version, to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'), lines from mlops.schema_state";
    let rows = client.query_typed(sql, &[]).await.map_err(|e| server.error("reading the recorded schema", &e))?;
    Ok(rows.first().and_then(|row| Some(Recorded { version: row.get(0), at: row.get(1), schema: Schema::from_lines(row.get(2))? })))
}

/// The digest alone; nothing where no schema was recorded.
pub(super) async fn recorded_digest(client: &Client, server: &Postgres) -> Result<Option<String>, MigrateError> {
    let doing = "reading the recorded schema";
    let there = client.query_typed("select to_regclass('mlops.schema_state') is not null", &[]).await.map_err(|e| server.error(doing, &e))?;
    if !there.first().is_some_and(|row| row.get(0)) {
        return Ok(None);
    }
    let rows = client.query_typed("select digest from mlops.schema_state", &[]).await.map_err(|e| server.error(doing, &e))?;
    Ok(rows.first().map(|row| row.get(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(objects: &[(&str, &str, &str)]) -> Schema {
        Schema { objects: objects.iter().map(|(k, n, d)| (((*k).into(), (*n).into()), (*d).into())).collect() }
    }

    #[test]
    fn changes_name_the_object_and_the_line_that_differs() {
        let before = schema(&[("table", "public.a", ""), ("function", "public.f()", "begin\n  return 1;\nend"), ("column", "public.a.x", "int")]);
        let after =
            schema(&[("function", "public.f()", "begin\n  return 2;\nend"), ("column", "public.a.x", "bigint"), ("index", "public.i", "create")]);
        let shown: Vec<String> = before.changes(&after).iter().map(Change::to_string).collect();
        assert_eq!(
            shown,
            [
                "~ column public.a.x: int → bigint",
                "~ function public.f(): line 2: return 1; → line 2: return 2;",
                "+ index public.i: create",
                "- table public.a",
            ]
        );
        assert!(before.changes(&before.clone()).is_empty() && before.digest() != after.digest());
        assert_eq!(Schema::from_lines(&before.to_lines()), Some(before));
    }
}
