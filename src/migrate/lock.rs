//! One run migrates a database at a time.
//!
//! The lock is polled, not waited for: a session blocked inside `pg_advisory_lock` holds a snapshot, and two runs
//! would then deadlock over `create index concurrently`. It is taken before the history table is made, and it goes
//! with its connection, whatever happens to the run.

use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::MigrateError;
use crate::ports::postgres::{PgError, Trouble, describe};

/// `mlops` in ASCII; the same in every version of the tool.
const KEY: i64 = 0x6d_6c6f_7073;

pub(super) async fn acquire(client: &Client, wait: Duration) -> Result<(), MigrateError> {
    let started = Instant::now();
    loop {
        let row = client.query_one("select pg_try_advisory_lock($1)", &[&KEY]).await.map_err(|e| server(&e))?;
        if row.get(0) {
            return Ok(());
        }
        if started.elapsed() >= wait {
            return Err(MigrateError::Locked { waited: wait, holder: holder(client).await });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(super) async fn release(client: &Client) {
    // Should this fail, the end of the session releases it.
    let _ = client.query_one("select pg_advisory_unlock($1)", &[&KEY]).await;
}

async fn holder(client: &Client) -> String {
    let sql = "select a.pid, a.application_name, coalesce(host(a.client_addr), 'local'), now() - a.backend_start < interval '1 s' \
               from pg_locks l join pg_stat_activity a using (pid) \
               where l.locktype = 'advisory' and l.granted and l.database = (select oid from pg_database where datname = current_database()) \
               and (l.classid::bigint << 32 | l.objid::bigint) = $1";
    match client.query_opt(sql, &[&KEY]).await {
        Ok(Some(row)) => format!("pid {}, {} from {}", row.get::<_, i32>(0), row.get::<_, String>(1), row.get::<_, String>(2)),
        _ => "its session is not visible to this user".into(),
    }
}

fn server(error: &tokio_postgres::Error) -> MigrateError {
    PgError::new("the database", "taking the migration lock", Trouble::Lost(describe(error))).into()
}
