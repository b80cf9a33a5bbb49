//! Projects to run in: copies of the fixtures, or written by a test.

use std::fs;
use std::path::Path;

use serde_json::Value as Json;
use tempfile::TempDir;

/// A folder that is gone after the test.
pub struct Project(TempDir);

/// A copy of the example.
pub fn flights() -> Project {
    copy("fixtures/flights")
}

/// A copy of a fixture.
pub fn copy(fixture: &str) -> Project {
    let dir = tempfile::tempdir().expect("folder");
    copy_dir(&super::root().join(fixture), dir.path());
    Project(dir)
}

/// Files as the test writes them.
pub fn with(files: &[(&str, &str)]) -> Project {
    let project = Project(tempfile::tempdir().expect("folder"));
    for (name, text) in files {
        project.write(name, text);
    }
    project
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("folder");
    for entry in fs::read_dir(from).expect("fixture") {
        let entry = entry.expect("entry");
        let name = entry.file_name();
        // What a run by hand left in the checkout is no part of the fixture.
        if ["mlops-out", "training.parquet"].iter().any(|skip| name.to_string_lossy().starts_with(skip)) {
            continue;
        }
        let target = to.join(&name);
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copy");
        }
    }
}

impl Project {
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        fs::write(path, text).expect("write");
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub fn has(&self, name: &str) -> bool {
        self.path().join(name).exists()
    }

    /// Changes a text in a file; the text must be there.
    pub fn replace(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{from:?} is not in {name}");
        self.write(name, &text.replace(from, to));
    }

    pub fn report(&self) -> Json {
        serde_json::from_str(&self.read("mlops-out/report.json")).expect("report.json")
    }
}

/// The outcome of a report with this stage, subject and name.
#[track_caller]
pub fn outcome<'a>(report: &'a Json, stage: &str, subject: &str, name: &str) -> &'a Json {
    let stages = report["stages"].as_array().expect("stages");
    let all = stages.iter().filter(|s| s["name"] == stage).flat_map(|s| s["outcomes"].as_array().expect("outcomes"));
    let found: Vec<_> = all.filter(|o| o["subject"] == subject && o["name"] == name).collect();
    assert!(!found.is_empty(), "no outcome {stage} {subject} {name} in {report:#}");
    found[0]
}
