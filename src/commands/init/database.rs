//! What is in the database: tables, their keys and references, the history of another tool, and a profile of the rows.

use std::collections::{BTreeMap, BTreeSet};

use super::Failure;
use crate::checks::{self, Gates};
use crate::commands::load::address;
use crate::config::Core;
use crate::names::{TableName, ident};
use crate::ports::postgres::Postgres;
use crate::profile::Profile;
use crate::secret::Secret;

#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) profile: Profile,
    /// Columns of unique keys, by table: the primary key first.
    pub(super) keys: BTreeMap<String, Vec<Vec<String>>>,
    /// `carrier` of `flights` is one of `airlines.carrier`.
    pub(super) references: BTreeMap<(String, String), String>,
    /// The tool whose history is there.
    pub(super) history: Option<&'static str>,
    /// Tables whose names mlops.yml cannot write.
    pub(super) unnamed: Vec<String>,
    /// Tables that could not be looked at, and why.
    pub(super) unread: Vec<(String, String)>,
    /// Columns with numbers that no range holds.
    pub(super) infinite: BTreeSet<(String, String)>,
}

/// The table in which each tool keeps what it has applied.
const HISTORIES: [(&str, &str); 6] = [
    ("alembic_version", "alembic"),
    ("flyway_schema_history", "flyway"),
    ("_sqlx_migrations", "sqlx"),
    ("goose_db_version", "goose"),
    ("gorp_migrations", "sql-migrate"),
    ("schema_migrations", "golang-migrate"),
];

impl Found {
    pub(super) async fn look(url: &str, only: &[String]) -> Result<Self, Failure> {
        let address = address(&Core::bare(), &Secret::new(url));
        let server = Postgres::connect(&address, |why| tracing::info!("waiting for the database: {why}")).await.map_err(Failure::broken)?;
        let all = names(&server).await?;
        let history = HISTORIES.iter().find(|(table, _)| all.iter().any(|name| name == table)).map(|(_, tool)| *tool);
        let wanted: Vec<String> =
            if only.is_empty() { all.into_iter().filter(|name| !HISTORIES.iter().any(|(table, _)| name == table)).collect() } else { only.to_vec() };
        let (named, unnamed): (Vec<_>, Vec<_>) =
            wanted.into_iter().map(|name| (TableName::parse(&name), name)).partition(|(parsed, _)| parsed.is_ok());
        if let Some((Err(why), _)) = unnamed.first().filter(|_| !only.is_empty()) {
            return Err(Failure::usage(why.clone()));
        }
        let unnamed = unnamed.into_iter().map(|(_, name)| name).collect();
        let tables: Vec<TableName> = named.into_iter().filter_map(|(parsed, _)| parsed.ok()).collect();
        let mut found = Self { keys: keys(&server).await?, references: references(&server).await?, history, unnamed, ..Self::default() };
        for table in &tables {
            found.table(&server, table).await;
        }
        if found.profile.tables.is_empty() && !only.is_empty() {
            return Err(Failure::usage(found.unread.iter().map(|(table, why)| format!("{table}: {why}")).collect::<Vec<_>>().join("; ")));
        }
        Ok(found)
    }

    /// One that cannot be looked at is said, and the others have their gates.
    async fn table(&mut self, server: &Postgres, table: &TableName) {
        let looked = match checks::profile(server, &Gates::default(), std::slice::from_ref(table)).await {
            Ok(profile) => profile,
            Err(error) => Err(error.to_string()),
        };
        match looked {
            Ok(profile) => {
                for (name, table_profile) in &profile.tables {
                    for column in table_profile.columns.iter().filter(|c| is_inexact(&c.type_name)) {
                        if !is_finite(server, table, &column.name).await {
                            self.infinite.insert((name.clone(), column.name.clone()));
                        }
                    }
                }
                self.profile.tables.extend(profile.tables);
            }
            Err(why) => self.unread.push((table.to_string(), why.chars().take(200).collect())),
        }
    }
}

fn is_inexact(kind: &str) -> bool {
    kind == "real" || kind == "double precision" || kind.starts_with("numeric")
}

/// Of what overflows nobody can say it.
async fn is_finite(server: &Postgres, table: &TableName, column: &str) -> bool {
    let column = ident(column);
    let sql =
        format!("select count(*)::text from {} where {column}::float8 in ('Infinity', '-Infinity') or abs({column}::float8) > 1e300", table.quoted());
    rows(server, &sql).await.is_ok_and(|rows| rows.first().is_some_and(|row| row[0] == "0"))
}

/// A table as mlops.yml names it: those of the first schema without it.
const NAME: &str = "case when n.nspname = current_schema() then c.relname else n.nspname || '.' || c.relname end::text";

async fn names(server: &Postgres) -> Result<Vec<String>, Failure> {
    let sql = format!(
        "select {NAME} from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') and not c.relispartition \
         and n.nspname not like 'pg\\_%' and n.nspname not in ('information_schema', 'mlops') order by 1"
    );
    Ok(rows(server, &sql).await?.into_iter().map(|mut row| row.remove(0)).collect())
}

async fn keys(server: &Postgres) -> Result<BTreeMap<String, Vec<Vec<String>>>, Failure> {
    let sql = format!(
        "select {NAME}, (select string_agg(a.attname, E'\\x01' order by k.place) from unnest(i.indkey::int2[]) with ordinality k (number, place) \
         join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number) from pg_index i join pg_class c on c.oid = i.indrelid \
         join pg_namespace n on n.oid = c.relnamespace where i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null \
         and i.indnkeyatts = i.indnatts order by i.indisprimary desc, i.indexrelid"
    );
    let mut keys: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for row in rows(server, &sql).await? {
        let [table, columns] = &row[..] else { continue };
        keys.entry(table.clone()).or_default().push(columns.split('\u{1}').map(str::to_owned).collect());
    }
    Ok(keys)
}

/// Of one column each.
async fn references(server: &Postgres) -> Result<BTreeMap<(String, String), String>, Failure> {
    let other = NAME.replace("n.", "m.").replace("c.", "d.");
    let sql = format!(
        "select {NAME}, a.attname::text, {other} || '.' || b.attname from pg_constraint f join pg_class c on c.oid = f.conrelid \
         join pg_namespace n on n.oid = c.relnamespace join pg_class d on d.oid = f.confrelid join pg_namespace m on m.oid = d.relnamespace \
         join pg_attribute a on a.attrelid = c.oid and a.attnum = f.conkey[1] join pg_attribute b on b.attrelid = d.oid and b.attnum = f.confkey[1] \
         where f.contype = 'f' and f.convalidated and array_length(f.conkey, 1) = 1 order by 1, 2, 3"
    );
    let row =
        |mut row: Vec<String>| (row.len() == 3).then(|| ((std::mem::take(&mut row[0]), std::mem::take(&mut row[1])), std::mem::take(&mut row[2])));
    Ok(rows(server, &sql).await?.into_iter().filter_map(row).collect())
}

async fn rows(server: &Postgres, sql: &str) -> Result<Vec<Vec<String>>, Failure> {
    let client = server.client().await.map_err(Failure::broken)?;
    let found = client.query_typed(sql, &[]).await.map_err(|e| Failure::broken(server.error("looking at the catalog", &e)))?;
    Ok(found.iter().map(|row| (0..row.len()).map(|i| row.get::<_, Option<String>>(i).unwrap_or_default()).collect()).collect())
}
