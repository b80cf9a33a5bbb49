//! What the catalog can prove or estimate of a table, so that no scan has to: constraints, indexes, statistics.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use crate::names::TableName;

/// What is known of a table beyond its columns. Empty where the server does not tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// As of the last `analyze`; nothing for a table that was never analyzed.
    pub rows: Option<u64>,
    /// Columns that cannot hold NULL.
    pub not_null: BTreeSet<String>,
    /// Keys that a valid, immediate, whole-table index keeps unique.
    pub unique: Vec<UniqueKey>,
    /// Validated and enforced foreign keys.
    pub references: Vec<Reference>,
    /// Validated `check` constraints: the name, and the columns that they read.
    pub checks: Vec<(String, Vec<String>)>,
    /// Estimated number of distinct values.
    pub distinct: BTreeMap<String, f64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueKey {
    pub index: String,
    pub columns: Vec<String>,
    pub nulls_equal: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub constraint: String,
    pub columns: Vec<String>,
    pub to: u32,
    pub to_columns: Vec<String>,
}

/// Read through JSON, so that a catalog column that only newer servers have needs no version switch.
const PROOFS: &str = "\
    select c.oid, 'rows', null::text, null::text[], c.reltuples::float8, null::oid, null::text[], false from pg_class c where c.oid = any($1) \
    union all \
    select a.attrelid, 'not_null', null, array[a.attname::text], null, null, null, false from pg_attribute a \
    where a.attrelid = any($1) and a.attnotnull and a.attnum > 0 and not a.attisdropped \
      and not exists (select from pg_constraint k where k.conrelid = a.attrelid and k.contype = 'n' and not k.convalidated and a.attnum = any(k.conkey)) \
    union all \
    select i.indrelid, 'unique', x.relname::text, \
           array(select a.attname::text from unnest(i.indkey[0:i.indnkeyatts - 1]) with ordinality k(n, at) \
                 join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.n order by k.at), \
           null, null, null, coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false) \
    from pg_index i join pg_class x on x.oid = i.indexrelid join pg_class c on c.oid = i.indrelid \
    where i.indrelid = any($1) and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null \
      and (c.relkind = 'p' or not exists (select from pg_inherits h where h.inhparent = c.oid)) \
    union all \
    select k.conrelid, case k.contype when 'f' then 'references' else 'check' end, k.conname::text, \
           array(select a.attname::text from unnest(k.conkey) with ordinality n(n, at) \
                 join pg_attribute a on a.attrelid = k.conrelid and a.attnum = n.n order by n.at), \
           null, k.confrelid, \
           array(select a.attname::text from unnest(k.confkey) with ordinality n(n, at) \
                 join pg_attribute a on a.attrelid = k.confrelid and a.attnum = n.n order by n.at), false \
    from pg_constraint k join pg_class c on c.oid = k.conrelid \
    where k.conrelid = any($1) and k.convalidated and coalesce((to_jsonb(k) ->> 'conenforced')::bool, true) \
      and (k.contype = 'c' or k.contype = 'f' and (c.relkind = 'p' or not exists (select from pg_inherits h where h.inhparent = c.oid)) \
           and not exists (select from pg_trigger g where g.tgconstraint = k.oid and g.tgenabled in ('D', 'R')))";

const STATISTICS: &str = "\
    select c.oid, s.attname::text, s.n_distinct::float8, greatest(c.reltuples, 0)::float8 \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    join pg_stats s on s.schemaname = n.nspname and s.tablename = c.relname and s.inherited = (c.relkind = 'p') \
    where c.oid = any($1)";

/// A server that keeps no such catalog (or shows it to nobody) proves nothing; that is no error.
pub async fn read(client: &Client, tables: &BTreeMap<TableName, u32>) -> BTreeMap<TableName, Evidence> {
    let oids: Vec<u32> = tables.values().copied().collect();
    let mut found: BTreeMap<u32, Evidence> = BTreeMap::new();
    // In the savepoint that the caller's snapshot needs to outlive a refusal.
    let ask = async |sql: &str| {
        let parameters: [&(dyn ToSql + Sync); 1] = [&oids];
        let (_, rows) = tokio::join!(client.batch_execute("savepoint evidence"), client.query(sql, &parameters));
        if let Err(error) = &rows {
            tracing::debug!("the catalog proves nothing: {}", super::describe(error));
            let _ = client.batch_execute("rollback to savepoint evidence").await;
        }
        rows.unwrap_or_default()
    };
    for row in ask(PROOFS).await {
        let evidence = found.entry(row.get(0)).or_default();
        let name = row.get::<_, Option<String>>(2).unwrap_or_default();
        let columns = row.get::<_, Option<Vec<String>>>(3).unwrap_or_default();
        match row.get::<_, &str>(1) {
            "rows" => evidence.rows = whole(row.get(4)),
            "not_null" => evidence.not_null.extend(columns),
            "unique" => evidence.unique.push(UniqueKey { index: name, columns, nulls_equal: row.get(7) }),
            "references" => {
                let to_columns = row.get::<_, Option<Vec<String>>>(6).unwrap_or_default();
                evidence.references.push(Reference { constraint: name, columns, to: row.get(5), to_columns });
            }
            _ => evidence.checks.push((name, columns)),
        }
    }
    for row in ask(STATISTICS).await {
        let (estimate, rows): (f64, f64) = (row.get(2), row.get(3));
        // Below zero it is a share of the rows.
        let distinct = if estimate < 0.0 { -estimate * rows } else { estimate };
        if distinct > 0.0 {
            found.entry(row.get(0)).or_default().distinct.insert(row.get(1), distinct);
        }
    }
    tables.iter().filter_map(|(name, oid)| Some((name.clone(), found.remove(oid)?))).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate of rows")]
fn whole(rows: f64) -> Option<u64> {
    (rows > 0.0).then_some(rows as u64)
}
