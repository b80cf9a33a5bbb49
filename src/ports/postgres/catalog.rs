//! What the server's catalog knows of tables: asked once, answers many checks at no scan.

use std::collections::BTreeMap;

use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

use super::{PgError, Postgres};
use crate::names::TableName;

/// A table as the catalog describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// In the table's order.
    pub columns: Vec<ColumnFacts>,
    pub oid: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnFacts {
    pub name: String,
    /// As `format_type` prints it: `timestamp with time zone`, `numeric(12,4)`.
    pub type_name: String,
    /// The same, of a domain what it is made of; without a modifier.
    pub base_type: String,
    pub is_enum: bool,
    /// Equal texts are the same bytes: false under a case-insensitive collation.
    pub deterministic: bool,
}

impl Table {
    pub fn column(&self, name: &str) -> Option<&ColumnFacts> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// The tables that exist among those asked for, and the names of all that could have been meant.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    pub tables: BTreeMap<TableName, Table>,
    pub known: Vec<String>,
}

pub async fn read(client: &impl GenericClient, names: &[TableName]) -> Result<Catalog, tokio_postgres::Error> {
    let quoted: Vec<String> = names.iter().map(TableName::quoted).collect();
    let rows = client
        .query(
            "select x.at::int, a.attname, format_type(a.atttypid, a.atttypmod), \
             format_type(coalesce(nullif(d.typbasetype, 0), a.atttypid), null), d.typtype = 'e', \
             coalesce((to_jsonb(l) ->> 'collisdeterministic')::bool, true), c.oid \
             from unnest($1::text[]) with ordinality x(name, at) \
             join pg_class c on c.oid = to_regclass(x.name) and c.relkind in ('r', 'p', 'v', 'm', 'f') \
             left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped \
             left join pg_type d on d.oid = a.atttypid \
             left join pg_collation l on l.oid = a.attcollation \
             order by x.at, a.attnum",
            &[&quoted],
        )
        .await?;
    let mut tables: BTreeMap<TableName, Table> = BTreeMap::new();
    for row in rows {
        let at = usize::try_from(row.get::<_, i32>(0)).unwrap_or(1);
        let table = tables.entry(names[at - 1].clone()).or_default();
        table.oid = row.get(6);
        if let Some(name) = row.get::<_, Option<String>>(1) {
            let (type_name, base_type) = (row.get(2), row.get(3));
            table.columns.push(ColumnFacts { name, type_name, base_type, is_enum: row.get(4), deterministic: row.get(5) });
        }
    }
    let known = if tables.len() < names.len() { all_tables(client).await? } else { Vec::new() };
    Ok(Catalog { tables, known })
}

async fn all_tables(client: &impl GenericClient) -> Result<Vec<String>, tokio_postgres::Error> {
    let rows = client
        .query(
            "select case when pg_table_is_visible(c.oid) then c.relname::text else n.nspname || '.' || c.relname end \
             from pg_class c join pg_namespace n on n.oid = c.relnamespace \
             where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname not in ('pg_catalog', 'information_schema') \
             order by 1",
            &[],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The columns that the table makes itself, and nobody may fill.
pub async fn generated_columns(server: &Postgres, table: &TableName) -> Result<Vec<String>, PgError> {
    let sql = "select attname::text from pg_attribute a where attrelid = to_regclass($1) and attnum > 0 and not attisdropped \
               and coalesce(to_jsonb(a) ->> 'attgenerated', '') <> ''";
    let client = server.client().await?;
    let rows = client.query_typed(sql, &[(&table.quoted(), Type::TEXT)]).await;
    Ok(rows.map_err(|e| server.error("looking at the table's columns", &e))?.iter().map(|row| row.get(0)).collect())
}
