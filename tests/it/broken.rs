use serde_json::Value as Json;

use crate::support::bin::{Ended, Mlops};
use crate::support::project::{self, Project, outcome};
use crate::support::server::Db;

/// Runs a fixture of `fixtures/broken` as its `expect.json` says, and holds it to that.
fn holds(name: &str) {
    let project = project::copy(&format!("fixtures/broken/{name}"));
    let expect: Json = serde_json::from_str(&project.read("expect.json")).expect("expect.json");
    let db = Db::new();
    let url = if expect["needs"] == "password" { db.url_with("wrong-password") } else { db.url() };
    let ended = Mlops::new(project.path()).args(["run"]).env("DATABASE_URL", &url).run();
    let code = i32::try_from(expect["exit"].as_i64().expect("exit")).expect("exit");
    let ended = ended.expect(code);
    for text in expect["says"].as_array().expect("says") {
        let text = text.as_str().expect("text");
        assert!(ended.out.contains(text) || ended.err.contains(text), "{text:?} is not in\n{}\n{}", ended.out, ended.err);
    }
    reported(&project, &expect["report"], &ended);
    let tables = |key: &str| expect[key].as_array().into_iter().flatten().map(|t| t.as_str().expect("table").to_owned()).collect::<Vec<_>>();
    for table in tables("absent_tables") {
        assert!(!db.has_table(&table), "{table} was left behind");
    }
    for table in tables("present_tables") {
        assert!(db.has_table(&table), "{table} is gone");
    }
}

/// Files are complete or absent, and the outcome says what is expected.
fn reported(project: &Project, expect: &Json, ended: &Ended) {
    let files = ["report.json", "junit.xml", "report.md", "outputs.env"];
    if expect.is_null() {
        assert!(!project.has("mlops-out"), "something was written although nothing should have been touched");
        return;
    }
    let report = project.report();
    assert_eq!(report["exit_code"], ended.code);
    let text = |key: &str| expect[key].as_str().expect(key);
    let found = outcome(&report, text("stage"), text("subject"), text("name"));
    assert_eq!(found["status"], expect["status"]);
    assert!(found["message"].as_str().expect("message").contains(text("message")), "{found:#}");
    for file in files {
        assert!(!project.read(&format!("mlops-out/{file}")).is_empty(), "{file} is empty");
    }
    assert!(project.read("mlops-out/junit.xml").trim_end().ends_with("</testsuites>"));
    let status = text("status");
    let element = if status == "broken" { "<error" } else { "<failure" };
    assert!(project.read("mlops-out/junit.xml").contains(element));
    // A gate that did not pass lets nothing through.
    assert!(!project.has("mlops-out/deploy"));
}

macro_rules! variants {
    ($($test:ident $name:literal),+ $(,)?) => {
        $(#[test]
        fn $test() {
            holds($name);
        })+

        #[test]
        fn every_folder_has_its_test() {
            let mut folders: Vec<_> = std::fs::read_dir(crate::support::root().join("fixtures/broken"))
                .expect("folder")
                .map(|e| e.expect("entry"))
                .filter(|e| e.path().is_dir())
                .map(|e| e.file_name().into_string().expect("name"))
                .collect();
            folders.sort();
            let mut named = vec![$($name.to_owned()),+];
            named.sort();
            assert_eq!(folders, named);
        }
    };
}

variants! {
    typo_in_key "typo-in-key",
    unknown_table "unknown-table",
    wrong_type "wrong-type",
    duplicate_key_rows "duplicate-key-rows",
    null_in_critical_column "null-in-critical-column",
    orphan_reference "orphan-reference",
    stale_data "stale-data",
    failing_metric "failing-metric",
    missing_predictions "missing-predictions",
    failing_migration "failing-migration",
    wrong_password "wrong-password",
    unreachable_host "unreachable-host",
}
