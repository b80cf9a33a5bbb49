use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::support::bin::Mlops;
use crate::support::root;

fn entries() -> Vec<Json> {
    let json = Mlops::new(&root()).args(["explain", "--format", "json"]).run().expect(0).json();
    json.as_array().expect("list").clone()
}

#[test]
fn every_entry_has_one_name_everywhere_and_documentation() {
    let mut seen = BTreeSet::new();
    for entry in entries() {
        let text = |key: &str| entry[key].as_str().expect(key).to_owned();
        let (family, name, doc) = (text("family"), text("name"), text("doc"));
        assert!(seen.insert((family.clone(), name.clone())), "{family} {name} is there twice");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name}");
        assert!(doc.len() > 20 && doc.contains('.'), "{family} {name} says of itself only {doc:?}");
        let folder = match family.as_str() {
            "check" => "checks",
            "metric" => "quality/metrics",
            "gate" => "quality/gates",
            "stage" => "stages",
            "sink" => "report",
            other => panic!("a new family {other}"),
        };
        let file = root().join(format!("src/{folder}/{name}.rs"));
        assert!(file.is_file() || root().join(format!("src/{folder}/{name}/mod.rs")).is_file(), "{} is not there", file.display());
        for setting in entry["settings"].as_array().expect("settings") {
            assert!(setting["doc"].as_str().is_some_and(|d| !d.is_empty()), "{family} {name}: {setting} has no documentation");
        }
    }
    assert!(seen.len() >= 35, "only {} entries", seen.len());
}

/// A check without a case of its own could be wrong for ever.
#[test]
fn every_check_and_metric_is_tested_where_it_stands() {
    for entry in entries().iter().filter(|e| e["family"] == "check") {
        let name = entry["name"].as_str().expect("name");
        let source = std::fs::read_to_string(root().join(format!("src/checks/{name}.rs"))).expect("source");
        assert!(source.contains("#[cfg(test)]") || name == "exists", "{name} has no test");
    }
    let golden = std::fs::read_to_string(root().join("fixtures/golden/quality.json")).expect("golden");
    for entry in entries().iter().filter(|e| e["family"] == "metric") {
        let name = entry["name"].as_str().expect("name");
        let stem = name.replace("top_k_", "top_");
        let recorded = golden.contains(&format!("\"{name}")) || golden.contains(&format!("\"{}", stem.replace("top_", "top_2_")));
        assert!(recorded, "scikit-learn's value of {name} is not recorded");
    }
}
