//! A database to try things in: a temporary one on the same server, else a throwaway server.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use super::throwaway::Throwaway;
use super::{Address, PgError, Postgres, sql_state};
use crate::names::ident;

const PREFIX: &str = "mlops_scratch_";

/// What a throwaway server needs.
#[derive(Debug, Clone)]
pub struct Binaries {
    pub settings: Address,
    pub bin: Option<PathBuf>,
    pub path: String,
    pub base: PathBuf,
}

/// Ended with `end`; what a killed run leaves behind is swept by the next.
pub struct Scratch {
    pub server: Postgres,
    /// The database and the connection that drops it.
    made: Option<(String, Postgres)>,
    _throwaway: Option<Throwaway>,
}

impl Scratch {
    /// The same server has the same version, extensions and settings; not every user may make a database there.
    pub async fn make(beside: &Postgres, binaries: &Binaries) -> anyhow::Result<Self> {
        sweep(beside).await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("{PREFIX}{}_{}_{}", now.as_secs(), std::process::id(), now.subsec_nanos());
        let client = beside.dedicated().await?;
        match client.batch_execute(&format!("create database {}", ident(&name))).await {
            Ok(()) => Ok(Self { server: beside.sibling(&name)?, made: Some((name, beside.clone())), _throwaway: None }),
            // No right to, or a pooler that has no such database.
            Err(error) if sql_state(&error).is_some() => {
                tracing::info!("no temporary database on {} ({error}); a throwaway server is used", beside.endpoint());
                let Binaries { settings, bin, path, base } = binaries.clone();
                let throwaway = tokio::task::spawn_blocking(move || Throwaway::start(bin.as_deref(), &path, &base)).await??;
                let server = Postgres::connect(&Address { url: throwaway.url(), ..settings }, |_| {}).await?;
                Ok(Self { server, made: None, _throwaway: Some(throwaway) })
            }
            Err(error) => Err(beside.error("making a scratch database", &error).into()),
        }
    }

    pub async fn end(self) -> Result<(), PgError> {
        let Some((name, beside)) = self.made else { return Ok(()) };
        drop(self.server);
        let client = beside.dedicated().await?;
        drop_database(&client, &name).await.map_err(|e| beside.error("dropping the scratch database", &e))
    }
}

async fn drop_database(client: &tokio_postgres::Client, name: &str) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(&format!("drop database if exists {} with (force)", ident(name))).await
}

/// Scratch databases of runs that were killed: an hour old, and nobody in them.
async fn sweep(beside: &Postgres) {
    let Ok(client) = beside.dedicated().await else { return };
    let sql = "select datname::text from pg_database d where datname ~ '^mlops_scratch_[0-9]+_' \
               and split_part(datname, '_', 3)::bigint < extract(epoch from now()) - 3600 \
               and not exists (select from pg_stat_activity a where a.datname = d.datname)";
    for row in client.query_typed(sql, &[]).await.unwrap_or_default() {
        let _ = drop_database(&client, row.get(0)).await;
    }
}
