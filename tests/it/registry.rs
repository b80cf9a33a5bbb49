//! The registry: races, refusals, walks back, tampering, adoption. Every test has a registry of its own on a real server.

use std::process::{Child, Stdio};

use serde_json::{Value as Json, json};

use crate::support::bin::{Ended, Mlops};
use crate::support::project::{self, Project};
use crate::support::server::Db;

/// A project with one table, one gate and one model; `registry` is the rest of the section.
fn small(db: &Db, registry: &str) -> Project {
    db.sql("create table if not exists t (x int, y int); truncate t; insert into t select g, g from generate_series(1, 100) g");
    let yml = format!(
        "version: 1\nproject: p\ndatabase: {{url: \"{}\"}}\ngates:\n  data:\n    t: {{rows: 10}}\n\
         model: {{name: m, version: \"${{LABEL:-one}}\", artifact: model.bin}}\nregistry:\n  artifacts: ./kept\n{registry}",
        db.url()
    );
    project::with(&[("mlops.yml", &yml), ("model.bin", "bytes of one")])
}

fn mlops(project: &Project, actor: &str, args: &str) -> Mlops {
    Mlops::new(project.path()).args(args.split(' ')).env("USER", actor)
}

fn run(project: &Project, args: &str) -> Ended {
    mlops(project, "anna", args).run()
}

/// A new artifact under a label of its own, registered by a whole run.
fn register(project: &Project, label: &str) {
    project.write("model.bin", &format!("bytes of {label}"));
    mlops(project, "anna", "run").env("LABEL", label).run().expect(0);
}

/// Three versions, labelled one, two and three.
fn three(db: &Db, registry: &str) -> Project {
    let project = small(db, registry);
    ["one", "two", "three"].iter().for_each(|label| register(&project, label));
    project
}

/// The words of a refusal.
fn reasons(ended: &Ended) -> Vec<String> {
    let refused = ended.json()["refused"].as_array().unwrap_or_else(|| panic!("no refusal in {}", ended.out)).clone();
    refused.iter().map(|r| r["reason"].as_str().expect("reason").to_owned()).collect()
}

fn refused(project: &Project, args: &str, wanted: &[&str]) {
    let ended = mlops(project, "anna", &format!("--format json {args}")).run().expect(1);
    assert_eq!(reasons(&ended), wanted, "{args}: {}", ended.out);
}

fn stands(project: &Project, stage: &str) -> i64 {
    let json = run(project, &format!("--format json model current --stage {stage}")).expect(0).json();
    json["current"][0]["version"]["version"].as_i64().expect("version")
}

fn together(children: Vec<Child>) -> Vec<Ended> {
    children.into_iter().map(|child| Ended::from(child.wait_with_output().expect("it ends"))).collect()
}

fn start(command: Mlops) -> Child {
    command.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

#[test]
fn twenty_four_jobs_at_once_register_1_to_24() {
    let db = Db::new();
    let first = small(&db, "");
    run(&first, "model list").expect(1).says("there is no registry in");
    assert!(!db.has_table("mlops.model"), "who looks makes nothing");
    let projects: Vec<Project> = (0..24)
        .map(|n| {
            let project = project::with(&[("mlops.yml", &first.read("mlops.yml")), ("model.bin", &format!("bytes of {n}"))]);
            project.replace("mlops.yml", "${LABEL:-one}", &format!("label {n}"));
            project
        })
        .collect();
    let ended = together(projects.iter().map(|project| start(mlops(project, "anna", "run"))).collect());
    ended.into_iter().for_each(|ended| drop(ended.expect(0)));
    assert_eq!(
        db.sql("select string_agg(version::text, ',' order by version) from mlops.model_version"),
        (1..=24).map(|n| n.to_string()).collect::<Vec<_>>().join(",")
    );
    assert_eq!(db.sql("select next_version from mlops.model"), "25");
    run(&first, "model verify --no-artifacts").expect(0).says("24 events, 24 versions");
}

#[test]
fn the_same_version_is_registered_once_whoever_comes_first() {
    let db = Db::new();
    let project = small(&db, "");
    let ended = together((0..8).map(|n| start(mlops(&project, &format!("job{n}"), "run"))).collect());
    let ended: Vec<Ended> = ended.into_iter().map(|ended| ended.expect(0)).collect();
    assert!(ended.iter().any(|e| e.out.contains("registered m as version 1")));
    assert_eq!(db.sql("select count(*), max(version) from mlops.model_version"), "1|1");
    assert_eq!(db.sql("select count(*) from mlops.event"), "1");
}

#[test]
fn of_six_promotions_that_expect_the_same_one_wins() {
    let db = Db::new();
    let project = three(&db, "");
    ["four", "five", "six", "seven"].iter().for_each(|label| register(&project, label));
    run(&project, "model promote 1 --to production").expect(0);
    let race = |n: i32| start(mlops(&project, "anna", &format!("--format json model promote {n} --to production --expect-current 1")));
    let ended = together((2..=7).map(race).collect());
    let won: Vec<&Ended> = ended.iter().filter(|e| e.code == 0).collect();
    assert_eq!(won.len(), 1, "{ended:#?}");
    for lost in ended.iter().filter(|e| e.code != 0) {
        assert!(lost.code == 1 && reasons(lost).contains(&"expectation_failed".to_owned()), "{lost:?}");
    }
    assert_eq!(db.sql("select count(*) from mlops.deployment where status = 'active'"), "1");
    assert_eq!(stands(&project, "production"), won[0].json()["version"].as_i64().expect("version"));
    // Nothing is expected where something stands.
    register(&project, "eight");
    refused(&project, "model promote 8 --to production --expect-current none", &["expectation_failed"]);
    // Also of the version that stands there already.
    let standing = stands(&project, "production");
    refused(&project, &format!("model promote {standing} --to production --expect-current none"), &["expectation_failed"]);
    run(&project, &format!("model promote {standing} --to production --expect-current {standing}")).expect(0).says("already");
}

#[test]
fn what_is_written_cannot_be_edited_and_what_cannot_be_is_refused_by_the_database() {
    let db = Db::new();
    let project = three(&db, "");
    run(&project, "model promote 1 --to production").expect(0);
    for sql in [
        "update mlops.model_version set label = 'x'",
        "delete from mlops.model_version",
        "truncate mlops.model_version cascade",
        "update mlops.event set actor = 'x'",
        "delete from mlops.event",
        "truncate mlops.event",
        "update mlops.version_dataset set rows = 1",
        "delete from mlops.deployment",
        "truncate mlops.deployment cascade",
        "update mlops.deployment set version_id = 2",
        "update mlops.deployment set status = 'superseded', ended_at = now(), version_id = 2",
        "update mlops.deployment set status = 'superseded', ended_at = now(), actor = 'x'",
    ] {
        // A statement that meets no row has nothing to refuse.
        if sql.contains("version_dataset") {
            db.sql("insert into mlops.version_dataset (version_id, name, content) select id, 'd', 'x' from mlops.model_version where version = 3 on conflict do nothing");
        }
        let said = db.try_sql(sql).expect_err(sql);
        assert!(said.contains("append-only") || said.contains("can only be closed"), "{sql}: {said}");
    }
    let deploy = |model: &str, version: &str| {
        format!("insert into mlops.deployment (model_id, version_id, stage, kind, actor) values ({model}, {version}, 'production', 'promote', 'x')")
    };
    let (first, second) = ("(select id from mlops.model where name = 'm')", "(select id from mlops.model_version where version = 2)");
    assert!(db.try_sql(&deploy(first, second)).expect_err("a second active one").contains("deployment_one_active"));
    db.sql("insert into mlops.model (name) values ('other')");
    assert!(db.try_sql(&deploy("(select id from mlops.model where name = 'other')", second)).expect_err("another model's").contains("foreign key"));
    assert!(db.try_sql("insert into mlops.event (model_id, actor, kind, payload, prev, digest) select model_id, 'x', 'promoted', '{}', prev, 'd' from mlops.event limit 1").is_ok());
    // Whatever was said about its place, it follows the last one.
    assert_eq!(
        db.sql("select count(*) from (select prev, lag(digest, 1, '') over (order by seq) as before from mlops.event) x where prev <> before"),
        "0"
    );
}

#[test]
fn an_old_job_does_not_overtake_a_newer_one_and_a_second_run_changes_nothing() {
    let db = Db::new();
    let project = three(&db, "");
    run(&project, "model promote 3 --to production").expect(0);
    refused(&project, "model promote 2 --to production", &["older_than_active"]);
    assert_eq!(stands(&project, "production"), 3);
    let before = db.sql("select count(*) from mlops.event");
    run(&project, "model promote 3 --to production").expect(0).says("stands in production already, nothing to do");
    assert_eq!(db.sql("select count(*) from mlops.event"), before);
    // With the word it goes, and the history says so.
    run(&project, "model promote 2 --to production --allow older_than_active").expect(2).says("--reason");
    run(&project, "model promote 2 --to production --allow older_than_active --reason trial").expect(0);
    run(&project, "model history --limit 1")
        .expect(0)
        .says("promoted version 2 to production instead of version 3, in spite of older_than_active: trial");
    run(&project, "model promote 1 --to production --reason x --allow older_then_active").expect(2).says("did you mean `older_than_active`?");
    run(&project, "model promote 1 --to production --reason x --allow artifact_changed").expect(2).says("cannot be allowed");
}

#[test]
fn a_rollback_walks_back_skips_what_is_quarantined_and_never_walks_forth() {
    let db = Db::new();
    let project = three(&db, "");
    for version in 1..=3 {
        run(&project, &format!("model promote {version} --to production")).expect(0);
    }
    run(&project, "model rollback --stage production --dry-run").expect(0).says("production would be back at m version 2 (two), from version 3");
    assert_eq!(stands(&project, "production"), 3);
    run(&project, "model rollback --stage production --reason slow").expect(0);
    assert_eq!(stands(&project, "production"), 2);
    run(&project, "model rollback --stage production").expect(0);
    assert_eq!(stands(&project, "production"), 1);
    refused(&project, "model rollback --stage production", &["nothing_to_roll_back_to"]);
    // What was rolled back does not come again by itself.
    refused(&project, "model promote 3 --to production", &["rolled_back"]);
    run(&project, "model promote 3 --to production --allow rolled_back --reason mended").expect(0);
    mlops(&project, "anna", "model quarantine 1 --reason poisoned").run().expect(0).says("quarantined");
    register(&project, "four");
    run(&project, "model promote 4 --to production").expect(0);
    run(&project, "model quarantine 3 --reason biased").expect(0);
    refused(&project, "model promote 3 --to production", &["quarantined", "older_than_active"]);
    refused(&project, "model rollback --stage production", &["nothing_to_roll_back_to"]);
    refused(&project, "model rollback --stage production --to 3", &["quarantined"]);
    // What stands there itself may be quarantined too: whoever asks is told.
    run(&project, "model quarantine 4 --reason late").expect(0).says("it still stands in production");
    refused(&project, "model promote 4 --to production", &["quarantined"]);
    // So is another version with the same bytes.
    project.write("model.bin", "bytes of four");
    mlops(&project, "anna", "run").env("LABEL", "five").run().expect(0);
    refused(&project, "model promote 5 --to production", &["quarantined"]);
    run(&project, "model release 1 --reason checked").expect(0);
    run(&project, "model rollback --stage production").expect(0).says("past version 3, which is quarantined");
    assert_eq!(stands(&project, "production"), 1);
    // What was rolled back, rejected or deprecated does not come back by a rollback either.
    run(&project, "model release 4").expect(0);
    refused(&project, "model rollback --stage production --to 4", &["rolled_back"]);
    run(&project, "model reject 2 --stage production --reason wrong").expect(0);
    run(&project, "model deprecate 2 --reason old").expect(0);
    refused(&project, "model rollback --stage production --to 2", &["deprecated", "rejected", "rolled_back"]);
    run(&project, "model rollback --stage production --to 2 --allow deprecated,rejected,rolled_back --reason emergency").expect(0);
    run(&project, "model verify").expect(0);
}

#[test]
fn tampering_is_found() {
    let tampered = |sql: &str, said: &str| {
        let db = Db::new();
        let project = three(&db, "");
        run(&project, "model promote 1 --to production").expect(0);
        run(&project, "model promote 2 --to production").expect(0);
        run(&project, "model verify").expect(0).says("5 events, 3 versions, 3 artifacts verified: all as it was written");
        let head = run(&project, "--format json model verify").expect(0).json()["head"].as_str().expect("head").to_owned();
        if sql.is_empty() {
            let kept = db.sql("select artifact_uri from mlops.model_version where version = 2");
            let path = project.path().join(&kept);
            let mut permissions = std::fs::metadata(&path).expect("kept").permissions();
            std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
            std::fs::set_permissions(&path, permissions).expect("mode");
            std::fs::write(&path, "something else").expect("write");
            refused(&project, "model promote 2 --to staging", &["artifact_changed"]);
            refused(&project, "model promote 2 --to staging --allow artifact_missing --reason x", &["artifact_changed"]);
        } else {
            db.sql(&format!("set session_replication_role = replica; {sql}"));
        }
        run(&project, "model verify").expect(1).says(said);
        head
    };
    tampered(
        "update mlops.event set payload = jsonb_set(payload, '{version}', '3') where kind = 'promoted' and payload->>'previous' is not null",
        "was edited: its digest is not that of what it says",
    );
    tampered("update mlops.event set at = at - interval '1 day' where seq = 2", "event 2 was edited");
    tampered("delete from mlops.event where seq = 3", "event 4 does not follow the event before it");
    tampered("delete from mlops.event where seq = 5", "event 4 is not the last one that was written");
    tampered("delete from mlops.event", "every event is gone");
    tampered("update mlops.model_version set metrics = '{\"accuracy\": 1}' where version = 2", "version 2 was edited after it was registered");
    tampered("update mlops.model_version set gates_passed = false where version = 1", "version 1 was edited");
    tampered("delete from mlops.model_version where version = 3", "version 3 is gone");
    tampered(
        "update mlops.deployment set version_id = (select id from mlops.model_version where version = 3) where status = 'active'",
        "production holds version 3, and the event says version 2",
    );
    tampered("", "version 2: its artifact was changed");
    let marked = |sql: &str, said: &str| {
        let db = Db::new();
        let project = three(&db, "");
        run(&project, "model promote 1 --to production").expect(0);
        mlops(&project, "ben", "model approve 2 --stage production").run().expect(0);
        mlops(&project, "ben", "model reject 3 --stage production --reason slow").run().expect(0);
        run(&project, "model promote 2 --to production").expect(0);
        run(&project, "model quarantine 1 --reason poisoned").expect(0);
        run(&project, "model deprecate 3 --reason old").expect(0);
        run(&project, "model release 3").expect(0);
        run(&project, "model verify").expect(0).says("10 events");
        db.sql(&format!("set session_replication_role = replica; {sql}"));
        run(&project, "model verify").expect(1).says(said);
    };
    marked("delete from mlops.mark where kind = 'quarantined'", "the mark on version 3 (deprecated) is not what event");
    marked("delete from mlops.mark where kind = 'deprecated'", "no mark says so");
    marked("update mlops.mark set lifted_at = now(), lifted_by = 'anna' where kind = 'quarantined'", "the mark on version 1 (quarantined)");
    marked("update mlops.mark set lifted_at = null, lifted_by = null where kind = 'deprecated'", "the mark on version 3 (deprecated)");
    marked("delete from mlops.verdict where not approved", "what ben said in event");
    marked("update mlops.verdict set actor = 'carla' where approved", "what carla says of version 2 for production is not what event");
    let forged = "insert into mlops.verdict (model_id, version_id, stage, approved, actor) select model_id, id, 'production', true, 'carla' from mlops.model_version where version = 3";
    marked(forged, "no event tells that carla approved version 3");
    marked("delete from mlops.deployment where status = 'superseded'; update mlops.deployment set supersedes = null", "the deployment of event");
    marked("update mlops.deployment set started_at = '2020-01-01' where status = 'active'", "is not what event");
    marked("update mlops.deployment set actor = 'mallory' where status = 'active'", "is not what event");
    let forged = "insert into mlops.deployment (model_id, version_id, stage, kind, status, actor, started_at, ended_at) select model_id, id, 'staging', 'promote', 'superseded', 'x', '2020-01-01', '2021-01-01' from mlops.model_version where version = 3";
    marked(forged, "no event tells of it");
    // A history that was rewritten as a whole is found by who kept its end.
    let db = Db::new();
    let project = three(&db, "");
    let head = run(&project, "--format json model verify").expect(0).json()["head"].as_str().expect("head").to_owned();
    db.sql("set session_replication_role = replica; update mlops.event set actor = 'nobody' where seq = 3; \
            update mlops.event e set digest = mlops.event_digest(e) where seq = 3; update mlops.model set head = (select digest from mlops.event where seq = 3)");
    run(&project, "model verify").expect(0);
    run(&project, &format!("model verify --head {}", &head[..12])).expect(1).says("the history that led to it was rewritten");
}

#[test]
fn a_policy_asks_for_stages_time_people_and_branches() {
    let db = Db::new();
    let policy = "  stages:\n    staging: {}\n    production: {after: staging, soak: 2s, approvals: 2, approvers: [ben, carla, anna]}\n    edge: {branches: [main]}\n";
    let project = three(&db, policy);
    refused(&project, "model promote 1 --to production", &["approval_missing", "stage_before_missing"]);
    run(&project, "model promote 1 --to staging").expect(0);
    let said = mlops(&project, "ben", "model approve 1 --stage production --reason fine").run().expect(0);
    said.says("ben approves of m version 1 (one) for production");
    mlops(&project, "anna", "model approve 1 --stage production").run().expect(0).says("it does not count, as they registered it");
    mlops(&project, "dora", "model approve 1 --stage production").run().expect(0).says("not among the stage's approvers");
    // One person's word twice is one word.
    mlops(&project, "ben", "model approve 1 --stage production").run().expect(0);
    let refusal = mlops(&project, "anna", "--format json model promote 1 --to production").run().expect(1);
    assert!(reasons(&refusal).contains(&"approval_missing".to_owned()), "{}", refusal.out);
    mlops(&project, "carla", "model reject 1 --stage production --reason slow").run().expect(0);
    let refusal = mlops(&project, "anna", "--format json model promote 1 --to production").run().expect(1);
    assert!(reasons(&refusal).contains(&"rejected".to_owned()), "{}", refusal.out);
    // The last word counts.
    mlops(&project, "carla", "model approve 1 --stage production").run().expect(0);
    std::thread::sleep(std::time::Duration::from_secs(2));
    run(&project, "model promote 1 --to production").expect(0).says("stands in production now");
    // Time in the stage before.
    run(&project, "model promote 2 --to staging").expect(0);
    for who in ["ben", "carla"] {
        mlops(&project, who, "model approve 2 --stage production").run().expect(0);
    }
    refused(&project, "model promote 2 --to production", &["soak_time"]);
    // A version that was rolled back from the stage before has not stood there.
    run(&project, "model rollback --stage staging").expect(0);
    std::thread::sleep(std::time::Duration::from_secs(2));
    refused(&project, "model promote 2 --to production", &["stage_before_missing"]);
    refused(&project, "model promote 1 --to edge", &["branch_not_allowed"]);
    let branch = |name: &str| {
        let env = [("GITHUB_ACTIONS", "true"), ("GITHUB_REF_NAME", name), ("GITHUB_ACTOR", "anna")];
        env.iter().fold(mlops(&project, "x", "model promote 1 --to edge"), |run, (key, value)| run.env(key, value)).run()
    };
    branch("feature").expect(1).says("only main may promote to edge, and this is `feature`");
    branch("main").expect(0);
    run(&project, "model promote 1 --to stagin").expect(2).says("did you mean `staging`?");
}

#[test]
fn gates_that_failed_register_nothing_and_those_that_did_not_run_promote_nothing() {
    let db = Db::new();
    let project = small(&db, "  promote: {to: staging}\n");
    db.sql("delete from t where x > 5");
    mlops(&project, "anna", "run").run().expect(1);
    assert!(!db.has_table("mlops.model_version") || db.sql("select count(*) from mlops.model_version") == "0");
    db.sql("insert into t select g, g from generate_series(6, 50) g");
    // Only a part of the gates: registered, but not evaluated.
    mlops(&project, "anna", "run --stages register,promote").run().expect(1).says("gates_not_evaluated");
    refused(&project, "model promote 1 --to staging", &["gates_not_evaluated"]);
    mlops(&project, "anna", "run --only data.t")
        .env("LABEL", "two")
        .run()
        .expect(1)
        .says("its gates count as not evaluated: only some of the data gates ran");
    // The same things with a verdict are another version; who has none adds nothing to it.
    mlops(&project, "anna", "run").env("LABEL", "two").run().expect(0).says("version 3 stands in staging now");
    mlops(&project, "anna", "run --stages register,promote").env("LABEL", "two").run().expect(0).says("registered already as version 3");
    // Somebody promotes what no run of this job has registered.
    mlops(&project, "anna", "run --stages promote").run().expect(3).says("this run has registered no version");
    // The gates of an earlier job.
    mlops(&project, "anna", "run --stages check").env("LABEL", "four").run().expect(0);
    let report = project.read("mlops-out/report.json");
    for _ in 0..2 {
        mlops(&project, "anna", "model register --report mlops-out/report.json").env("LABEL", "four").run().expect(0);
        assert_eq!(project.read("mlops-out/report.json"), report, "it is the other job's");
    }
    run(&project, "model promote 4 --to staging").expect(0);
    project.write("model.bin", "bytes of another");
    let again = mlops(&project, "anna", "model register --report mlops-out/report.json").env("LABEL", "four").run();
    again.expect(2).says("the artifact was another one");
    mlops(&project, "anna", "run --only data.t --stages check").env("LABEL", "five").run().expect(0);
    let narrowed = mlops(&project, "anna", "model register --report mlops-out/report.json").env("LABEL", "five").run();
    narrowed.expect(0).says("only some of the data gates ran for the report");
    mlops(&project, "anna", "model --model other register").run().expect(2).says("not `other`");
    // The report of a whole run, too.
    mlops(&project, "anna", "run").env("LABEL", "six").run().expect(0);
    let again = mlops(&project, "anna", "model register --report mlops-out/report.json").env("LABEL", "six").run();
    again.expect(0).says("registered already");
    mlops(&project, "anna", "run --stages check").env("GIT_COMMIT", &"a".repeat(40)).run().expect(0);
    mlops(&project, "anna", "model register --report mlops-out/report.json")
        .env("GIT_COMMIT", &"b".repeat(40))
        .run()
        .expect(2)
        .says("the report is of the commit");
    mlops(&project, "anna", "model register --report mlops-out/report.json").run().expect(2).says("the report is of the commit");
}

#[test]
fn a_pull_request_promotes_nothing_and_says_what_would_change() {
    let db = Db::new();
    let project = small(&db, "  promote: {to: staging}\n");
    register(&project, "one");
    project.write("event.json", r#"{"pull_request": {"number": 7, "head": {"sha": "abc", "repo": {"full_name": "o/r"}}}}"#);
    project.write("model.bin", "bytes of two");
    let event = project.path().join("event.json").display().to_string();
    let run = mlops(&project, "anna", "run --comment never").env("LABEL", "two").env("GITHUB_ACTIONS", "true").env("GITHUB_REPOSITORY", "o/r");
    run.env("GITHUB_EVENT_PATH", &event)
        .run()
        .expect(0)
        .says("version 2 would be promoted to staging, instead of version 1; a pull or merge request promotes nothing");
    assert_eq!(stands(&project, "staging"), 1);
    let report = project.report();
    let promote = report["stages"].as_array().expect("stages").iter().find(|s| s["name"] == "promote").expect("promote");
    assert_eq!(promote["table"]["title"], "Challenger and champion");
    assert!(project.read("mlops-out/report.md").contains("challenger: version 2"), "{}", project.read("mlops-out/report.md"));
    assert!(project.read("mlops-out/outputs.env").contains("MLOPS_MODEL_VERSION=2\nMLOPS_STAGE=\n"));
}

#[test]
fn a_rollback_needs_the_artifact_the_data_and_the_schema() {
    let db = Db::new();
    let project = small(&db, "");
    project.write(".dvc/config", "[core]\n    remote = r\n['remote \"r\"']\n    url = ../remote\n");
    let datasets = "datasets:\n  d: {table: t, order_by: [x], out: d.parquet, remote: r}\n";
    project.write("mlops.yml", &format!("{}{datasets}", project.read("mlops.yml")));
    register(&project, "one");
    run(&project, "model promote 1 --to production").expect(0);
    register(&project, "two");
    run(&project, "model promote 2 --to production").expect(0);
    run(&project, "model rollback --stage production --dry-run").expect(0);
    // The columns.
    db.sql("alter table t rename column y to z");
    let ended = mlops(&project, "anna", "--format json model rollback --stage production").run().expect(1);
    assert_eq!(reasons(&ended), ["schema_changed"], "{}", ended.out);
    assert!(ended.out.contains("1 column that the database has no more") && ended.out.contains("t.y"), "{}", ended.out);
    db.sql("alter table t rename column z to y");
    // The data.
    let md5 = db.sql("select md5 from mlops.version_dataset d join mlops.model_version v on v.id = d.version_id where version = 1");
    let object = project.path().join(format!("remote/files/md5/{}/{}", &md5[..2], &md5[2..]));
    let aside = project.path().join("aside");
    std::fs::rename(&object, &aside).expect("the remote has it");
    refused(&project, "model rollback --stage production", &["data_missing"]);
    std::fs::rename(&aside, &object).expect("back");
    // The artifact.
    let kept = project.path().join(db.sql("select artifact_uri from mlops.model_version where version = 1"));
    std::fs::rename(&kept, &aside).expect("it is kept");
    refused(&project, "model rollback --stage production", &["artifact_missing"]);
    run(&project, "model rollback --stage production --allow artifact_missing --reason emergency").expect(0);
    run(&project, "model history --limit 1")
        .expect(0)
        .says("rolled production back to version 1 from version 2, in spite of artifact_missing: emergency");
}

#[test]
fn artifacts_are_kept_by_their_digest_and_come_back_verified() {
    let db = Db::new();
    let project = small(&db, "");
    project.replace("mlops.yml", "artifact: model.bin", "artifact: model");
    project.write("model/a.txt", "a");
    project.write("model/sub/b.txt", "b");
    mlops(&project, "anna", "run").run().expect(0);
    // What sha256sum says of the folder.
    let script = "cd model && find . -type f | sed 's|^[.]/||' | LC_ALL=C sort | xargs sha256sum | sha256sum";
    let sum = std::process::Command::new("sh").args(["-c", script]).current_dir(project.path()).output().expect("sh");
    let sum = String::from_utf8_lossy(&sum.stdout).split(' ').next().expect("digest").to_owned();
    assert_eq!(db.sql("select artifact_sha256 from mlops.model_version"), sum);
    std::fs::remove_dir_all(project.path().join("model")).expect("gone");
    run(&project, "model fetch 1 --to back").expect(0).says(&sum);
    assert_eq!((project.read("back/a.txt"), project.read("back/sub/b.txt")), ("a".into(), "b".into()));
    run(&project, "model fetch 1 --to back").expect(2).says("is there already");
    run(&project, "model current --stage nowhere --print version").expect(1).says("no version of m stands in nowhere");
    run(&project, "model promote 1 --to production").expect(0);
    let printed = run(&project, "model current --stage production --print sha256").expect(0);
    assert_eq!(printed.out.trim(), sum);
    // Changed in the store: nothing comes of it.
    let object = project.path().join("kept/sha256").join(&sum[..2]).join(&sum[2..]);
    assert!(object.exists());
    let inner = std::fs::read_dir(project.path().join("kept/sha256"))
        .expect("kept")
        .filter_map(Result::ok)
        .flat_map(|d| std::fs::read_dir(d.path()).expect("dir"))
        .filter_map(Result::ok);
    let a = inner.map(|e| e.path()).find(|p| std::fs::read(p).expect("object") == b"a").expect("the file's object");
    std::fs::remove_file(&a).expect("gone");
    std::fs::write(&a, "z").expect("another");
    run(&project, "model fetch 1 --to again").expect(3).says("has the digest");
    assert!(!project.has("again"));
}

#[test]
fn versions_are_found_by_what_they_are() {
    let db = Db::new();
    let project = small(&db, "");
    project.replace("mlops.yml", "artifact: model.bin}", "artifact: model.bin, params: {depth: 3, kind: tree}}");
    register(&project, "one");
    project.replace("mlops.yml", "depth: 3", "depth: 12");
    register(&project, "two");
    let found = |condition: &str| {
        let json = Mlops::new(project.path()).args(["--format", "json", "model", "search", condition]).run().expect(0).json();
        json["versions"].as_array().expect("versions").iter().map(|v| v["version"].as_i64().expect("number")).collect::<Vec<_>>()
    };
    assert_eq!(found("params.depth >= 10"), [2], "numbers, not texts");
    assert_eq!(found("params.depth < 10"), [1]);
    assert_eq!(found("params.kind = tree"), [2, 1]);
    assert_eq!(found("params.depth = 3"), [1]);
    assert_eq!(found("params.depth = \"3\""), [1], "its text");
    assert_eq!(found("label ~ o_e"), Vec::<i64>::new());
    assert_eq!(found("label ~ o"), [2, 1]);
    assert_eq!(found("gates = passed"), [2, 1]);
    assert_eq!(found("label = three"), Vec::<i64>::new());
    assert_eq!(found("label ~ x'; drop table mlops.event; --"), Vec::<i64>::new());
    Mlops::new(project.path()).args(["model", "search", "parms.depth = 1"]).run().expect(2).says("versions have no `parms.depth`");
    Mlops::new(project.path()).args(["model", "show", "9"]).run().expect(2).says("m has no version 9");
    Mlops::new(project.path()).args(["model", "show", ""]).run().expect(2).says("no version that is called ``");
    run(&project, "model --model mm list").expect(2).says("did you mean `m`?");
    // A label may look like a number: then only the number alone says which.
    register(&project, "v1");
    run(&project, "model show v1").expect(2).says("`v1` is version 1, and the label of version 3");
    run(&project, "model show v2").expect(0).says("m version 2 (two)");
    run(&project, "model compare 1 2").expect(0).says("params.depth");
    // From the first to the second.
    db.sql("set session_replication_role = replica; update mlops.model_version set metrics = jsonb_build_object('g.f1', 0.5 + version * 0.1)");
    run(&project, "model compare 1 2").expect(0).says("g.f1          0.6000         0.7000         +0.1000");
    let shown = run(&project, "--format json model show two").expect(0).json();
    assert_eq!((&shown["version"], &shown["params"]["depth"]), (&json!(2), &json!(12)));
}

#[test]
fn a_registry_of_an_older_tool_is_upgraded_in_place() {
    let db = Db::new();
    let project = small(&db, "");
    register(&project, "first");
    let down = std::fs::read_to_string(crate::support::root().join("migrations/0004_registry.down.sql")).expect("down");
    db.sql(&format!("begin; {down}; delete from mlops.migration where source = 'mlops' and version = '0004'; commit"));
    db.sql("set session_replication_role = replica; delete from mlops.model_version; update mlops.model set next_version = 3");
    db.sql(
        "insert into mlops.model_version (model_id, version, label, artifact_path, artifact_sha256, \
         artifact_bytes, datasets, metrics, gates, idempotency_key) select id, 1, 'old', 'model.bin', repeat('a', 64), 1, '{\"d\": \"digest\"}'::jsonb, '{\"m.f1\": 0.5}'::jsonb, \
         '[{\"stage\": \"check\", \"status\": \"passed\"}]'::jsonb, 'k1' from mlops.model union all select id, 2, 'older', 'model.bin', repeat('b', 64), 1, '{}', '{}', \
         '[{\"stage\": \"check\", \"status\": \"failed\"}]', 'k2' from mlops.model",
    );
    run(&project, "model verify --no-artifacts").expect(0).says("2 events, 2 versions");
    let shown = run(&project, "--format json model show 1").expect(0).json();
    assert_eq!((&shown["datasets"][0]["content"], &shown["gates_passed"], &shown["label"]), (&json!("digest"), &json!(true), &json!("old")));
    refused(&project, "model promote 2 --to production --allow artifact_missing --reason x", &["gates_failed"]);
    mlops(&project, "anna", "run").run().expect(0).says("registered m as version 3");
}

#[test]
fn registering_takes_three_round_trips() {
    let db = Db::new();
    let project = small(&db, "");
    register(&project, "zero");
    let port = crate::support::server::counting_port();
    project.replace("mlops.yml", &format!("url: \"{}\"", db.url()), &format!("url: \"{}\", tls: disable", db.url_at(port.port)));
    mlops(&project, "anna", "run").run().expect(0).says("registered m as version 2");
    let trips = port.round_trips("insert into mlops.model (name)", "insert into mlops.event");
    assert!((1..=3).contains(&trips), "{trips} round trips");
}

/// The tables as tutorials draw them up, with what happens to them.
const TUTORIAL: &str = "
create table models (id serial primary key, name text, version text, accuracy float, model_path text, created_at timestamp default now(), unique (name, version));
create table model_versions (id serial primary key, model_id int, version text, metrics jsonb, is_current boolean default true, created_at timestamp default now());
create table deployments (id serial primary key, model_version_id int, status text, deployed_at timestamp default now(), deployed_by text);
insert into models (name, version, accuracy, model_path, created_at) values ('churn model', 'v1', 0.8, 'model.bin', '2026-01-01'), ('churn model', 'v4', 0.9, 'lost.pkl', '2026-01-09'), ('fraud', 'v1', 0.7, null, '2026-01-02');
insert into model_versions (model_id, version, metrics, is_current, created_at) values
  (1, 'v1', '{\"accuracy\": 0.8}', true, '2026-01-01'), (1, 'v2', '{\"accuracy\": 0.85}', true, '2026-01-03'), (1, 'v2', '{\"accuracy\": 0.86}', true, '2026-01-04'),
  (3, 'v1', '{}', false, '2026-01-02'), (99, 'v1', '{}', true, '2026-01-05');
insert into deployments (model_version_id, status, deployed_at) values (1, 'active', '2026-01-02'), (2, 'active', '2026-01-05'), (77, 'active', '2026-01-06');
";

#[test]
fn a_tutorials_tables_are_adopted_and_their_contradictions_named() {
    let db = Db::new();
    let project = small(&db, "");
    db.sql(TUTORIAL);
    register(&project, "one");
    run(&project, "model adopt --dry-run").expect(1).says("5 versions of 2 models and 2 deployments would be adopted");
    assert_eq!(db.sql("select count(*) from mlops.model_version"), "1");
    let adopted = run(&project, "model adopt").expect(1);
    for contradiction in [
        "public.model_versions id 5 belongs to no model",
        "public.models id 2 says that churn-model has a version v4, of which public.model_versions knows nothing",
        "version v2 of churn-model is there 2 times: public.model_versions id 2, public.model_versions id 3",
        "3 versions of churn-model are current at once",
        "no version of fraud is current",
        "public.deployments id 3 deploys a version that is nowhere",
        "2 rows of public.deployments name no stage: taken as production",
        "2 deployments of churn-model are active in production at once; the last one stands",
        "is current (public.model_versions id 1), and version v2 was deployed last (public.deployments id 2)",
    ] {
        assert!(adopted.out.contains(contradiction), "{contradiction:?} is not in\n{}", adopted.out);
    }
    let current = run(&project, "--format json model --model churn-model current --stage production").expect(0).json();
    assert_eq!((&current["current"][0]["version"]["label"], &current["current"][0]["version"]["metrics"]["accuracy"]), (&json!("v2"), &json!(0.85)));
    let before = db.sql("select count(*) from mlops.event");
    run(&project, "model adopt").expect(1).says("0 versions of 2 models and 0 deployments adopted from public; 5 known already");
    let dry = run(&project, "model adopt --dry-run").expect(1);
    dry.says("0 versions of 2 models and 0 deployments would be adopted from public; 5 known already");
    assert_eq!(db.sql("select count(*) from mlops.event"), before);
    for model in ["churn-model", "fraud"] {
        run(&project, &format!("model --model {model} verify --no-artifacts")).expect(0);
    }
    // What this registry has promoted since stays, whatever their tables say later.
    run(&project, "model --model churn-model promote v4 --to production --allow artifact_missing,gates_not_evaluated --reason trial").expect(0);
    db.sql("insert into deployments (model_version_id, status, deployed_at) values (1, 'failed', '2026-02-02'), (1, 'active', '2026-02-03')");
    let again = run(&project, "model adopt").expect(1).says("what stands in production of churn-model was promoted by this registry, and stays");
    again.says("1 rows of public.deployments are over");
    let current = run(&project, "model --model churn-model current --stage production --print label").expect(0);
    assert_eq!(current.out.trim(), "v4");
    // What was adopted without its bytes goes nowhere.
    let refusal = mlops(&project, "anna", "--format json model --model churn-model promote v4 --to staging").run().expect(1);
    assert!(reasons(&refusal).contains(&"artifact_missing".to_owned()), "{}", refusal.out);
}

#[test]
fn the_flights_register_promote_refuse_a_worse_model_and_roll_back_and_the_trace_tells_it() {
    let (project, db, registry) = (project::flights(), Db::flights(), Db::new());
    project.replace("mlops.yml", "  promote: {to: staging}", "  promote: {to: production}\n  artifacts: ./kept");
    project.replace("mlops.yml", "    production: {after: staging, approvals: 1}", "    production: {}");
    let run = |args: &str, label: &str| {
        let run = mlops(&project, "anna", args).env("DATABASE_URL", &db.url()).env("MLOPS_REGISTRY_URL", &registry.url());
        run.env("MODEL_VERSION", label).env("GIT_COMMIT", &"c".repeat(40)).run()
    };
    run("run", "0.1.0").expect(0).says("registered flight-delay as version 1 (0.1.0)").says("version 1 stands in production now");
    // The gates keep a worse one out.
    project.replace("mlops.yml", "file: predictions.parquet", "file: others/worse.parquet");
    run("run", "0.2.0").expect(1).says("register was skipped");
    assert_eq!(registry.sql("select count(*) from mlops.model_version"), "1");
    project.replace("mlops.yml", "file: others/worse.parquet", "file: predictions.parquet");
    run("run", "0.3.0").expect(0).says("version 2 stands in production now, instead of version 1");
    run("model rollback --stage production --reason complaints", "")
        .expect(0)
        .says("production is back at flight-delay version 1 (0.1.0), from version 2");
    let trace = run("model trace 2", "").expect(0);
    for told in [
        "flight-delay version 2 (0.3.0)",
        "training: 26,398 rows of db/training.sql under schema revision 0004 (md5 ",
        "PostgreSQL 15",
        &format!("commit {}", "c".repeat(40)),
        "warned: 60 passed, 7 warned",
        "model/model.onnx, sha256 764250fc",
        "deployed   to production",
        "when it was rolled back",
    ] {
        assert!(trace.out.contains(told), "{told:?} is not in\n{}", trace.out);
    }
    // The same story from its other ends.
    let md5 = registry.sql("select md5 from mlops.version_dataset limit 1");
    for args in [format!("model trace --dataset {}", &md5[..8]), "model trace --commit ccccccc".into(), "model trace --deployment 2".into()] {
        run(&args, "").expect(0).says("flight-delay version 2 (0.3.0)");
    }
    let graph = run("model trace 2 --mermaid", "").expect(0).out;
    assert!(graph.starts_with("graph LR\n") && graph.contains("-->|promote|"), "{graph}");
    let card = run("model export 2 --as card", "").expect(0).out;
    assert!(card.contains("# flight-delay, version 2") && card.contains("| delay.roc&#95;auc | 0.8921 |"), "{card}");
    let history = run("model history", "").expect(0).out;
    let kinds: Vec<&str> = history.lines().rev().filter_map(|line| line.split("  ").nth(2)).collect();
    assert_eq!(
        kinds,
        [
            "registered version 1 (0.1.0)",
            "promoted version 1 to production",
            "registered version 2 (0.3.0)",
            "promoted version 2 to production instead of version 1",
            "rolled production back to version 1 from version 2: complaints",
        ]
    );
    run("model verify", "").expect(0).says("2 artifacts verified");
}

#[test]
fn provenance_is_a_statement_that_openssl_can_verify() {
    let db = Db::new();
    let project = small(&db, "");
    mlops(&project, "anna", "run").env("GIT_COMMIT", &"d".repeat(40)).run().expect(0);
    let statement = run(&project, "model export 1 --as provenance").expect(0).json();
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["subject"][0]["digest"]["sha256"].as_str(), Some(&*db.sql("select artifact_sha256 from mlops.model_version")));
    assert_eq!(statement["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"]["gitCommit"], json!("d".repeat(40)));
    let sh = |script: &str| {
        let output = std::process::Command::new("sh").args(["-ec", script]).current_dir(project.path()).output().expect("sh");
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    sh("openssl genpkey -algorithm ed25519 -out ed.pem; openssl pkey -in ed.pem -pubout -out ed.pub");
    sh(
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem; openssl pkey -in ec.pem -pubout -out ec.pub; openssl genrsa -out rsa.pem 2048",
    );
    for (key, verify) in [
        ("ed", "openssl pkeyutl -verify -pubin -inkey ed.pub -rawin -in signed -sigfile sig"),
        ("ec", "openssl dgst -sha256 -verify ec.pub -signature sig signed"),
    ] {
        let envelope = run(&project, &format!("model export 1 --as provenance --key {key}.pem")).expect(0).json();
        project.write("payload.b64", envelope["payload"].as_str().expect("payload"));
        project.write("sig.b64", envelope["signatures"][0]["sig"].as_str().expect("signature"));
        sh(
            "base64 -d payload.b64 > payload; base64 -d sig.b64 > sig; printf 'DSSEv1 28 application/vnd.in-toto+json %s ' $(wc -c < payload) > signed; cat payload >> signed",
        );
        sh(verify);
        let inside: Json = serde_json::from_slice(&sh("cat payload")).expect("JSON");
        assert_eq!(inside, statement);
    }
    run(&project, "model export 1 --as provenance --key rsa.pem").expect(2).says("neither Ed25519 nor ECDSA P-256");
    run(&project, "model export 1 --as card --key ed.pem").expect(2);
}

#[test]
fn slips_in_the_section_are_named() {
    let db = Db::new();
    for (registry, said) in [
        ("  promote: {to: prod}\n  stages: {production: {}}\n", "did you mean `production`?"),
        ("  stages: {a: {after: b}, b: {after: a}}\n", "would come after itself"),
        ("  stages: {a: {after: a}}\n", "would come after itself"),
        ("  stages: {a: {soak: 1h}}\n", "name it in `after`"),
        ("  stages: {a: {approvals: 2, approvers: [x]}}\n", "2 approvals are asked for, of 1 approvers"),
        ("  stages: {a: {aprovals: 2}}\n", "approvals"),
        ("  mlflow: {uri: \"localhost:5000\"}\n", "http://"),
        ("  mlflow: {uri: \"http://h\"}\n  stages: {latest: {}}\n", "MLflow keeps the alias `latest` for itself"),
    ] {
        let project = small(&db, registry);
        run(&project, "validate").expect(2).says(said);
    }
    let project = small(&db, "");
    project.replace("mlops.yml", "artifacts: ./kept", "artifacts: mlflow");
    run(&project, "validate").expect(2).says("`artifacts: mlflow` needs `registry.mlflow`");
}

#[test]
fn the_champion_is_the_model_that_stands_in_a_stage() {
    let db = Db::new();
    let golden = crate::support::root().join("fixtures/golden/onnx");
    let project = project::with(&[]);
    // Rows with a key of their own, and the names of the features.
    let script = format!(
        "import pandas as pd\nd = pd.read_parquet('{}')\nd = d[[c for c in d.columns if not c.startswith('expected')]]\nd['id'] = range(len(d))\n\
         d.to_parquet('{}/rows.parquet')\nprint(', '.join(c for c in d.columns if c not in ('label', 'id')))",
        golden.join("logistic.parquet").display(),
        project.path().display()
    );
    let made = std::process::Command::new(crate::support::bin::peer("readers/bin/python")).args(["-c", &script]).output().expect("python");
    let features = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    let yml = format!(
        "version: 1\nproject: p\ndatabase: {{url: \"{}\"}}\nmodel: {{name: m, version: \"${{LABEL:-one}}\", artifact: model.onnx}}\n\
         gates:\n  model:\n    g:\n      predictions: {{file: rows.parquet, onnx: model.onnx, label: label, key: id, features: [{features}]}}\n\
         \x20     metrics: {{roc_auc: {{min: 0.9}}}}\n\
         \x20     champion: {{predictions: {{registry: production}}, metric: roc_auc, if_missing: skipped}}\n\
         registry: {{artifacts: ./kept, promote: {{to: production}}}}\n",
        db.url()
    );
    project.write("mlops.yml", &yml);
    let copy = |from: &str| std::fs::copy(golden.join(from), project.path().join("model.onnx")).expect("copy");
    let run = |label: &str| mlops(&project, "anna", "run").env("LABEL", label).run();
    copy("decision_tree.onnx");
    run("one").expect(0).says("there is no champion yet: ").says("no version of m stands in production").says("version 1 stands in production now");
    copy("logistic.onnx");
    run("two").expect(0).says("the champion's 0.9667 on the same 200 rows").says("it is better").says("version 2 stands in production now");
    // The worse one again: the champion that stands there now keeps it out.
    copy("decision_tree.onnx");
    run("three").expect(1).says("it is worse");
    assert_eq!(db.sql("select count(*) from mlops.model_version"), "2");
    // Without the words for it, no champion is no answer.
    project.replace("mlops.yml", ", if_missing: skipped", "");
    project.replace("mlops.yml", "registry: production", "registry: nowhere");
    run("four").expect(3).says("no version of m stands in nowhere");
}

#[test]
fn a_stage_may_forbid_that_anything_is_passed_and_odd_files_are_no_artifact() {
    let db = Db::new();
    let project = three(&db, "  stages: {production: {approvals: 1, overrides: false}}\n");
    refused(&project, "model promote 1 --to production --allow approval_missing --reason hurry", &["approval_missing"]);
    // A list of files that leads elsewhere, or is not the one that was registered.
    project.replace("mlops.yml", "artifact: model.bin", "artifact: model");
    project.write("model/a.txt", "a");
    mlops(&project, "anna", "run").env("LABEL", "folder").run().expect(0);
    std::fs::remove_dir_all(project.path().join("model")).expect("gone");
    let listed = |path: &str| {
        let set = format!("jsonb_set(artifact_files, '{{0,path}}', '\"{path}\"')");
        db.sql(&format!("set session_replication_role = replica; update mlops.model_version set artifact_files = {set} where version = 4"));
    };
    listed("../../escaped");
    run(&project, "model fetch 4 --to out").expect(3).says("leads out of it");
    assert!(!project.has("out") && !project.has("../escaped"));
    listed("b.txt");
    run(&project, "model fetch 4 --to out").expect(3).says("is not the one that was registered");
    // A pipe would be waited for.
    std::fs::create_dir(project.path().join("model")).expect("folder");
    assert!(std::process::Command::new("mkfifo").arg(project.path().join("model/pipe")).status().expect("mkfifo").success());
    mlops(&project, "anna", "run").env("LABEL", "pipe").run().expect(3).says("it is no file");
    // A label that would mean something else.
    for label in ["latest", "@staging"] {
        mlops(&project, "anna", "validate").env("LABEL", label).run().expect(2).says("another label");
    }
    project.replace("mlops.yml", "artifacts: ./kept", "artifacts: \"s3://key:hunter2@bucket/x\"");
    run(&project, "validate").expect(2).says("would stand in the registry");
}

#[test]
fn what_is_stored_later_is_found_by_its_digest() {
    let db = Db::new();
    let project = small(&db, "");
    project.replace("mlops.yml", "  artifacts: ./kept\n", "  mlflow: {uri: \"\"}\n");
    mlops(&project, "anna", "run").run().expect(0);
    assert_eq!(db.sql("select artifact_uri is null from mlops.model_version"), "t");
    project.replace("mlops.yml", "  mlflow: {uri: \"\"}\n", "  artifacts: ./kept\n");
    mlops(&project, "anna", "run").run().expect(0).says("registered already");
    project.write("model.bin", "other bytes");
    run(&project, "model fetch 1 --to back.bin").expect(0);
    assert_eq!(project.read("back.bin"), "bytes of one");
    run(&project, "model promote 1 --to production").expect(0);
}

#[test]
fn what_a_run_writes_itself_is_no_change_that_was_not_committed() {
    let db = Db::new();
    let project = small(&db, "");
    project.write("mlops.yml", &format!("{}datasets:\n  d: {{table: t, order_by: [x], out: d.parquet}}\n", project.read("mlops.yml")));
    let git = |args: &str| {
        let output = std::process::Command::new("git").args(args.split(' ')).current_dir(project.path()).output().expect("git");
        assert!(output.status.success(), "git {args}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let dirty = |label: &str| {
        mlops(&project, "anna", "run").env("LABEL", label).run().expect(0);
        db.sql(&format!("select git_dirty, length(git_sha) from mlops.model_version where label = '{label}'"))
    };
    git("init -q");
    mlops(&project, "anna", "run --stages snapshot").run().expect(0);
    git("add -A");
    git("-c user.name=a -c user.email=a@b commit -qm all");
    db.sql("insert into t values (500, 500)");
    assert_eq!(dirty("one"), "f|40", "the dataset and its pointer are the run's own");
    project.write("model.bin", "other bytes");
    assert_eq!(dirty("two"), "t|40");
}
