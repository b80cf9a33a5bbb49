use serde_json::Value as Json;

use crate::support::bin::Mlops;
use crate::support::project;
use crate::support::root;

#[test]
fn help_and_version_are_no_errors_and_a_typo_is_usage() {
    let run = |args: &[&'static str]| Mlops::new(&root()).args(args.iter().copied()).run();
    run(&["--version"]).expect(0).says(env!("CARGO_PKG_VERSION"));
    run(&["--help"]).expect(0).says("Usage: mlops");
    run(&["rnu"]).expect(2).says("unrecognized subcommand");
    run(&["run", "--stages", "chekc"]).expect(2).says("did you mean `check`?");
    run(&["run", "--config", "nowhere.yml"]).expect(2).says("nowhere.yml: no such file");
    run(&[]).expect(2);
    assert_eq!(run(&["run", "--format", "json", "--config", "nowhere.yml"]).expect(2).json()["exit_code"], 2);
}

#[test]
fn plan_and_validate_touch_nothing_and_need_nothing() {
    let project = project::flights();
    let before = crate::support::server::files_below(project.path());
    let run = |args: &[&'static str]| Mlops::new(project.path()).args(args.iter().copied()).env("PATH", "/nonexistent").run();
    let plan = run(&["plan"]).expect(0).out;
    let stages: Vec<&str> = plan.lines().filter(|l| !l.starts_with(' ')).collect();
    assert_eq!(stages, ["connect", "migrate", "seed", "check", "snapshot", "evaluate", "register", "promote", "manifests"]);
    let json = run(&["plan", "--format", "json"]).expect(0).json();
    assert_eq!(json["stages"][2]["needs"], serde_json::json!(["connect", "migrate"]));
    run(&["validate"]).expect(0).says("mlops.yml is valid (environments: staging)");
    assert_eq!(before, crate::support::server::files_below(project.path()));
}

#[test]
fn validate_finds_mistakes_in_every_environment_and_gives_them_as_json() {
    let project = project::flights();
    project.replace("mlops.yml", "scale: {min: 1}}", "scale: {mni: 1}}");
    Mlops::new(project.path()).args(["plan"]).run().expect(0);
    Mlops::new(project.path()).args(["validate"]).run().expect(2).says("unknown key `mni`").says("did you mean `min`?");
    let json = Mlops::new(project.path()).args(["validate", "--format", "json"]).run().expect(2).json();
    assert_eq!(json["mistakes"].as_array().map(Vec::len), Some(1));
    assert!(json["mistakes"][0]["line"].as_u64().is_some_and(|line| line > 80), "{json}");
}

#[test]
fn a_file_that_asks_for_nothing_is_not_green() {
    for text in [
        "version: 1\nproject: p\n",
        "",
        "version: 1\nproject: p\ngates:\n",
        "version: 1\nproject: p\nseed: []\n",
        "version: 1\nproject: p\ngates: {data: {t: {unique: []}}}\n",
    ] {
        let project = project::with(&[("mlops.yml", text)]);
        Mlops::new(project.path()).args(["run"]).run().expect(2);
    }
}

#[test]
fn the_schema_takes_the_example_and_refuses_typos() {
    let run = |of: &'static str| Mlops::new(&root()).args(["schema", of]).run().expect(0).json();
    let schema = jsonschema::draft7::new(&run("config")).expect("a valid schema");
    let read = |text: &str| -> Json { serde_yaml::from_str(text).expect("yaml") };
    let flights = std::fs::read_to_string(root().join("fixtures/flights/mlops.yml")).expect("example");
    let errors: Vec<String> = schema.iter_errors(&read(&flights)).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    for (from, to) in [
        ("project: flight-delays", "projekt: flight-delays"),
        ("rows: {min: 20000, warn: 25000}", "rows: {mni: 20000}"),
        ("carrier: {type: text, not_null: true", "carrier: {type: text, not_nul: true"),
        ("roc_auc: {min: 0.85, warn: 0.88}", "roc_acu: {min: 0.85}"),
        ("nulls: {max: 3%, warn: 1%}", "nulls: {max: 3 percent}"),
        ("dir: db/migrations", "folder: db/migrations"),
        ("scale: {min: 1}}", "scale: {mni: 1}}"),
    ] {
        assert!(flights.contains(from), "{from}");
        assert!(!schema.is_valid(&read(&flights.replace(from, to))), "{to} is accepted");
    }
    let report = jsonschema::draft7::new(&run("report")).expect("a valid schema");
    let project = project::with(&[("mlops.yml", "version: 1\nproject: p\ndeploy: {name: x, image: r/x:1}\n")]);
    Mlops::new(project.path()).args(["run"]).run().expect(0);
    let errors: Vec<String> = report.iter_errors(&project.report()).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn explain_prints_documentation_and_finds_the_nearest_name() {
    let run = |args: &[&'static str]| Mlops::new(&root()).args(args.iter().copied()).run();
    run(&["explain", "fresh"]).expect(0).says("The newest value is not older than this").says("a bare value stands for `max`");
    run(&["explain", "frsh"]).expect(2).says("did you mean `fresh`?");
    run(&["explain"]).expect(0).says("checks").says("metrics").says("stages").says("sinks");
}
