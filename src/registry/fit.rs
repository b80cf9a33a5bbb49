//! Whether the database still has what a version was made from.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use tokio_postgres::types::Type;

use super::refusal::{Reason, Refusal};
use super::session::RegistryError;
use super::version::Version;
use crate::names::ColumnPath;
use crate::ports::postgres::Postgres;
use crate::units::counted;

/// The columns of tables that a version's data was read from and that are there no more.
pub async fn columns_gone(server: &Postgres, version: &Version) -> Result<Option<Refusal>, RegistryError> {
    let mut wanted: BTreeMap<String, ColumnPath> = BTreeMap::new();
    for column in version.datasets.iter().filter_map(|d| d.columns.as_ref()).filter_map(Json::as_array).flatten() {
        for from in column["from"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            if let Ok(path) = ColumnPath::parse(from) {
                wanted.insert(from.to_owned(), path);
            }
        }
    }
    let (tables, columns): (Vec<String>, Vec<String>) = wanted.values().map(|path| (path.table.quoted(), path.column.clone())).unzip();
    let client = server.client().await?;
    let sql = "select w.n from unnest($1::text[], $2::text[]) with ordinality as w(relation, name, n) where not exists \
               (select from pg_attribute a where a.attrelid = to_regclass(w.relation) and a.attname = w.name and a.attnum > 0 and not a.attisdropped) order by 1";
    let rows = client.query_typed(sql, &[(&tables, Type::TEXT_ARRAY), (&columns, Type::TEXT_ARRAY)]).await;
    let rows = rows.map_err(|e| RegistryError::Server(server.error("looking for the columns that the version reads", &e)))?;
    let names: Vec<&String> = wanted.keys().collect();
    let gone: Vec<&str> = rows.iter().filter_map(|row| names.get(usize::try_from(row.get::<_, i64>(0) - 1).ok()?).map(|n| n.as_str())).collect();
    if gone.is_empty() {
        return Ok(None);
    }
    let what = format!("{} reads {} that the database has no more: {}", version.title(), counted(gone.len() as u64, "column"), gone.join(", "));
    let refusal = Refusal::new(Reason::SchemaChanged, what);
    Ok(Some(match &version.schema_revision {
        Some(revision) => {
            refusal.but(format!("its schema was that of version {revision}: `mlops migrate plan` and `mlops migrate to {revision}` lead back"))
        }
        None => refusal,
    }))
}
