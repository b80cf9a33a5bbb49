//! What checks measured in earlier runs, in the tool's own tables.

use std::collections::BTreeMap;

use crate::ports::postgres::{PgError, Postgres};

/// Runs that are looked back on, at most.
const RUNS: i64 = 1_000;

/// The measures of some checks, the latest first.
pub async fn load(server: &Postgres, project: &str, paths: &[String]) -> Result<BTreeMap<String, Vec<f64>>, PgError> {
    let client = server.client().await?;
    let sql = "select w.path, m.value from unnest($2::text[]) w(path), \
               lateral (select id, value from mlops.measure where project = $1 and check_path = w.path order by id desc limit $3) m \
               order by w.path, m.id desc";
    let rows = client.query(sql, &[&project, &paths, &RUNS]).await.map_err(|e| server.error("reading the history of measures", &e))?;
    let mut history: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for row in rows {
        history.entry(row.get(0)).or_default().push(row.get(1));
    }
    Ok(history)
}

/// Remembers what a run measured. The same run again does not count twice.
pub async fn record(server: &Postgres, project: &str, measures: &[(String, f64)], run: Option<&str>, commit: Option<&str>) -> Result<(), PgError> {
    let client = server.client().await?;
    let (paths, values): (Vec<&str>, Vec<f64>) = measures.iter().map(|(path, value)| (path.as_str(), *value)).unzip();
    let sql = "insert into mlops.measure (project, check_path, value, run, git_sha) \
               select $1, n.path, n.value, $4, $5 from unnest($2::text[], $3::float8[]) n(path, value) \
               where $4::text is null or not exists (select from mlops.measure m where m.project = $1 and m.check_path = n.path and m.run = $4)";
    client.execute(sql, &[&project, &paths, &values, &run, &commit]).await.map_err(|e| server.error("recording measures", &e))?;
    Ok(())
}
