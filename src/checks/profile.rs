//! Profiles: the baseline that is written down, and the rows of the database that are compared with.

use std::collections::BTreeMap;

use super::distance::bin;
use super::gates::Gates;
use super::known::{Known, finite, is_inexact, is_number};
use super::question::Target;
use super::scan::{Session, know};
use crate::names::{TableName, ident};
use crate::ports::postgres::catalog::ColumnFacts;
use crate::ports::postgres::{PgError, Postgres};
use crate::profile::{ColumnProfile, Numbers, Profile, Shape, TableProfile};
use crate::stats::float;

/// Values that are kept one by one; a column of more has percentiles.
const VALUES: usize = 1_000;
/// Rows from which percentiles come from a part of the table's blocks.
const MANY: u64 = 2_000_000;
/// Rows of that part.
const SAMPLE: u64 = 200_000;

/// The profiles of some tables, each as its gates see it: with the table's `where`, and without what is personal.
/// The inner error is for the user: a table that is not there.
pub async fn profile(server: &Postgres, gates: &Gates, tables: &[TableName]) -> Result<Result<Profile, String>, PgError> {
    let mut session = Session::open(server, None).await?;
    let known = know(server, &mut session, gates, tables).await?;
    let mut profiles = BTreeMap::new();
    for table in tables {
        let filter = gates.tables.iter().find(|t| t.table == *table).and_then(|t| t.filter.clone());
        let target = Target::of_table(table.clone(), filter);
        match of(&mut session, &known, &target).await? {
            Ok(profile) => profiles.insert(table.to_string(), profile),
            Err(why) => return Ok(Err(why)),
        };
    }
    Ok(Ok(Profile { format_version: Profile::FORMAT_VERSION, tables: profiles }))
}

/// The profile of the rows that a target selects.
pub(super) async fn of(session: &mut Session, known: &Known, target: &Target) -> Result<Result<TableProfile, String>, PgError> {
    let facts = match target.facts(&known.catalog) {
        Ok(facts) => facts.clone(),
        Err(why) => return Ok(Err(why)),
    };
    let mut list = vec!["count(*)::text".to_owned()];
    for column in &facts.columns {
        list.push(format!("count(t.{})::text", ident(&column.name)));
        if is_number(column) {
            let value = format!("t.{}::float8", ident(&column.name));
            let finite = finite(&value, column);
            list.extend(["min", "max", "avg", "stddev_pop"].map(|call| format!("({call}({value}) filter (where {finite}))::text")));
            list.push(if is_inexact(column) { format!("(count(*) filter (where {value} = 'NaN'))::text") } else { "'0'".into() });
        }
    }
    let mut row = Vec::new();
    // Postgres allows 1,664 columns in a result.
    for part in list.chunks(1_600) {
        match session.row(&format!("select {} {}", part.join(", "), target.selection(None))).await? {
            Ok(values) => row.extend(values),
            Err(refusal) => return Ok(Err(refusal.why)),
        }
    }
    let mut values = row.into_iter();
    let mut next = || values.next().flatten();
    let rows: u64 = next().and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut columns = Vec::new();
    for column in &facts.columns {
        let there: u64 = next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let mut numbers = None;
        if is_number(column) {
            let mut number = || next().and_then(|n| n.parse::<f64>().ok());
            let (min, max, mean, stddev, nan) = (number(), number(), number(), number(), number());
            if let (Some(min), Some(max), Some(mean), Some(stddev)) = (min, max, mean, stddev) {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
                let nan = nan.unwrap_or(0.0) as u64;
                numbers = Some(Numbers { min, max, mean: rounded(mean), stddev: rounded(stddev), nan });
            }
        }
        let shape = shape(session, known, target, column, rows).await?;
        columns.push(ColumnProfile { name: column.name.clone(), type_name: column.type_name.clone(), nulls: rows - there, numbers, shape });
    }
    Ok(Ok(TableProfile { rows, columns }))
}

/// To nine digits: the last ones of a sum depend on the order of the rows, and the same rows give the same profile.
fn rounded(value: f64) -> f64 {
    format!("{value:.8e}").parse().unwrap_or(value)
}

async fn shape(session: &mut Session, known: &Known, target: &Target, column: &ColumnFacts, rows: u64) -> Result<Shape, PgError> {
    if known.is_redacted(&target.table, &column.name) {
        return Ok(Shape::Unknown("its values are personal".into()));
    }
    let plain = ["boolean", "text", "character varying", "character", "name", "uuid", "\"char\"", "citext"].contains(&column.base_type.as_str());
    if !is_number(column) && !plain && !column.is_enum {
        return Ok(Shape::Unknown(format!("no spread is known of {}", column.base_type)));
    }
    let name = format!("t.{}", ident(&column.name));
    let distinct = known.evidence(&target.table).and_then(|e| e.distinct.get(&column.name)).copied().unwrap_or(0.0);
    if distinct <= 2.0 * float(VALUES as u64) {
        let from = target.selection(Some(&format!("{name} is not null")));
        let sql = format!("select v::text, n::text from (select {name} as v, count(*) as n {from} group by 1) q limit {}", VALUES + 1);
        match session.rows(&sql).await? {
            Ok(found) if found.len() <= VALUES => {
                let mut values: Vec<(String, u64)> = found.iter().map(|row| (row.get(0), row.get::<_, &str>(1).parse().unwrap_or(0))).collect();
                values.sort();
                return Ok(Shape::Values(values));
            }
            Ok(_) => {}
            Err(refusal) => return Ok(Shape::Unknown(refusal.why)),
        }
    }
    if !is_number(column) {
        return Ok(Shape::Unknown(format!("it has more than {VALUES} different values")));
    }
    let edges = match edges(session, target, &name, column, rows).await? {
        Ok(edges) => edges,
        Err(why) => return Ok(Shape::Unknown(why)),
    };
    let by = bin(&name, &edges);
    let sql = format!("select b::text, n::text from (select {by} as b, count(*) as n {} group by 1) q where b >= 0", target.selection(None));
    Ok(match session.rows(&sql).await? {
        Ok(found) => {
            let mut counts = vec![0; edges.len() + 1];
            for row in found {
                let at: usize = row.get::<_, &str>(0).parse().unwrap_or(usize::MAX);
                if let Some(count) = counts.get_mut(at) {
                    *count = row.get::<_, &str>(1).parse().unwrap_or(0);
                }
            }
            Shape::Bins { edges, counts }
        }
        Err(refusal) => Shape::Unknown(refusal.why),
    })
}

/// The 99 percentiles, each once.
async fn edges(session: &mut Session, target: &Target, name: &str, column: &ColumnFacts, rows: u64) -> Result<Result<Vec<f64>, String>, PgError> {
    let mut from = target.selection(Some(&finite(name, column)));
    if rows > MANY {
        // The same blocks for the same table.
        let part = 100.0 * float(SAMPLE) / float(rows);
        from = from.replacen(" t where", &format!(" t tablesample system ({part}) repeatable (1) where"), 1);
    }
    let percents: Vec<String> = (1..100).map(|i| format!("{}", f64::from(i) / 100.0)).collect();
    let sql = format!("select array_to_string(percentile_disc(array[{}]) within group (order by {name}::float8), ' ') {from}", percents.join(", "));
    let text = match session.row(&sql).await? {
        Ok(row) => row.into_iter().next().flatten().unwrap_or_default(),
        Err(refusal) => return Ok(Err(refusal.why)),
    };
    let mut edges: Vec<f64> = text.split(' ').filter_map(|n| n.parse().ok()).collect();
    edges.dedup();
    Ok(if edges.is_empty() { Err("it has no finite value".into()) } else { Ok(edges) })
}
