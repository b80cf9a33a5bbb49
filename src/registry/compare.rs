//! Two versions side by side.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value as Json;

use super::version::Version;

/// What differs between two versions.
#[derive(Debug, Clone, Serialize)]
pub struct Differing {
    pub what: String,
    pub one: Option<Json>,
    pub other: Option<Json>,
}

fn facts(version: &Version) -> BTreeMap<String, Json> {
    let mut facts = BTreeMap::new();
    let mut add = |name: &str, value: Option<Json>| {
        if let Some(value) = value.filter(|v| !v.is_null()) {
            facts.insert(name.to_owned(), value);
        }
    };
    let text = |text: &Option<String>| text.clone().map(Json::from);
    add("label", Some(version.label.clone().into()));
    add("artifact", text(&version.artifact_sha256));
    add("artifact bytes", version.artifact_bytes.map(Json::from));
    add("framework", text(&version.framework));
    add("commit", text(&version.git_sha));
    add("schema revision", text(&version.schema_revision));
    add("schema digest", text(&version.schema_digest));
    add("database", text(&version.database));
    add("gates passed", version.gates_passed.map(Json::from));
    add("signature", version.signature.clone());
    for (name, value) in &version.params {
        add(&format!("params.{name}"), Some(value.clone()));
    }
    for data in &version.datasets {
        add(&format!("data.{}", data.name), Some(data.md5.clone().unwrap_or_else(|| data.content.clone()).into()));
        add(&format!("data.{}.rows", data.name), data.rows.map(Json::from));
    }
    for (name, value) in &version.metrics {
        add(&format!("metrics.{name}"), value.map(Json::from));
    }
    facts
}

/// What is not the same, by name.
pub fn differing(one: &Version, other: &Version) -> Vec<Differing> {
    let (ones, others) = (facts(one), facts(other));
    let names: BTreeSet<&String> = ones.keys().chain(others.keys()).collect();
    let pair = |name: &&String| ones.get(*name) != others.get(*name);
    names
        .into_iter()
        .filter(pair)
        .map(|name| Differing { what: name.clone(), one: ones.get(name).cloned(), other: others.get(name).cloned() })
        .collect()
}

/// Rows for a table: every metric of both, and whatever else differs; digests as people read them.
pub fn compared(one: &Version, other: &Version) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for (name, value) in &one.metrics {
        if let (Some(value), Some(Some(before))) = (value, other.metrics.get(name)) {
            rows.push(vec![name.clone(), number(*value), number(*before), signed(value - before)]);
        }
    }
    for differing in differing(one, other).into_iter().filter(|d| !d.what.starts_with("metrics.") || d.one.is_none() || d.other.is_none()) {
        rows.push(vec![differing.what, shown(differing.one.as_ref()), shown(differing.other.as_ref()), String::new()]);
    }
    rows
}

pub fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { value.to_string() } else { format!("{value:.4}") }
}

fn signed(change: f64) -> String {
    if change == 0.0 { "=".into() } else { format!("{}{}", if change > 0.0 { "+" } else { "−" }, number(change.abs())) }
}

fn shown(value: Option<&Json>) -> String {
    let text = match value {
        None => "–".to_owned(),
        Some(Json::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    if text.chars().count() > 40 { text.chars().take(12).chain(['…']).collect() } else { text }
}
