//! One run migrates a database at a time.
//!
//! The lock is polled, not waited for: a session blocked inside `pg_advisory_lock` holds a snapshot, and two runs
//! would then deadlock over `create index concurrently`. It belongs to the session that migrates, so that it cannot be
//! free while a killed run's last statement is still at work; and it is taken before the history table is made.

use std::time::{Duration, Instant};

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::MigrateError;
use crate::ports::postgres::{Postgres, describe};

/// `mlops` in ASCII; the same in every version of the tool.
const KEY: i64 = 0x6d_6c6f_7073;

/// Held as long as its session lives.
pub(super) struct Held {
    /// The server process of the session: a pooler in transaction mode would change it under us.
    pub(super) pid: i32,
}

pub(super) async fn acquire(client: &Client, server: &Postgres, wait: Duration) -> Result<Held, MigrateError> {
    let started = Instant::now();
    let mut told = false;
    loop {
        let rows = client.query_typed("select pg_try_advisory_lock($1), pg_backend_pid()", &[(&KEY, Type::INT8)]).await;
        let rows = rows.map_err(|e| server.error("taking the migration lock", &e))?;
        if rows.first().is_some_and(|row| row.get(0)) {
            return Ok(Held { pid: rows[0].get(1) });
        }
        if started.elapsed() >= wait {
            return Err(MigrateError::Locked { waited: wait, holder: holder(client).await });
        }
        if !std::mem::replace(&mut told, true) {
            tracing::info!("waiting for another run that is migrating: {}", holder(client).await);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(super) async fn release(client: &Client) {
    // Should this fail, the end of the session releases it.
    let _ = client.query_typed("select pg_advisory_unlock($1)", &[(&KEY, Type::INT8)]).await;
}

async fn holder(client: &Client) -> String {
    let sql = "select a.pid, a.application_name, coalesce(host(a.client_addr), 'this machine'), \
               date_trunc('second', clock_timestamp() - a.backend_start)::text, coalesce(a.state, '') \
               from pg_locks l join pg_stat_activity a using (pid) \
               where l.locktype = 'advisory' and l.granted and l.database = (select oid from pg_database where datname = current_database()) \
               and (l.classid::bigint << 32 | l.objid::bigint) = $1";
    match client.query_typed(sql, &[(&KEY, Type::INT8)]).await.as_deref() {
        Ok([row, ..]) => format!(
            "pid {}, {} from {}, connected for {} ({}); if it is stuck: select pg_terminate_backend({})",
            row.get::<_, i32>(0),
            row.get::<_, String>(1),
            row.get::<_, String>(2),
            row.get::<_, String>(3),
            row.get::<_, String>(4),
            row.get::<_, i32>(0)
        ),
        Ok([]) => "its session is not visible to this user".into(),
        Err(error) => describe(error),
    }
}

/// Who has a transaction open that a statement may have waited for.
pub(super) async fn open_transactions(client: &Client) -> Option<String> {
    let sql = "select string_agg(format('pid %s, %s, %s for %s', pid, coalesce(nullif(application_name, ''), usename, '?'), state, \
               date_trunc('second', clock_timestamp() - xact_start)), '; ') from (select * from pg_stat_activity \
               where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null and backend_type = 'client backend' \
               order by xact_start limit 3) oldest";
    client.query_typed(sql, &[]).await.ok()?.first()?.get(0)
}
