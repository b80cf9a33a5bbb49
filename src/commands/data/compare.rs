//! `mlops data diff`.

use super::{Data, Failure, Outcome, Store, say};
use crate::dataset::{ColumnDiff, Diff, Keys, Rows, Side, diff};
use crate::outcome::exit;

pub(super) fn compare(data: &Data<'_>, before: &str, after: Option<&str>, key: &[String]) -> Outcome {
    let store = data.store()?;
    let after = match after {
        Some(after) => after.to_owned(),
        None => before
            .split_once('@')
            .map(|(name, _)| name.to_owned())
            .ok_or_else(|| Failure::usage(format!("`{before}` is compared with what? Name a commit (`{before}@HEAD~1`), or two sides")))?,
    };
    let (from, to) = (side(data, &store, before)?, side(data, &store, &after)?);
    let name = before.split('@').next().unwrap_or_default();
    let ordered = data.datasets.get(name).and_then(|d| d.order_by.clone()).unwrap_or_default();
    let key = if key.is_empty() { ordered } else { key.to_vec() };
    let found = diff(&from, &to, &key).map_err(Failure::broken)?;
    if data.shell.json() {
        let json = serde_json::json!({"before": before, "after": after, "diff": found});
        say(&format!("{json:#}\n"));
    } else {
        say(&text(before, &after, &found));
    }
    Ok(exit::PASSED)
}

fn side(data: &Data<'_>, store: &Store<'_>, text: &str) -> Result<Side, Failure> {
    let (name, commit) = text.split_once('@').map_or((text, None), |(name, commit)| (name, Some(commit)));
    if !data.datasets.contains_key(name) && data.loaded.workspace.path(text).is_ok_and(|path| path.is_file()) {
        return Ok(Side::file(data.loaded.workspace.path(text).map_err(Failure::broken)?));
    }
    // The command line may name what lies anywhere.
    if text.starts_with('/') {
        return Ok(Side::file(text.into()));
    }
    let dataset = data.dataset(name)?;
    let version = data.version(store, name, commit)?;
    store.side(dataset, &version.pointed).map_err(Failure::broken)
}

fn text(before: &str, after: &str, diff: &Diff) -> String {
    let [from, to] = diff.rows;
    let mut lines = vec![format!("{before} → {after}"), format!("rows     {from} → {to} ({:+})", i128::from(to) - i128::from(from))];
    let moved: Vec<String> = diff.columns.iter().filter_map(schema).collect();
    lines.push(format!("schema   {}", if moved.is_empty() { "unchanged".into() } else { moved.join("; ") }));
    match &diff.keys {
        Some(keys) => lines.extend(of_keys(keys)),
        None => lines.push("keys     not compared: name them with --key, or write `order_by`".into()),
    }
    lines.push(String::new());
    lines.push(format!("{:24} {:>9} {:>17} {:>27} {:>7} {:>7}", "column", "changed", "nulls", "mean", "ks", "psi"));
    lines.extend(diff.columns.iter().filter(|c| c.types.iter().all(Option::is_some)).map(row));
    lines.join("\n") + "\n"
}

fn schema(column: &ColumnDiff) -> Option<String> {
    let name = &column.name;
    match &column.types {
        [None, Some(kind)] => Some(format!("+ {name} {kind}")),
        [Some(kind), None] => Some(format!("- {name} {kind}")),
        [Some(from), Some(to)] if from != to => Some(format!("{name}: {from} → {to}")),
        _ => None,
    }
}

fn of_keys(keys: &Keys) -> Vec<String> {
    let line = |what: &str, rows: &Rows| {
        let more = if rows.count > rows.examples.len() as u64 { ", …" } else { "" };
        let examples = if rows.examples.is_empty() { String::new() } else { format!(": {}{more}", rows.examples.join("; ")) };
        format!("         {} {what}{examples}", rows.count)
    };
    let mut lines = vec![format!("keys     by {}", keys.columns.join(", "))];
    lines.extend([line("added", &keys.added), line("removed", &keys.removed), line("changed", &keys.changed)]);
    if keys.repeated != [0, 0] {
        lines.push(format!("         the key is not unique: {} and {} rows share one", keys.repeated[0], keys.repeated[1]));
    }
    lines
}

fn row(column: &ColumnDiff) -> String {
    let number = |n: Option<f64>| n.map_or_else(|| "-".to_owned(), |n| format!("{n:.4}"));
    let pair = |a: String, b: String| if a == b { a } else { format!("{a} → {b}") };
    let mean = column.mean.map_or_else(|| "-".to_owned(), |[a, b]| pair(number(a), number(b)));
    let changed = column.changed.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let nulls = pair(column.nulls[0].to_string(), column.nulls[1].to_string());
    format!("{:24} {changed:>9} {nulls:>17} {mean:>27} {:>7} {:>7}", column.name, number(column.ks), number(column.psi))
}
