use serde_json::{Value as Json, json};

use crate::support::bin::{Ended, Mlops};
use crate::support::forge::Forge;
use crate::support::project::{self, Project};

const CONFIG: &str =
    "version: 1\nproject: p\ngates:\n  model:\n    m:\n      predictions: {file: p.csv, label: y, score: p}\n      metrics: {roc_auc: 0.9}\n";

fn project() -> Project {
    let event = json!({"pull_request": {"number": 7, "head": {"sha": "0123456789abcdef", "repo": {"full_name": "o/r"}}}});
    project::with(&[("mlops.yml", CONFIG), ("p.csv", "y,p\n1,0.9\n0,0.1\n"), ("event.json", &event.to_string())])
}

fn github(project: &Project, forge: &Forge) -> Mlops {
    forge.as_github(Mlops::new(project.path()).args(["run"]), project).env("INPUT_TOKEN", "ghs_secret-token")
}

fn gitlab(project: &Project, forge: &Forge) -> Mlops {
    Mlops::new(project.path())
        .args(["run"])
        .env("GITLAB_CI", "true")
        .env("CI_PROJECT_ID", "99")
        .env("CI_MERGE_REQUEST_IID", "7")
        .env("CI_API_V4_URL", &forge.gitlab())
}

fn bodies(state: &Json, key: &str) -> Vec<String> {
    let ours = |c: &&Json| c["body"].as_str().is_some_and(|b| b.starts_with("<!-- mlops-action p/ -->"));
    state[key].as_array().expect("list").iter().filter(ours).map(|c| c["body"].as_str().expect("body").to_owned()).collect()
}

#[test]
fn github_gets_one_comment_that_follows_the_verdict() {
    let (project, forge) = (project(), Forge::start());
    forge.crowd("comments", 250);
    github(&project, &forge).run().expect(0).says("comment posted").says("::group::");
    let first = bodies(&forge.state(), "comments");
    assert!(first.len() == 1 && first[0].contains("✅ p: passed") && first[0].contains("commit 0123456789ab"), "{first:?}");
    project.write("p.csv", "y,p\n1,0.1\n0,0.9\n");
    github(&project, &forge).run().expect(1).says("comment updated").says("::error file=mlops.yml,line=7,col=17,title=m roc_auc::roc_auc is 0.0000");
    let second = bodies(&forge.state(), "comments");
    assert!(second.len() == 1 && second[0].contains("❌ p: failed"), "{second:?}");
    let summary = project.read("summary.md");
    assert!(summary.contains("✅ p: passed") && summary.contains("❌ p: failed"), "a summary is appended to");
    assert!(project.read("output.txt").starts_with("verdict=passed\npassed=2\n") && project.read("output.txt").contains("verdict=failed\n"));
}

#[test]
fn a_marker_planted_by_someone_else_is_left_alone() {
    let (project, forge) = (project(), Forge::start());
    forge.control(&json!({"comments": [{"author": "mallory", "body": "<!-- mlops-action p/ -->\nmine"}]}));
    github(&project, &forge).run().expect(0).says("comment posted");
    let all = bodies(&forge.state(), "comments");
    assert!(all.len() == 2 && all[0].ends_with("mine"), "{all:?}");
}

#[test]
fn what_cannot_be_posted_is_a_warning_with_its_reason() {
    let (project, forge) = (project(), Forge::start());
    for status in [401, 403, 404, 422, 429, 500, 503] {
        forge.control(&json!({"fail": {"method": "POST", "status": status}}));
        let ended = github(&project, &forge).run().expect(0).says("WARN comment: POST /repos/o/r/issues/7/comments");
        assert!(ended.err.contains(&status.to_string()), "{}", ended.err);
        assert!(project.read("summary.md").contains("p: passed"));
    }
    forge.control(&json!({"fail": {"method": "POST", "status": 403}}));
    github(&project, &forge).run().says("pull-requests: write");
    github(&project, &forge).args(["--require-comment"]).run().expect(3);
    github(&project, &forge).args(["--comment", "never"]).run().expect(0);
}

#[test]
fn a_forge_that_does_not_answer_is_a_warning_too() {
    let (project, forge) = (project(), Forge::start());
    let ended: Ended = github(&project, &forge).env("GITHUB_API_URL", "http://127.0.0.1:9").run().expect(0);
    ended.says("WARN comment: GET /repos/o/r/issues/7/comments");
}

#[test]
fn a_push_gets_no_comment_unless_it_is_asked_for() {
    let (project, forge) = (project(), Forge::start());
    project.write("event.json", "{\"ref\": \"refs/heads/main\"}");
    github(&project, &forge).run().expect(0);
    assert_eq!(forge.state()["log"], json!([]));
    github(&project, &forge).args(["--comment", "always"]).run().expect(0).says("there is no pull or merge request");
}

#[test]
fn gitlab_gets_one_note_below_a_sub_path_and_the_console_folds() {
    let (project, forge) = (project(), Forge::start());
    forge.crowd("notes", 130);
    let ended = gitlab(&project, &forge).env("GITLAB_TOKEN", "glpat-secret-token").run().expect(0).says("comment posted");
    assert!(ended.out.contains("\u{1b}[0Ksection_start:") && ended.out.contains("[collapsed=true]\r\u{1b}[0K"), "{:?}", ended.out);
    gitlab(&project, &forge).env("GITLAB_TOKEN", "glpat-secret-token").run().expect(0).says("comment u");
    assert_eq!(bodies(&forge.state(), "notes").len(), 1);
    assert_eq!(project.read("mlops-out/outputs.env").lines().next(), Some("MLOPS_VERDICT=passed"));
}

#[test]
fn gitlabs_job_token_cannot_write_and_says_what_can() {
    let (project, forge) = (project(), Forge::start());
    gitlab(&project, &forge).env("CI_JOB_TOKEN", "glcbt-secret-token").run().expect(0).says("set GITLAB_TOKEN to a project access token");
    assert_eq!(forge.state()["log"], json!([]));
}
