//! What versions there are, and where one comes from.

use serde_json::json;

use super::{Data, Failure, Outcome, Store, Version, say};
use crate::outcome::exit;

/// Versions that are shown of each dataset.
const SHOWN: usize = 5;

pub(super) fn list(data: &Data<'_>, all: bool) -> Outcome {
    let store = data.store()?;
    let mut json_rows = Vec::new();
    let mut text = String::new();
    for (name, dataset) in &data.datasets {
        let now = store.version(dataset).map_err(Failure::broken)?;
        let in_place = match &now {
            Some(version) => store.is_in_place(dataset, &version.pointed).map_err(Failure::broken)?,
            None => false,
        };
        let state = match (&now, in_place) {
            (None, _) => "no version yet",
            (_, true) => "in place",
            (_, false) => "not in place",
        };
        let said = now.as_ref().map(|v| format!(", {}", short(v))).unwrap_or_default();
        text.push_str(&format!("{name}  {}  {state}{said}\n", dataset.out));
        // Outside of git there is no history, and that is no mistake.
        let history = data.git().history(&Store::pointer(dataset)).unwrap_or_default();
        let mut versions = Vec::new();
        for [commit, day, subject] in history.iter().take(if all { usize::MAX } else { SHOWN }) {
            let Ok(version) = data.version(&store, name, Some(commit)) else { continue };
            let cached = store.is_cached(&version.pointed).map_err(Failure::broken)?;
            let place = if cached { "cached" } else { "not cached" };
            text.push_str(&format!("    {commit}  {day}  {}  {place}  {subject}\n", short(&version)));
            versions.push(json!({"commit": commit, "day": day, "subject": subject, "md5": version.pointed.md5(), "bytes": version.pointed.bytes(), "meta": version.meta, "cached": cached}));
        }
        let now = now.map(|v| json!({"md5": v.pointed.md5(), "bytes": v.pointed.bytes(), "meta": v.meta}));
        json_rows.push(json!({"name": name, "out": &*dataset.out, "now": now, "in_place": in_place, "versions": versions}));
    }
    say(&if data.shell.json() { format!("{:#}\n", json!({"datasets": json_rows})) } else { text });
    Ok(exit::PASSED)
}

fn short(version: &Version) -> String {
    let rows = version.meta.as_ref().map(|m| format!("{} rows, ", m.rows)).unwrap_or_default();
    let revision = version.meta.as_ref().and_then(|m| m.schema_revision.as_ref()).map(|r| format!(", schema {r}")).unwrap_or_default();
    format!("{rows}{}, md5 {}…{revision}", indicatif::HumanBytes(version.pointed.bytes()), &version.pointed.md5()[..12])
}

pub(super) fn lineage(data: &Data<'_>, name: &str) -> Outcome {
    let store = data.store()?;
    let version = data.version(&store, name, None)?;
    let meta =
        version.meta.as_ref().ok_or_else(|| Failure::broken(format!("the pointer of `{name}` says nothing about where its rows come from")))?;
    let dataset = data.dataset(name)?;
    let json = crate::dataset::lineage(name, dataset, meta, version.pointed.md5());
    say(&format!("{json:#}\n"));
    Ok(exit::PASSED)
}
