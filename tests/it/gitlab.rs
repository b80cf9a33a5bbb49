use serde_json::{Value as Json, json};

use crate::support::bin::Mlops;
use crate::support::forge::Forge;
use crate::support::project::{self, Project};

const CONFIG: &str = "version: 1\nproject: p\nreport: {timeout: 9s}\ngates:\n  model:\n    m:\n      predictions: {file: p.csv, label: y, score: p}\n      metrics: {roc_auc: 0.9}\n";

fn project() -> Project {
    project::with(&[("mlops.yml", CONFIG), ("p.csv", "y,p\n1,0.9\n0,0.1\n")])
}

fn branch(project: &Project, forge: &Forge) -> Mlops {
    Mlops::new(project.path())
        .args(["run"])
        .env("GITLAB_CI", "true")
        .env("CI_PROJECT_ID", "99")
        .env("CI_PIPELINE_ID", "50")
        .env("CI_JOB_ID", "500")
        .env("CI_COMMIT_SHA", "merge")
        .env("CI_JOB_URL", "https://gitlab.example/g/p/-/jobs/500")
        .env("CI_API_V4_URL", &forge.gitlab())
}

fn merge_request(project: &Project, forge: &Forge) -> Mlops {
    branch(project, forge).env("CI_PIPELINE_SOURCE", "merge_request_event").env("CI_MERGE_REQUEST_IID", "7")
}

fn token(run: Mlops) -> Mlops {
    run.env("GITLAB_TOKEN", "glpat-secret-token")
}

fn ours(state: &Json) -> Vec<String> {
    let ours = |c: &&Json| c["body"].as_str().is_some_and(|b| b.starts_with("<!-- mlops-action p/ "));
    state["notes"].as_array().expect("list").iter().filter(ours).map(|c| c["body"].as_str().expect("body").to_owned()).collect()
}

#[test]
fn one_note_below_a_sub_path_over_all_pages_and_the_console_folds() {
    let (project, forge) = (project(), Forge::start());
    forge.control(&json!({"notes": vec![json!({"author": "someone", "body": "hi"}); 130]}));
    let ended = token(merge_request(&project, &forge)).run().expect(0).says("comment posted");
    assert!(ended.out.contains("\u{1b}[0Ksection_start:") && ended.out.contains("[collapsed=true]\r\u{1b}[0K"), "{:?}", ended.out);
    token(merge_request(&project, &forge)).env("CI_JOB_ID", "501").run().expect(0).says("comment updated");
    assert_eq!(ours(&forge.state()).len(), 1, "the note stands on page 2");
    token(merge_request(&project, &forge)).run().expect(0).says("comment left alone: run 50.501 is newer");
    assert_eq!(project.read("mlops-out/outputs.env").lines().next(), Some("MLOPS_VERDICT=passed"));
}

#[test]
fn what_the_system_or_somebody_else_wrote_is_left_alone() {
    let (project, forge) = (project(), Forge::start());
    let planted = |author: &str| json!({"author": author, "body": "<!-- mlops-action p/ run=999.1 content=x -->\nmine"});
    forge.control(&json!({"notes": [planted("system"), planted("mallory")]}));
    token(merge_request(&project, &forge)).run().expect(0).says("comment posted");
    assert_eq!(ours(&forge.state()).len(), 3);
}

#[test]
fn without_a_token_that_can_write_it_says_which_one_can() {
    let (project, forge) = (project(), Forge::start());
    merge_request(&project, &forge).run().expect(0).says("set GITLAB_TOKEN to a project access token");
    let ended = merge_request(&project, &forge).env("CI_JOB_TOKEN", "glcbt-secret-token").run().expect(0);
    ended.says("set GITLAB_TOKEN to a project access token").says("a job token (glcbt-) cannot write notes");
    merge_request(&project, &forge).args(["--token", "glcbt-another-secret"]).run().expect(0).says("cannot write notes");
    assert_eq!(forge.state()["log"], json!([]));
    merge_request(&project, &forge).args(["--require-comment"]).run().expect(3);
}

#[test]
fn missing_rights_show_as_404_and_limits_are_waited_out() {
    let (project, forge) = (project(), Forge::start());
    for (status, remedy) in [(404, "at least the Reporter role"), (403, "at least the Reporter role"), (401, "has expired")] {
        forge.control(&json!({"fail": {"method": "GET", "path": "notes", "status": status, "times": 9}}));
        token(merge_request(&project, &forge)).run().expect(0).says("WARN comment: GET").says(remedy);
    }
    forge.control(&json!({"fail": {"method": "POST", "path": "notes", "status": 429, "headers": {"Retry-After": "1"}, "times": 1}}));
    token(merge_request(&project, &forge)).run().expect(0).says("asking again in").says("comment posted");
}

#[test]
fn a_branch_pipeline_finds_its_merge_request_and_a_merged_result_its_source() {
    let (project, forge) = (project(), Forge::start());
    token(branch(&project, &forge)).run().expect(0);
    assert_eq!(ours(&forge.state()).len(), 0, "there is none");
    forge.control(&json!({"pulls": [{"number": 3, "sha": "merge", "state": "merged"}, {"number": 7, "sha": "merge"}]}));
    token(branch(&project, &forge)).run().expect(0).says("comment posted");
    assert!(forge.calls("POST")[0].ends_with("/projects/99/merge_requests/7/notes"));
    branch(&project, &forge).env("CI_JOB_TOKEN", "glcbt-secret-token").run().expect(0);
    token(merge_request(&project, &forge)).env("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "fedcba9876543210").run().expect(0);
    assert!(ours(&forge.state())[0].contains("commit fedcba987654"), "not the merge commit");
    // A fork's pipeline runs in the fork; the merge request is the parent's.
    let fork = merge_request(&project, &forge).env("CI_MERGE_REQUEST_PROJECT_ID", "1").env("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "99");
    fork.run().expect(0).says("the change comes from a fork").says("set GITLAB_TOKEN");
}

#[test]
fn recreated_notes_take_the_place_of_the_old_ones() {
    let (project, forge) = (project(), Forge::start());
    project.write("mlops.yml", &CONFIG.replace("{timeout: 9s}", "{timeout: 9s, comment_mode: recreate}"));
    token(merge_request(&project, &forge)).run().expect(0).says("comment posted");
    project.write("p.csv", "y,p\n1,0.1\n0,0.9\n");
    token(merge_request(&project, &forge)).env("CI_JOB_ID", "501").run().expect(1).says("comment posted anew");
    let state = forge.state();
    assert_eq!(ours(&state).len(), 1);
    assert_eq!(state["notes"].as_array().expect("notes").len(), 1, "GitLab cannot fold");
}

#[test]
fn a_status_that_is_there_already_is_no_error() {
    let (project, forge) = (project(), Forge::start());
    project.write("mlops.yml", &CONFIG.replace("{timeout: 9s}", "{timeout: 9s, commit_status: true, check_run: true}"));
    for _ in 0..2 {
        let ended = token(merge_request(&project, &forge)).run().expect(0).says("commit status");
        assert!(!ended.err.contains("WARN"), "{}", ended.err);
    }
    assert_eq!(
        forge.state()["statuses"],
        json!([{"state": "success", "name": "mlops p", "description": "passed: 2 passed", "target_url": "https://gitlab.example/g/p/-/jobs/500"}])
    );
}

#[test]
fn reports_are_as_gitlab_reads_them() {
    let (project, forge) = (project(), Forge::start());
    project.write("p.csv", "y,p\n1,0.1\n0,0.9\n");
    merge_request(&project, &forge).run().expect(1);
    let quality: Json = serde_json::from_str(&project.read("mlops-out/gl-code-quality-report.json")).expect("json");
    assert_eq!(
        (&quality[0]["location"], &quality[0]["check_name"]),
        (&json!({"path": "mlops.yml", "lines": {"begin": 8}}), &json!("evaluate/roc_auc"))
    );
    let links: Json = serde_json::from_str(&project.read("mlops-out/gl-annotations.json")).expect("json");
    assert_eq!(links["mlops"][0]["external_link"]["url"], "https://gitlab.example/g/p/-/jobs/500/artifacts/file/mlops-out/report.html");
    let dotenv = project.read("mlops-out/outputs.env");
    assert!(dotenv.len() < 5 << 10 && (10..=20).contains(&dotenv.lines().count()), "{dotenv}");
    let keys = dotenv.lines().map(|line| line.split_once('=').expect("key").0);
    assert!(keys.into_iter().all(|key| key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')), "{dotenv}");
    assert!(project.read("mlops-out/metrics.prom").contains("mlops_measure{stage=\"evaluate\",subject=\"m\",name=\"roc_auc\"} 0.0\n"));
    let junit = project.read("mlops-out/junit.xml");
    assert!(junit.contains("classname=\"evaluate.m\"") && junit.len() < 20 << 20, "{junit}");
}

#[test]
fn on_kubernetes_services_share_the_pods_loopback() {
    let (project, forge) = (project(), Forge::start());
    let config = "version: 1\nproject: p\ndatabase: {url: \"postgres://u@127.0.0.1:9/d\", connect_timeout: 1s}\nmigrate: {dir: db}\n";
    project.write("mlops.yml", config);
    project.write("db/1_a.up.sql", "select 1;");
    let ended = branch(&project, &forge).env("KUBERNETES_SERVICE_HOST", "10.0.0.1").run().expect(3);
    ended.says("on the Kubernetes executor services share the job's `localhost`");
}

#[test]
fn the_exit_codes_are_those_that_a_pipeline_can_allow() {
    let (project, forge) = (project(), Forge::start());
    let code = |gate: &str, args: &'static [&'static str], code: i32| {
        project.write("mlops.yml", &CONFIG.replace("roc_auc: 0.9", gate));
        let ended = merge_request(&project, &forge).args(["--comment", "never"]).args(args.iter().copied()).run().expect(code);
        let verdict = project.read("mlops-out/outputs.env").lines().next().expect("verdict").to_owned();
        (ended.code, verdict)
    };
    let verdict = |word: &str| format!("MLOPS_VERDICT={word}");
    assert_eq!(code("roc_auc: 0.9", &[], 0), (0, verdict("passed")));
    assert_eq!(code("roc_auc: {min: 0.9, warn: 1.1}", &[], 0), (0, verdict("warned")));
    assert_eq!(code("roc_auc: {min: 0.9, warn: 1.1}", &["--warn-exit-code", "10"], 10), (10, verdict("warned")));
    assert_eq!(code("roc_auc: {min: 0.9, warn: 1.1}", &["--fail-on", "warned", "--warn-exit-code", "10"], 1), (1, verdict("failed")));
    assert_eq!(code("roc_auc: {min: 0.9}, f1: {min: 1.0}, log_loss: {max: 0.01}", &["--warn-exit-code", "10"], 1), (1, verdict("failed")));
    std::fs::remove_file(project.path().join("p.csv")).expect("gone");
    assert_eq!(code("roc_auc: 0.9", &[], 3), (3, verdict("broken")));
    project.write("mlops.yml", &CONFIG.replace("metrics", "metrcs"));
    merge_request(&project, &forge).run().expect(2);
}
