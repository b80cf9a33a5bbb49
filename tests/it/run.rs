use serde_json::Value as Json;

use crate::support::bin::Mlops;
use crate::support::project::{self, outcome};
use crate::support::server::{Db, files_below};

fn statuses(report: &Json) -> Vec<(String, String)> {
    let stages = report["stages"].as_array().expect("stages");
    let text = |v: &Json| v.as_str().expect("text").to_owned();
    stages.iter().map(|s| (text(&s["name"]), text(&s["status"]))).collect()
}

#[test]
fn the_flights_pass_with_their_real_faults_shown() {
    let (project, db) = (project::flights(), Db::new());
    let ended = Mlops::new(project.path()).args(["run"]).env("DATABASE_URL", &db.url()).run().expect(0);
    let report = project.report();
    let expected = [
        ("connect", "passed"),
        ("migrate", "passed"),
        ("seed", "passed"),
        ("check", "warned"),
        ("snapshot", "passed"),
        ("evaluate", "warned"),
        ("register", "passed"),
        ("promote", "passed"),
        ("manifests", "passed"),
    ];
    assert_eq!(statuses(&report), expected.map(|(a, b)| (a.to_owned(), b.to_owned())), "{}", ended.out);
    // What the source really lacks, counted independently when the fixture was made.
    for (subject, name, counted) in [
        ("flights.tailnum", "references", "4,324 of 26,849 rows (16.1%)"),
        ("flights.dest", "references", "680 of 27,004 rows (2.52%)"),
        ("flights", "no_rows (departures without weather)", "52 of 27,004 rows (0.19%)"),
        ("flights.dep_delay", "nulls", "521 of 27,004 rows (1.93%)"),
    ] {
        let found = outcome(&report, "check", subject, name);
        assert_eq!(found["status"], "warned");
        assert!(found["message"].as_str().expect("message").starts_with(counted), "{found:#}");
    }
    // scikit-learn's own numbers for the same predictions.
    for (metric, value) in [("roc_auc", 0.8921), ("log_loss", 0.3161)] {
        let measured = outcome(&report, "evaluate", "delay", metric)["measure"]["value"].as_f64().expect("value");
        assert!((measured - value).abs() < 5e-5, "{metric} is {measured}");
    }
    assert_eq!(db.sql("select count(*), count(distinct tailnum), sum(distance) from flights"), "27004|3148|27188805");
    assert_eq!(
        db.sql("select name, version, label, schema_revision from mlops.model_version v join mlops.model m on m.id = v.model_id"),
        "flight-delay|1|0.1.0|0004"
    );
    assert_eq!(db.sql("select metrics->>'delay.roc_auc' from mlops.model_version").parse::<f64>().map(|v| (v * 1e4).round()), Ok(8921.0));
}

#[test]
fn the_second_run_changes_nothing_and_says_so() {
    let (project, db) = (project::flights(), Db::new());
    let run = || Mlops::new(project.path()).args(["run"]).env("DATABASE_URL", &db.url()).run().expect(0);
    run();
    let tables = "select (select array_agg(t::text order by version) from mlops.migration t), (select array_agg(t::text order by target) from mlops.seed t), \
                  (select array_agg(t::text) from mlops.model_version t), (select array_agg(t::text) from mlops.model t), (select array_agg(xmin::text) from flights)";
    let before = (db.sql(tables), files_below(&project.path().join("data")), files_below(&project.path().join("mlops-out/deploy")));
    run()
        .says("up to date: 4 migrations applied before, nothing to do")
        .says("unchanged: nothing to load")
        .says("1 dataset, unchanged")
        .says("flight-delay is registered already as version 1 (0.1.0), nothing to do")
        .says("version 1 stands in staging already, nothing to do")
        .says("3 files in mlops-out/deploy, 0 changed");
    let after = (db.sql(tables), files_below(&project.path().join("data")), files_below(&project.path().join("mlops-out/deploy")));
    assert_eq!(before, after);
}

#[test]
fn the_snapshot_is_what_md5sum_and_the_database_say() {
    let (project, db) = (project::flights(), Db::flights());
    Mlops::new(project.path()).args(["run", "--stages", "snapshot"]).env("DATABASE_URL", &db.url()).run().expect(0);
    let sum = std::process::Command::new("md5sum").arg("training.parquet").current_dir(project.path().join("data")).output().expect("md5sum");
    let md5 = String::from_utf8_lossy(&sum.stdout).split_whitespace().next().expect("digest").to_owned();
    let pointer = project.read("data/training.parquet.dvc");
    assert!(pointer.contains(&format!("md5: '{md5}'")) && pointer.contains("rows: 26398"), "{pointer}");
    assert_eq!(db.sql("select count(*) from departures"), "26398");
}

#[test]
fn a_failed_gate_stops_what_needs_it_and_nothing_else() {
    let (project, db) = (project::flights(), Db::flights());
    project.replace("mlops.yml", "rows: {min: 20000, warn: 25000}", "rows: {min: 30000}");
    let ended = Mlops::new(project.path()).args(["run"]).env("DATABASE_URL", &db.url()).run().expect(1);
    let report = project.report();
    let found = statuses(&report).into_iter().collect::<std::collections::BTreeMap<_, _>>();
    assert_eq!((found["check"].as_str(), found["evaluate"].as_str()), ("failed", "warned"), "{}", ended.out);
    assert_eq!((found["snapshot"].as_str(), found["register"].as_str(), found["manifests"].as_str()), ("skipped", "skipped", "skipped"));
    assert_eq!(db.sql("select to_regclass('mlops.model_version') is null or (select count(*) = 0 from mlops.model_version)"), "t");
    assert!(!project.has("data/training.parquet") && !project.has("mlops-out/deploy"));
}

#[test]
fn stages_can_be_chosen() {
    let (project, db) = (project::flights(), Db::flights());
    Mlops::new(project.path()).args(["run", "--stages", "check,evaluate"]).env("DATABASE_URL", &db.url()).run().expect(0);
    let names: Vec<_> = statuses(&project.report()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["connect", "check", "evaluate"]);
}

#[test]
fn a_dry_run_writes_nothing_anywhere() {
    let (project, db) = (project::flights(), Db::new());
    let before = files_below(project.path());
    let ended = Mlops::new(project.path()).args(["run", "--dry-run"]).env("DATABASE_URL", &db.url()).run().expect(0);
    ended.says("a throwaway PostgreSQL").says("dry run: nothing was written");
    assert_eq!(before, files_below(project.path()));
    assert!(!db.has_table("flights") && db.sql("select count(*) from pg_namespace where nspname = 'mlops'") == "0");
}

#[test]
fn json_is_all_that_standard_output_carries() {
    let (project, db) = (project::flights(), Db::flights());
    let ended = Mlops::new(project.path()).args(["run", "--format", "json", "--stages", "check"]).env("DATABASE_URL", &db.url()).run().expect(0);
    assert_eq!(ended.json(), project.report());
}

#[test]
fn warnings_can_fail_or_have_their_own_exit_code() {
    let (project, db) = (project::flights(), Db::flights());
    let run = |args: &[&'static str]| {
        let args = ["run", "--stages", "check"].into_iter().chain(args.iter().copied());
        Mlops::new(project.path()).args(args).env("DATABASE_URL", &db.url()).run()
    };
    run(&["--fail-on", "warned"]).expect(1);
    run(&["--warn-exit-code", "10"]).expect(10);
}

#[test]
fn environments_overlay_the_file() {
    let project = project::flights();
    let out = Mlops::new(project.path()).args(["plan", "--environment", "staging"]).run().expect(0).out;
    assert!(out.contains("Deployment and Service ai-ml-staging/flight-delay"), "{out}");
    Mlops::new(project.path()).args(["plan", "--environment", "stagin"]).run().expect(2).says("did you mean `staging`?");
}

#[test]
fn a_server_that_is_lost_in_the_middle_is_broken_not_passed() {
    let db = Db::new();
    let kill = "select pg_terminate_backend(pg_backend_pid())::int";
    let project = project::with(&[(
        "mlops.yml",
        &format!(
            "version: 1\nproject: p\ndatabase: {{url: \"${{DATABASE_URL}}\"}}\ngates:\n  data:\n    t:\n      rows: 1\n      metric: [{{sql: \"{kill}\", min: 0}}]\n"
        ),
    )]);
    db.sql("create table t as select 1 as a");
    Mlops::new(project.path()).args(["run"]).env("DATABASE_URL", &db.url()).run().expect(3).says("checking the data failed");
    assert_eq!(project.report()["verdict"], "broken");
}

#[test]
fn one_bad_query_breaks_one_check_and_an_empty_table_passes_none() {
    let db = Db::new();
    db.sql("create table t (a int, b float8); create table e (a int); insert into t values (1, 'NaN'), (2, 0.5)");
    let gates = "    t:\n      rows: 2\n      no_rows: [{name: bad, sql: select nope from t}, {name: good, sql: select 1 from t where a > 5}]\n      columns:\n        a: {range: [1, 2], unique: true}\n        b: {range: [0, 1]}\n        c: {not_null: true}\n    e:\n      columns: {a: {not_null: true}}\n    f:\n      allow_empty: true\n      columns: {a: {not_null: true}}\n";
    db.sql("create table f (a int)");
    let yaml = format!("version: 1\nproject: p\ndatabase: {{url: \"${{DATABASE_URL}}\"}}\ngates:\n  data:\n{gates}");
    let project = project::with(&[("mlops.yml", &yaml)]);
    Mlops::new(project.path()).args(["run"]).env("DATABASE_URL", &db.url()).run().expect(1);
    let report = project.report();
    let is = |subject: &str, name: &str, status: &str, says: &str| {
        let found = outcome(&report, "check", subject, name);
        assert!(found["status"] == status && found["message"].as_str().expect("message").contains(says), "{found:#}");
    };
    is("t", "no_rows (bad)", "broken", "column \"nope\" does not exist");
    is("t", "no_rows (good)", "passed", "0 of 2 rows");
    is("t.a", "unique", "passed", "0 of 2 rows");
    is("t.b", "range", "failed", "1 NaN");
    is("t", "columns", "failed", "table t has no column `c`");
    is("t.c", "not_null", "skipped", "t.c does not exist");
    is("e.a", "not_null", "failed", "the table is empty");
    is("f.a", "not_null", "passed", "0 of 0 rows");
}

#[test]
fn files_belong_to_whoever_owns_the_workspace() {
    use std::os::unix::fs::{MetadataExt, chown};

    let (project, db) = (project::flights(), Db::flights());
    if nix::unistd::Uid::effective().is_root() {
        chown(project.path(), Some(12_345), Some(12_345)).expect("owner");
    }
    Mlops::new(project.path()).args(["run"]).env("DATABASE_URL", &db.url()).run().expect(0);
    let owner = std::fs::metadata(project.path()).expect("folder").uid();
    for path in
        ["mlops-out", "mlops-out/report.json", "mlops-out/deploy/manifests", "mlops-out/deploy/manifests/service.yaml", "data/training.parquet"]
    {
        assert_eq!(std::fs::metadata(project.path().join(path)).expect(path).uid(), owner, "{path}");
    }
}

#[test]
fn odd_column_names_and_queries_break_nothing_else() {
    let db = Db::new();
    db.sql(
        "create domain positive as int check (value > 0); create table t (n int, q text, r real, b bigint, d positive, at timestamptz); \
            insert into t values (1, 'x', 0.1, 9007199254740993, 1, null), (2, 'y', 0.1, 1, 2, null)",
    );
    let gates = "    t:\n      unique: [[n, q]]\n      no_rows: [{name: parameter, sql: select $1}, {name: comment, sql: \"select 1 from t where n > 5; -- none\"}]\n      \
                 columns:\n        n: {unique: true}\n        q: {in: [x]}\n        r: {range: [0, 0.1]}\n        b: {range: [0, 9007199254740993]}\n        d: {range: [1, 2]}\n";
    let project =
        project::with(&[("mlops.yml", &format!("version: 1\nproject: p\ndatabase: {{url: \"${{DATABASE_URL}}\"}}\ngates:\n  data:\n{gates}"))]);
    Mlops::new(project.path()).args(["run"]).env("DATABASE_URL", &db.url()).run().expect(1);
    let report = project.report();
    let status = |subject: &str, name: &str| outcome(&report, "check", subject, name)["status"].as_str().expect("status").to_owned();
    for (subject, name) in [("t", "unique"), ("t.n", "unique"), ("t.r", "range"), ("t.b", "range"), ("t.d", "range"), ("t", "no_rows (comment)")] {
        assert_eq!(status(subject, name), "passed", "{subject} {name}: {report:#}");
    }
    assert_eq!(status("t", "no_rows (parameter)"), "broken");
    let found = outcome(&report, "check", "t.q", "in");
    assert_eq!((found["status"].as_str(), found["evidence"][0].as_str()), (Some("failed"), Some("{\"n\":2,\"q\":\"y\"}")));
}

#[test]
fn a_dataset_that_fails_leaves_the_last_good_file() {
    let (project, db) = (project::flights(), Db::flights());
    let run = || Mlops::new(project.path()).args(["run", "--stages", "snapshot"]).env("DATABASE_URL", &db.url()).run();
    run().expect(0);
    let before = files_below(&project.path().join("data"));
    project.write("db/training.sql", "select * from departures where false");
    run().expect(1).says("a dataset without rows is no version");
    project.write("db/training.sql", "select nope from departures");
    run().expect(1).says("column \"nope\" does not exist");
    assert_eq!(before, files_below(&project.path().join("data")));
    project.replace("mlops.yml", "datasets:\n", "datasets:\n  again: {table: flights, out: data/training.parquet}\n");
    run().expect(2).says("two datasets write data/training.parquet");
}

#[test]
fn a_run_that_cannot_write_its_report_is_not_green() {
    let project =
        project::with(&[("mlops.yml", "version: 1\nproject: p\nreport: {dir: taken}\ndeploy: {name: x, image: r/x:1}\n"), ("taken", "a file")]);
    let code = Mlops::new(project.path()).args(["run"]).run().code;
    assert_eq!(code, 3);
    let outside = project::with(&[("mlops.yml", "version: 1\nproject: p\nreport: {dir: ../x}\ndeploy: {name: x, image: r/x:1}\n")]);
    Mlops::new(outside.path()).args(["run"]).run().expect(2).says("leaves the workspace");
}

#[test]
fn a_broken_run_leaves_no_report_of_an_earlier_one() {
    let project = project::with(&[("mlops.yml", "version: 1\nproject: p\ndeploy: {name: x, image: r/x:1}\n")]);
    Mlops::new(project.path()).args(["run"]).run().expect(0);
    assert!(project.has("mlops-out/junit.xml"));
    project.write("mlops.yml", "version: 1\nproject: p\nmigrate: {dir: m}\n");
    project.write("m/1_a.up.sql", "select pg_sleep(30);");
    let mut child = Mlops::new(project.path())
        .args(["run"])
        .command()
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    std::thread::sleep(std::time::Duration::from_secs(3));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("pid")), nix::sys::signal::Signal::SIGHUP).expect("signal");
    assert_eq!(child.wait().expect("ends").code(), Some(129));
    assert!(!project.has("mlops-out/junit.xml") && !project.has("mlops-out/report.json"));
}

#[test]
fn a_server_that_is_still_starting_is_waited_for() {
    let db = Db::new();
    db.sql("create table t as select 1 as a");
    let config = "version: 1\nproject: p\ndatabase: {url: \"${DATABASE_URL}\", connect_timeout: 30s}\ngates: {data: {t: {rows: 1}}}\n";
    let project = project::with(&[("mlops.yml", config)]);
    let port = crate::support::server::late_port(std::time::Duration::from_millis(1_500));
    let ended = Mlops::new(project.path()).args(["run"]).env("DATABASE_URL", &db.url_at(port)).run().expect(0);
    ended.says("INFO waiting for the database: app@127.0.0.1:").says("refused");
}
