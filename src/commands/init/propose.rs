//! From what was found to what is asked for: bounds that hold today and leave room for tomorrow.

use serde_json::{Map, Value as Json, json};

use super::database::Found;
use super::repository::Repository;
use crate::cli::Platform;
use crate::profile::{ColumnProfile, Numbers, Shape, TableProfile};
use crate::secret::is_secret_key;
use crate::units::count;

/// Values of a column that are few enough to be all of them.
const VALUES: usize = 12;
/// Rows for each of them before one may think so.
const EACH: u64 = 10;
/// Characters of a value that is a word.
const WORD: usize = 64;
const PRIVATE: [&str; 14] =
    ["mail", "phone", "address", "street", "zip", "postcode", "ssn", "birth", "iban", "card", "user", "customer", "person", "secret"];
/// Of the span, beyond its ends.
const ROOM: f64 = 0.2;

/// What the template `mlops.yml` shows. `Err`: there is nothing to begin with.
pub(super) fn proposal(repository: &Repository, found: Option<&Found>, platform: Platform) -> Result<Json, String> {
    let tables: Vec<Json> = found.map(tables).unwrap_or_default();
    let seeds = seeds(repository, found);
    let name = slug(&repository.name);
    let predictions = repository.predictions.as_ref().map(|[file, label, score]| json!({"file": file, "label": label, "score": score}));
    let sha = if platform == Platform::Gitlab { "CI_COMMIT_SHA" } else { "GITHUB_SHA" };
    if tables.is_empty() && repository.migrations.is_none() && predictions.is_none() && repository.artifact.is_none() {
        return Err("there is nothing to begin with: no folder of migrations (db/migrations, migrations, …), no model, no predictions; \
                    with --database-url the gates come from the tables of a database"
            .into());
    }
    Ok(json!({
        "project": repository.name, "migrations": repository.migrations, "seeds": seeds,
        "gates": !tables.is_empty() || predictions.is_some(), "tables": tables, "predictions": predictions,
        "model": name, "artifact": repository.artifact, "version": format!("${{{sha}:-dev}}"),
    }))
}

/// A table with rows is not seeded: its rows would give way to those of the file.
fn seeds(repository: &Repository, found: Option<&Found>) -> Vec<Json> {
    let made = |table: &String| repository.tables.iter().any(|known| known == table);
    let empty = |table: &String| found.is_none_or(|f| f.profile.tables.get(table).is_none_or(|t| t.rows == 0));
    let mut tables: Vec<&String> = Vec::new();
    let mut seeds = Vec::new();
    for (table, file) in repository.data.iter().filter(|(table, _)| made(table) && empty(table)) {
        if !tables.contains(&table) {
            tables.push(table);
            seeds.push(json!({"table": table, "file": file}));
        }
    }
    seeds
}

fn tables(found: &Found) -> Vec<Json> {
    found.profile.tables.iter().map(|(name, table)| gates(name, table, found)).collect()
}

fn gates(name: &str, table: &TableProfile, found: &Found) -> Json {
    let none = Vec::new();
    let keys = found.keys.get(name).unwrap_or(&none);
    let several: Vec<&Vec<String>> = keys.iter().filter(|key| key.len() > 1 && table.rows > 0).collect();
    let columns: Vec<Json> =
        table.columns.iter().map(|column| json!({"name": column.name, "checks": checks(name, column, table.rows, keys, found)})).collect();
    json!({
        "name": name, "rows": (table.rows > 1).then_some(table.rows / 2), "found": count(table.rows), "unique": several, "columns": columns,
    })
}

fn checks(table: &str, column: &ColumnProfile, rows: u64, keys: &[Vec<String>], found: &Found) -> Json {
    let mut checks = Map::from_iter([("type".to_owned(), json!(column.type_name))]);
    let is_key = keys.iter().any(|key| key.len() == 1 && key[0] == column.name);
    match column.nulls {
        _ if rows == 0 => {}
        0 => drop(checks.insert("not_null".into(), json!(true))),
        nulls => {
            let share = 100.0 * crate::stats::float(nulls) / crate::stats::float(rows);
            // Of a column that is mostly empty nothing is known.
            if share < 50.0 {
                checks.insert("nulls".into(), json!({"max": format!("{:.0}%", (share * 1.5).ceil().max(1.0))}));
            }
        }
    }
    if is_key && rows > 0 {
        checks.insert("unique".into(), json!(true));
    }
    let target = found.references.get(&(table.to_owned(), column.name.clone()));
    if let Some(target) = target {
        checks.insert("references".into(), json!(target));
    }
    let in_a_key = target.is_some() || keys.iter().any(|key| key.contains(&column.name));
    match (&column.shape, column.numbers) {
        (Shape::Values(values), None) if is_text(&column.type_name) && !in_a_key && few(values, rows) && !is_private(&column.name) => {
            checks.insert("in".into(), json!(values.iter().map(|(value, _)| value).collect::<Vec<_>>()));
        }
        (_, Some(numbers)) if !in_a_key && is_spread(numbers) && !found.infinite.contains(&(table.to_owned(), column.name.clone())) => {
            checks.insert("range".into(), range(numbers, is_whole(&column.type_name)));
        }
        _ => {}
    }
    Json::Object(checks)
}

fn is_text(kind: &str) -> bool {
    kind == "text" || kind.starts_with("character")
}

fn is_whole(kind: &str) -> bool {
    ["smallint", "integer", "bigint"].contains(&kind)
}

/// Short words that come again and again; what looks like a variable would be taken for one.
fn few(values: &[(String, u64)], rows: u64) -> bool {
    let word = |(value, _): &(String, u64)| value.chars().count() <= WORD && !value.contains("${") && !value.contains(char::is_control);
    (1..=VALUES).contains(&values.len()) && rows >= EACH * values.len() as u64 && values.iter().all(word)
}

/// What is somebody's, or a secret, does not go into a repository.
fn is_private(column: &str) -> bool {
    let name = column.to_lowercase();
    is_secret_key(&name) || PRIVATE.iter().any(|word| name.contains(word))
}

/// Numbers of a size that a range in a file can say.
fn is_spread(numbers: Numbers) -> bool {
    let Numbers { min, max, nan, .. } = numbers;
    max > min && nan == 0 && [min, max].iter().all(|v| *v == 0.0 || (1e-9..1e15).contains(&v.abs()))
}

/// What lies on one side of zero stays there.
fn range(numbers: Numbers, whole: bool) -> Json {
    let Numbers { min, max, .. } = numbers;
    let room = ROOM * (max - min);
    let low = if min >= 0.0 { (min - room).max(0.0) } else { min - room };
    let high = if max <= 0.0 { (max + room).min(0.0) } else { max + room };
    json!([rounded(low, whole, f64::floor), rounded(high, whole, f64::ceil)])
}

/// To two digits, outwards.
fn rounded(value: f64, whole: bool, outwards: fn(f64) -> f64) -> Json {
    if value == 0.0 {
        return json!(0);
    }
    let step = 10f64.powf(value.abs().log10().floor() - 1.0).max(if whole { 1.0 } else { 0.0 });
    let rounded = outwards(value / step) * step;
    // Three hundred and not 299.99999999999994.
    let text = format!("{rounded:.*}", usize::from(step < 1.0) * 12);
    let number: f64 = text.parse().unwrap_or(rounded);
    if number.fract() == 0.0 && number.abs() < 1e15 { serde_json::from_str(&format!("{number:.0}")).unwrap_or(json!(number)) } else { json!(number) }
}

/// Lower case, with hyphens: a name for a model and for Kubernetes.
fn slug(name: &str) -> String {
    let plain: String = name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let joined = plain.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    if joined.starts_with(|c: char| c.is_ascii_alphabetic()) { joined } else { format!("model-{joined}").trim_end_matches('-').to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_round_and_hold_what_was_found() {
        for (min, max, whole, expected) in [
            (0.0, 1.0, false, json!([0, 1.2])),
            (0.0, 1.0, true, json!([0, 2])),
            (-43.0, 1301.0, true, json!([-320, 1600])),
            (80.0, 4983.0, false, json!([0, 6000])),
            (0.0013, 0.0087, false, json!([0, 0.011])),
            (-9.0, -1.0, true, json!([-11, 0])),
        ] {
            let found = range(Numbers { min, max, mean: 0.0, stddev: 0.0, nan: 0 }, whole);
            assert_eq!(found, expected, "{min} {max}");
        }
    }

    #[test]
    fn a_name_is_one_for_kubernetes_too() {
        assert_eq!([slug("My Model_v2"), slug("42"), slug("--")], ["my-model-v2", "model-42", "model"]);
    }
}
