//! What the live catalog knows of the tables that a migration touches.

use std::collections::BTreeMap;

use crate::migrate::MigrateError;
use crate::ports::postgres::{Postgres, sql_state};

/// Of a partitioned table, its partitions together; an index stands for its table.
fn sizes(table: &str, partition: &str) -> String {
    format!(
        "with t as (select c.oid, n.nspname, c.relname, c.relkind, pg_table_is_visible(c.oid) as visible, \
           case when c.relkind = 'p' then coalesce((select sum({partition}) from pg_partition_tree(c.oid) p where p.isleaf), 0) else {table} end::bigint as bytes, \
           case when c.relkind = 'p' then (select sum(greatest(x.reltuples, 0)) from pg_partition_tree(c.oid) p join pg_class x on x.oid = p.relid where p.isleaf) \
             else c.reltuples end::float8 as rows \
         from pg_class c join pg_namespace n on n.oid = c.relnamespace \
         where c.relkind in ('r', 'p', 'm') and n.nspname not in ('pg_catalog', 'information_schema', 'mlops', 'pg_toast')) \
         select nspname, relname, visible, bytes, rows from t union all \
         select n.nspname, x.relname, pg_table_is_visible(x.oid), t.bytes, t.rows from pg_index i join t on t.oid = i.indrelid \
         join pg_class x on x.oid = i.indexrelid join pg_namespace n on n.oid = x.relnamespace"
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) bytes: u64,
    /// `None`: never analyzed.
    pub(super) rows: Option<u64>,
}

impl Size {
    pub(super) fn is_large(self, rows: u64) -> bool {
        // Without statistics, a hundred bytes a row.
        self.rows.unwrap_or(self.bytes / 100) >= rows
    }
}

/// Tables and indexes by plain and by qualified name.
#[derive(Debug, Clone, Default)]
pub struct Live {
    sizes: BTreeMap<String, Size>,
    pub server_version: Option<String>,
    /// Nothing is known of any table.
    pub(super) blind: bool,
}

impl Live {
    /// Without a database: every finding weighs what the policy says.
    pub fn unknown() -> Self {
        Self { blind: true, ..Self::default() }
    }

    pub async fn read(server: &Postgres) -> Result<Self, MigrateError> {
        let client = server.client().await?;
        // A table that somebody has locked would keep us waiting for its exact size: then the catalog's estimate does,
        // and one that was never analyzed is not taken for empty.
        let exact = client.simple_query("begin read only; set local lock_timeout = 1000").await;
        exact.map_err(|e| server.error("reading the sizes of tables", &e))?;
        let first = client.query_typed(&sizes("pg_relation_size(c.oid)", "pg_relation_size(p.relid)"), &[]).await;
        let _ = client.batch_execute("rollback").await;
        let estimate = "case when c.reltuples < 0 then 8192 else c.relpages::bigint * 8192 end";
        let rows = match first {
            Err(error) if sql_state(&error) == Some("55P03") => client.query_typed(&sizes(estimate, "8192"), &[]).await,
            other => other,
        };
        let rows = rows.map_err(|e| server.error("reading the sizes of tables", &e))?;
        let mut live = Self::default();
        for row in rows {
            let (schema, name, visible): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, negative where there is none")]
            let rows = row.get::<_, Option<f64>>(4).filter(|n| *n >= 0.0).map(|n| n as u64);
            let size = Size { bytes: u64::try_from(row.get::<_, i64>(3)).unwrap_or(0), rows };
            if visible {
                live.sizes.insert(name.clone(), size);
            }
            live.sizes.insert(format!("{schema}.{name}"), size);
        }
        let version = client.query_typed("show server_version", &[]).await.map_err(|e| server.error("reading the server's version", &e))?;
        // `15.18 (Debian …)`
        live.server_version = version.first().and_then(|row| row.get::<_, String>(0).split_whitespace().next().map(str::to_owned));
        Ok(live)
    }

    pub(super) fn size(&self, name: &str) -> Option<Size> {
        self.sizes.get(name).copied()
    }
}
