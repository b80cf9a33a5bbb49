//! Database gates: whether the server answers fast, has room for connections, and which statements are slow.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::bounds::Limit;
use crate::outcome::{Outcome, Status};
use crate::ports::postgres::{PgError, Postgres};
use crate::stats::{float, nearest_rank};
use crate::units::{Amount, Span, counted};

/// What must hold of the server.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vitals {
    /// How long the answer to `select 1` may take, at the 95th percentile of 20; or with `warn`.
    latency: Option<Latency>,
    /// Connections: a count, or a share of `max_connections`.
    connections: Option<Limit>,
    /// Statements whose mean time is long, from `pg_stat_statements`.
    slow_statements: Option<SlowStatements>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a duration such as `500ms`, or `{max: 500ms, warn: 100ms}`")]
enum Latency {
    Max(Span),
    Both(LatencyLimit),
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LatencyLimit {
    /// More fails.
    max: Span,
    /// More warns.
    warn: Option<Span>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SlowStatements {
    /// A longer mean time is slow.
    mean: Span,
    /// How many slow statements are named. Default: 10.
    top: Option<i64>,
    /// How many there may be. Default: none.
    max: Option<u64>,
    /// Statements that ran less often are not looked at. Default: 5.
    min_calls: Option<i64>,
}

const PROBES: usize = 20;

impl Vitals {
    pub fn mistake(&self) -> Option<String> {
        if self.latency.is_none() && self.connections.is_none() && self.slow_statements.is_none() {
            return Some("nothing to judge: add `latency`, `connections` or `slow_statements`".into());
        }
        if let Some(Latency::Both(LatencyLimit { max, warn: Some(warn) })) = self.latency
            && warn.0 > max.0
        {
            return Some("latency: `warn` lies above `max`, so it could never warn".into());
        }
        self.connections.as_ref().and_then(Limit::mistake).map(|why| format!("connections: {why}"))
    }

    pub fn describe(&self) -> Vec<String> {
        let parts =
            [(self.latency.is_some(), "latency"), (self.connections.is_some(), "connections"), (self.slow_statements.is_some(), "slow statements")];
        parts.into_iter().filter(|(there, _)| *there).map(|(_, name)| name.to_owned()).collect()
    }

    pub async fn evaluate(&self, server: &Postgres) -> Result<Vec<Outcome>, PgError> {
        let mut outcomes = Vec::new();
        if let Some(limit) = self.latency {
            outcomes.push(latency(server, limit).await?);
        }
        if let Some(limit) = &self.connections {
            outcomes.push(connections(server, limit).await?);
        }
        if let Some(slow) = &self.slow_statements {
            outcomes.push(slow.look(server).await?);
        }
        Ok(outcomes)
    }
}

async fn latency(server: &Postgres, limit: Latency) -> Result<Outcome, PgError> {
    let client = server.client().await?;
    let mut seconds = Vec::with_capacity(PROBES);
    for _ in 0..PROBES {
        let started = Instant::now();
        client.simple_query("select 1").await.map_err(|e| server.error("probing the server", &e))?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    seconds.sort_unstable_by(f64::total_cmp);
    let value = nearest_rank(&seconds, 95.0).unwrap_or(f64::NAN);
    let took = Duration::try_from_secs_f64(value).unwrap_or(Duration::MAX);
    let LatencyLimit { max, warn } = match limit {
        Latency::Max(max) => LatencyLimit { max, warn: None },
        Latency::Both(both) => both,
    };
    let status = match () {
        () if took > max.0 => Status::Failed,
        () if warn.is_some_and(|warn| took > warn.0) => Status::Warned,
        () => Status::Passed,
    };
    let message = format!("p95 of {PROBES} probes is {took:.1?}; must be at most {max}");
    Ok(Outcome::new("database", "latency", status, message).measured(value, format!("at most {max}")))
}

/// Of clients: the server's own workers do not count against the maximum.
async fn connections(server: &Postgres, limit: &Limit) -> Result<Outcome, PgError> {
    let client = server.client().await?;
    let sql = "select (select count(*) from pg_stat_activity where backend_type = 'client backend'), current_setting('max_connections')::int8";
    let row = client.query_one(sql, &[]).await.map_err(|e| server.error("counting connections", &e))?;
    let [now, most] = [row.get::<_, i64>(0), row.get::<_, i64>(1)].map(i64::unsigned_abs);
    let message = limit.sentence(now, most, "are taken").replace("row", "connection");
    Ok(Outcome::new("database", "connections", limit.judge(now, most), message).measured(float(now), limit.expected()))
}

impl SlowStatements {
    async fn look(&self, server: &Postgres) -> Result<Outcome, PgError> {
        let named = |status: Status, message: String| Outcome::new("database", "slow_statements", status, message);
        let client = server.client().await?;
        let there = "select exists(select from pg_extension where extname = 'pg_stat_statements'), \
                     current_setting('shared_preload_libraries') like '%pg_stat_statements%'";
        let row = client.query_one(there, &[]).await.map_err(|e| server.error("looking for pg_stat_statements", &e))?;
        if let (extension, loaded @ false) | (extension @ false, loaded) = (row.get::<_, bool>(0), row.get::<_, bool>(1)) {
            let missing = if loaded { "the extension is not created in this database" } else { "the server has not loaded it" };
            let remedy = match (loaded, extension) {
                (true, _) => "create extension pg_stat_statements;",
                (false, _) => "start the server with shared_preload_libraries=pg_stat_statements, then: create extension pg_stat_statements;",
            };
            return Ok(named(Status::Broken, format!("pg_stat_statements is not available: {missing}")).with_remedy(Some(remedy.into())));
        }
        let sql = "select query, mean_exec_time, calls, count(*) over () from pg_stat_statements \
                   where dbid = (select oid from pg_database where datname = current_database()) and mean_exec_time > $1 and calls >= $2 \
                   order by mean_exec_time desc limit $3";
        let mean = self.mean.0.as_secs_f64() * 1e3;
        let rows = client.query(sql, &[&mean, &self.min_calls.unwrap_or(5), &self.top.unwrap_or(10).max(1)]).await;
        let rows = rows.map_err(|e| server.error("reading pg_stat_statements", &e))?;
        let slow = rows.first().map_or(0, |row| row.get::<_, i64>(3).unsigned_abs());
        let line = |row: &tokio_postgres::Row| {
            let query: String = row.get::<_, String>(0).split_whitespace().collect::<Vec<_>>().join(" ");
            let short: String = query.chars().take(160).collect();
            format!("{:.1} ms on average over {}: {short}", row.get::<_, f64>(1), counted(row.get::<_, i64>(2).unsigned_abs(), "call"))
        };
        let limit = Limit { max: Some(Amount::Count(self.max.unwrap_or(0))), warn: None };
        let message = format!("{} slower than {} on average; allowed: {}", counted(slow, "statement"), self.mean, self.max.unwrap_or(0));
        Ok(named(limit.judge(slow, slow), message).measured(float(slow), limit.expected()).with_evidence(rows.iter().map(line)))
    }
}
