//! What is read: the query, its columns as the server describes them, and how it can be read in parts.

use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::field::{Described, Field};
use super::{Dataset, DatasetError};
use crate::mistakes::suggestion;
use crate::names::{TableName, statement};
use crate::ports::files::Workspace;
use crate::ports::postgres::Postgres;

/// Pages of a table that are read at a time: some 8 MB.
const PAGES: i64 = 1024;
/// The first version that finds a range of row addresses without reading the whole table.
const TID_RANGES: i32 = 140_000;

/// Before the server has seen it.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// Without its order.
    pub(super) query: String,
    table: Option<TableName>,
    /// For people.
    pub(super) name: String,
}

/// After.
pub(super) struct Reading {
    /// The query's columns, in its order.
    pub(super) names: Vec<String>,
    /// Those of the partition first.
    pub(super) fields: Vec<Field>,
    pub(super) partition: usize,
    /// Which fields order the rows.
    pub(super) order: Vec<usize>,
    /// One COPY after the other gives all rows in order.
    pub(super) copies: Vec<String>,
    /// About how many rows, where the server has an idea.
    pub(super) estimate: Option<u64>,
}

impl Source {
    pub(super) fn of(dataset: &Dataset, workspace: &Workspace) -> Result<Self, DatasetError> {
        let query = match (&dataset.query, &dataset.table) {
            (Some(file), _) => workspace.read_text(file)?,
            (None, Some(table)) => format!("select * from {}", table.quoted()),
            (None, None) => String::new(),
        };
        Ok(Self { query: statement(&query).to_owned(), table: dataset.table.clone(), name: dataset.source() })
    }
}

/// The settings of a session in which the same rows have the same text everywhere.
pub(super) const SETTINGS: &str = "set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; set local intervalstyle = 'iso_8601'; \
    set local extra_float_digits = 1; set local bytea_output = 'hex'; set local lc_monetary = 'C'; set local synchronize_seqscans = off";

/// Asks the server what the columns are. `in_parts`: more than one connection is there to read them.
pub(super) async fn describe(
    server: &Postgres,
    session: &Transaction<'_>,
    source: &Source,
    dataset: &Dataset,
    text: bool,
    in_parts: bool,
) -> Result<Reading, DatasetError> {
    let error = |e: &tokio_postgres::Error| DatasetError::from(server.error(&format!("running {}", source.name), e));
    let Source { query, .. } = source;
    let prepared = session.prepare(&format!("select * from (\n{query}\n) q limit 0")).await.map_err(|e| error(&e))?;
    let columns = prepared.columns();
    let sql = "select format_type(t.o, t.m), (select typsend::text from pg_type where oid = t.o), coalesce((select attndims from pg_attribute where attrelid = t.r and attnum = t.n), 0)::int2 \
               from unnest($1::oid[], $2::int4[], $3::oid[], $4::int2[]) with ordinality t(o, m, r, n, i) order by i";
    let oids: Vec<u32> = columns.iter().map(|c| c.type_().oid()).collect();
    let modifiers: Vec<i32> = columns.iter().map(|c| c.type_modifier()).collect();
    let tables: Vec<u32> = columns.iter().map(|c| c.table_oid().unwrap_or(0)).collect();
    let numbers: Vec<i16> = columns.iter().map(|c| c.column_id().unwrap_or(0)).collect();
    let more = session.query(sql, &[&oids, &modifiers, &tables, &numbers]).await.map_err(|e| error(&e))?;
    let names: Vec<&str> = columns.iter().map(|c| c.name()).collect();
    known(&names, dataset)?;
    let mut fields: Vec<Field> = columns
        .iter()
        .zip(&more)
        .map(|(c, m)| {
            let described = Described {
                name: c.name(),
                kind: c.type_(),
                modifier: c.type_modifier(),
                dimensions: m.get(2),
                server_type: m.get(0),
                send: m.get(1),
            };
            let split = dataset.partition_by.iter().any(|name| name == c.name());
            Field::of(&described, text || split || dataset.as_text.iter().any(|name| name == c.name()))
        })
        .collect();
    let ordered: Vec<&String> = dataset.partition_by.iter().chain(dataset.order_by.iter().flatten()).collect();
    fields.sort_by_key(|f| dataset.partition_by.iter().position(|name| *name == f.name).unwrap_or(usize::MAX));
    let place = |name: &&String| fields.iter().position(|f| f.name == **name);
    let order: Vec<usize> = ordered.iter().filter_map(place).collect();
    let partition = dataset.partition_by.len();
    let mut reading =
        Reading { names: names.iter().map(|name| (*name).to_owned()).collect(), fields, partition, order, copies: vec![], estimate: None };
    (reading.copies, reading.estimate) = copies(server, session, source, &reading, in_parts && partition == 0).await?;
    Ok(reading)
}

/// Every column that the settings name is there, and none is there twice.
fn known(names: &[&str], dataset: &Dataset) -> Result<(), DatasetError> {
    if let Some((_, twice)) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
        return Err(DatasetError::Columns(format!("the query gives two columns called `{twice}`: give one of them another name")));
    }
    let lists =
        [("order_by", dataset.order_by.as_deref().unwrap_or_default()), ("partition_by", &dataset.partition_by), ("as_text", &dataset.as_text)];
    for (key, list) in lists {
        if let Some(missing) = list.iter().find(|name| !names.contains(&name.as_str())) {
            let help = suggestion(missing, names.iter().copied(), "columns");
            return Err(DatasetError::Columns(format!("`{key}` names a column `{missing}` that the query does not give; {help}")));
        }
    }
    if names.is_empty() {
        return Err(DatasetError::Columns("the query gives no column".into()));
    }
    if names.len() == dataset.partition_by.len() {
        return Err(DatasetError::Columns("every column is in `partition_by`: nothing is left for the files".into()));
    }
    Ok(())
}

/// And about how many rows there are.
async fn copies(
    server: &Postgres,
    session: &Transaction<'_>,
    source: &Source,
    reading: &Reading,
    in_parts: bool,
) -> Result<(Vec<String>, Option<u64>), DatasetError> {
    let Reading { fields, order, .. } = reading;
    let list: Vec<&str> = fields.iter().map(|f| f.select.as_str()).collect();
    let list = list.join(", ");
    let by = |at: &usize| if *at < reading.partition { fields[*at].order_of_text() } else { fields[*at].order() };
    // What the server takes for equal may have other bytes: behind the values, their text decides.
    let alike = order.iter().filter(|at| **at >= reading.partition && !fields[**at].equal_is_same()).map(|at| fields[*at].order_of_text());
    let order_by: Vec<String> = order.iter().map(by).chain(alike).collect();
    let order_by = if order_by.is_empty() { String::new() } else { format!(" order by {}", order_by.join(", ")) };
    let copy = |from: &str, filter: &str| format!("copy (select {list} from {from} q{filter}{order_by}) to stdout (format binary)");
    let whole = vec![copy(&format!("(\n{}\n)", source.query), "")];
    let Some(table) = &source.table else { return Ok((whole, None)) };
    let from = table.quoted();
    let error = |e: &tokio_postgres::Error| DatasetError::from(server.error(&format!("looking at {}", source.name), e));
    let sql = "select c.reltuples, pg_relation_size(c.oid) / current_setting('block_size')::int, \
                      c.relkind = 'r' and not c.relhassubclass and current_setting('server_version_num')::int >= $2 \
               from pg_class c where c.oid = to_regclass($1)";
    let row = session.query_typed(sql, &[(&from, Type::TEXT), (&TID_RANGES, Type::INT4)]).await.map_err(|e| error(&e))?;
    let Some(row) = row.first() else { return Ok((whole, None)) };
    let (tuples, pages, plain): (f32, i64, bool) = (row.get(0), row.get(1), row.get(2));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate")]
    let estimate = (tuples > 0.0).then_some(tuples as u64);
    if !in_parts || pages <= 2 * PAGES {
        return Ok((whole, estimate));
    }
    if order.is_empty() {
        let range = |from: i64, filter: &str| copy(&table.quoted(), &format!(" where q.ctid >= '({from},0)'{filter}"));
        let starts = (0..pages).step_by(usize::try_from(PAGES).unwrap_or(1));
        // What has been added behind the last page is not of this snapshot.
        let parts = if plain { starts.map(|at| range(at, &format!(" and q.ctid < '({},0)'", at + PAGES))).collect() } else { whole };
        return Ok((parts, estimate));
    }
    let first = &fields[order[0]];
    let filters = key_ranges(session, &from, &first.name, first.is_integer(), pages / PAGES).await.map_err(|e| error(&e))?;
    Ok((filters.map_or(whole, |filters| filters.iter().map(|filter| copy(&from, filter)).collect()), estimate))
}

/// Ranges of a whole number that an index has in order.
async fn key_ranges(
    session: &Transaction<'_>,
    table: &str,
    key: &str,
    integer: bool,
    parts: i64,
) -> Result<Option<Vec<String>>, tokio_postgres::Error> {
    let sql = "select exists (select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0] \
               join pg_class c on c.oid = i.indexrelid join pg_am m on m.oid = c.relam and m.amname = 'btree' \
               where i.indrelid = to_regclass($1) and a.attname = $2 and i.indisvalid and i.indpred is null)";
    let indexed = integer && session.query_typed(sql, &[(&table, Type::TEXT), (&key, Type::TEXT)]).await?.first().is_some_and(|row| row.get(0));
    if !indexed {
        return Ok(None);
    }
    let key = crate::names::ident(key);
    let row = session.query_typed(&format!("select min({key})::int8, max({key})::int8 from {table}"), &[]).await?;
    let Some((Some(low), Some(high))) = row.first().map(|row| (row.get::<_, Option<i64>>(0), row.get::<_, Option<i64>>(1))) else { return Ok(None) };
    let step = ((i128::from(high) - i128::from(low)) / i128::from(parts.max(1)) + 1).max(1);
    let mut filters = Vec::new();
    let mut from = i128::from(low);
    while from <= i128::from(high) {
        let to = (from + step - 1).min(i128::from(high));
        filters.push(format!(" where q.{key} between {from} and {to}"));
        from = to + 1;
    }
    // NULL comes last.
    filters.push(format!(" where q.{key} is null"));
    Ok(Some(filters))
}
