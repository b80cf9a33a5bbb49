//! Imports go down only; neighbours on one floor are strangers; a client crate has one home.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::root;

/// The floors, and who shares one.
const FLOORS: [(&str, u8); 27] = [
    ("lib", 5),
    ("main", 5),
    ("cli", 5),
    ("commands", 5),
    ("pipeline", 4),
    ("stages", 3),
    ("report", 3),
    ("migrate", 2),
    ("seed", 2),
    ("checks", 2),
    ("quality", 2),
    ("dataset", 2),
    ("registry", 2),
    ("deploy", 2),
    ("endpoint", 2),
    ("vitals", 2),
    ("config", 1),
    ("ports", 1),
    ("render", 1),
    ("onnx", 1),
    ("bounds", 0),
    ("catalogue", 0),
    ("column", 0),
    ("mistakes", 0),
    ("names", 0),
    ("node", 0),
    ("outcome", 0),
];
const WORDS: [&str; 8] = ["picture", "profile", "runner", "scalar", "secret", "stats", "tls", "units"];

/// What a floor may not use although it lies lower.
const NOT: [(&str, &str); 3] = [("report", "config"), ("stages", "config"), ("deploy", "ports")];

/// Client crates and their homes.
const HOMES: [(&str, &[&str]); 17] = [
    ("statrs", &["stats"]),
    ("tokio_postgres", &["ports/postgres", "migrate", "checks", "dataset", "registry", "seed", "stages", "vitals"]),
    ("deadpool_postgres", &["ports/postgres"]),
    ("polars", &["ports/frame", "quality"]),
    ("parquet", &["seed/source", "dataset", "ports/parquet", "quality/source"]),
    ("arrow_array", &["seed/source/parquet", "dataset", "quality/source"]),
    ("prost", &["onnx"]),
    ("object_store", &["ports/objects"]),
    ("octocrab", &["ports/github"]),
    ("prometheus_client", &["report/metrics"]),
    ("reqwest", &["ports"]),
    ("handlebars", &["render"]),
    ("quick_junit", &["report/junit"]),
    ("smartcore", &["quality/gates/trained"]),
    ("kuva", &["report/draw"]),
    ("clap", &["cli", "commands/mod", "commands/manual"]),
    ("indicatif", &["commands/progress", "commands/data/list", "stages"]),
];

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).expect("src").map(|e| e.expect("entry").path()) {
        if entry.is_dir() { all.extend(sources(&entry)) } else { all.push(entry) }
    }
    all
}

fn floor(module: &str) -> u8 {
    let known = FLOORS.iter().copied().chain(WORDS.map(|word| (word, 0)));
    known.into_iter().find(|(name, _)| *name == module).unwrap_or_else(|| panic!("{module} has no floor: add it to the table")).1
}

/// The first segments of every `crate::…` path, also of `crate::{a, b}`.
fn uses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in text.split("crate::").skip(1) {
        let names = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default().split(',').map(str::trim).collect(),
            None => vec![rest],
        };
        let first = |name: &str| name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        found.extend(names.into_iter().map(first).filter(|name| !name.is_empty()));
    }
    found
}

#[test]
fn the_floors_hold() {
    let src = root().join("src");
    let mut wrong = Vec::new();
    let mut looked_at = 0;
    for path in sources(&src) {
        let text = fs::read_to_string(&path).expect("source");
        let place = path.strip_prefix(&src).expect("below src").with_extension("").display().to_string();
        let module = place.split('/').next().expect("module").to_owned();
        for used in uses(&text).into_iter().filter(|used| *used != module && *used != "run") {
            looked_at += 1;
            let (here, there) = (floor(&module), floor(&used));
            // Words build on words, and the shell is one room.
            let neighbours = here == there && here != 0 && here != 5;
            if there > here || neighbours || NOT.contains(&(module.as_str(), used.as_str())) {
                wrong.push(format!("{place} (floor {here}) uses crate::{used} (floor {there})"));
            }
        }
        for (client, homes) in HOMES {
            if text.contains(&format!("{client}::")) && !homes.iter().any(|home| place.starts_with(home)) {
                wrong.push(format!("{place} uses {client}, whose home is {}", homes.join(", ")));
            }
        }
        if module == "ports" {
            let own = place.split('/').nth(1).expect("port");
            let others = text.split("crate::ports::").skip(1).filter(|rest| !rest.starts_with(own));
            wrong.extend(others.map(|rest| format!("{place} uses the port {}", rest.split([':', ';']).next().unwrap_or_default())));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(looked_at > 150, "only {looked_at} imports were seen");
}
