//! Which tables and columns a query reads, as its plan tells: `EXPLAIN (VERBOSE)` names the table of every column.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;
use tokio_postgres::Transaction;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Origins {
    /// `schema.table`, in order.
    pub(super) tables: Vec<String>,
    /// A column of the query: `schema.table.column`.
    pub(super) columns: BTreeMap<String, Vec<String>>,
}

/// `names`: the query's columns in their order. A plan that cannot be read says nothing: lineage is no reason to fail.
pub(super) async fn origins(session: &mut Transaction<'_>, query: &str, names: &[&str]) -> Origins {
    let Ok(savepoint) = session.transaction().await else { return Origins::default() };
    // A plan of one table alone leaves its name out of the columns; around it there are two.
    let around = format!("explain (verbose, format json) select * from ({query}\n) {AROUND}");
    let Ok(rows) = savepoint.query(&around, &[]).await else { return Origins::default() };
    let Some(plan) = rows.first().and_then(|row| row.try_get::<_, Value>(0).ok()) else { return Origins::default() };
    of_plan(&plan[0]["Plan"], names)
}

/// `alias.column`, either of them in quotes where they have to be.
static REFERENCE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?:"((?:[^"]|"")+)"|([A-Za-z_][A-Za-z0-9_$]*))\.(?:"((?:[^"]|"")+)"|([A-Za-z_][A-Za-z0-9_$]*))"#).ok());

fn of_plan(plan: &Value, names: &[&str]) -> Origins {
    let mut aliases = BTreeMap::new();
    relations(plan, &mut aliases);
    let mut tables: Vec<String> = aliases.values().cloned().collect();
    tables.sort();
    tables.dedup();
    let outputs = inside(plan).unwrap_or(plan)["Output"].as_array().map(Vec::as_slice).unwrap_or_default();
    let columns = names.iter().zip(outputs).map(|(name, output)| ((*name).to_owned(), references(output.as_str().unwrap_or_default(), &aliases)));
    Origins { columns: columns.collect(), tables }
}

const AROUND: &str = "mlops_rows";

/// What lies in the query around ours, where the planner has kept it apart.
fn inside(plan: &Value) -> Option<&Value> {
    let children = || plan["Plans"].as_array().into_iter().flatten();
    if plan["Node Type"] == "Subquery Scan" && plan["Alias"] == AROUND { children().next() } else { children().find_map(inside) }
}

fn relations(plan: &Value, aliases: &mut BTreeMap<String, String>) {
    if let (Some(schema), Some(table), Some(alias)) = (plan["Schema"].as_str(), plan["Relation Name"].as_str(), plan["Alias"].as_str()) {
        aliases.insert(alias.to_owned(), format!("{schema}.{table}"));
    }
    plan["Plans"].as_array().into_iter().flatten().for_each(|child| relations(child, aliases));
}

fn references(expression: &str, aliases: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for capture in REFERENCE.iter().flat_map(|regex| regex.captures_iter(expression)) {
        let part = |quoted: usize, plain: usize| {
            capture.get(quoted).map(|m| m.as_str().replace("\"\"", "\"")).or_else(|| capture.get(plain).map(|m| m.as_str().to_owned()))
        };
        if let (Some(alias), Some(column)) = (part(1, 2), part(3, 4))
            && let Some(table) = aliases.get(&alias)
        {
            found.push(format!("{table}.{column}"));
        }
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_followed_to_their_tables() {
        let plan = json!({
            "Node Type": "Hash Join",
            "Output": ["f.id", "(f.arr_delay > w.\"Wind \"\"x\"\"\")", "1", "cte.x"],
            "Plans": [
                {"Node Type": "Seq Scan", "Schema": "public", "Relation Name": "flights", "Alias": "f"},
                {"Node Type": "Hash", "Plans": [{"Node Type": "Seq Scan", "Schema": "raw", "Relation Name": "weather", "Alias": "w"}]},
            ],
        });
        let found = of_plan(&plan, &["id", "late", "one", "x"]);
        assert_eq!(found.tables, ["public.flights", "raw.weather"]);
        assert_eq!(found.columns["id"], ["public.flights.id"]);
        assert_eq!(found.columns["late"], ["public.flights.arr_delay", "raw.weather.Wind \"x\""]);
        assert!(found.columns["one"].is_empty() && found.columns["x"].is_empty());
    }
}
