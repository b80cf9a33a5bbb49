use serde_json::{Value as Json, json};

use crate::support::bin::Mlops;
use crate::support::forge::Forge;
use crate::support::project::{self, Project};

const CONFIG: &str = "version: 1\nproject: p\nreport: {timeout: 6s}\ngates:\n  model:\n    m:\n      predictions: {file: p.csv, label: y, score: p}\n      metrics: {roc_auc: 0.9}\n";
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

fn pull_request(head: &str) -> Json {
    json!({"action": "synchronize", "number": 7, "pull_request": {"number": 7, "head": {"ref": "f", "sha": SHA, "repo": {"full_name": head}}}})
}

fn project() -> Project {
    let event = pull_request("o/r").to_string();
    project::with(&[("mlops.yml", CONFIG), ("p.csv", "y,p\n1,0.9\n0,0.1\n"), ("event.json", &event)])
}

fn with(report: &str) -> Project {
    let project = project();
    project.write("mlops.yml", &CONFIG.replace("{timeout: 6s}", report));
    project
}

fn github(project: &Project, forge: &Forge) -> Mlops {
    forge.as_github(Mlops::new(project.path()).args(["run"]), project).env("INPUT_TOKEN", "ghs_secret-token").env("GITHUB_EVENT_NAME", "pull_request")
}

fn worse(project: &Project) {
    project.write("p.csv", "y,p\n1,0.1\n0,0.9\n");
}

fn ours(state: &Json) -> Vec<String> {
    let ours = |c: &&Json| c["body"].as_str().is_some_and(|b| b.starts_with("<!-- mlops-action p/ "));
    state["comments"].as_array().expect("list").iter().filter(ours).map(|c| c["body"].as_str().expect("body").to_owned()).collect()
}

#[test]
fn one_comment_follows_the_verdict_over_all_pages() {
    let (project, forge) = (project(), Forge::start());
    forge.control(&json!({"comments": vec![json!({"author": "someone", "body": "hi"}); 250]}));
    github(&project, &forge).run().expect(0).says("comment posted").says("::group::");
    let first = ours(&forge.state());
    assert!(first.len() == 1 && first[0].contains("✅ p: passed") && first[0].contains("commit 0123456789ab"), "{first:?}");
    assert!(first[0].starts_with("<!-- mlops-action p/ run=100.1 content="), "{first:?}");
    worse(&project);
    let place = "::error file=mlops.yml,line=8,col=17,title=m roc_auc::roc_auc is 0.0000";
    github(&project, &forge).run().expect(1).says("comment updated").says(place);
    let second = ours(&forge.state());
    assert!(second.len() == 1 && second[0].contains("❌ p: failed"), "the marker stands on page 3: {second:?}");
    let summary = project.read("summary.md");
    assert!(summary.contains("✅ p: passed") && summary.contains("❌ p: failed"), "a summary is appended to");
    assert!(project.read("output.txt").starts_with("verdict=passed\npassed=2\n") && project.read("output.txt").contains("verdict=failed\n"));
}

#[test]
fn a_marker_planted_by_someone_else_is_left_alone() {
    let (project, forge) = (project(), Forge::start());
    forge.control(&json!({"comments": [{"author": "mallory", "body": "<!-- mlops-action p/ run=999999.1 content=x -->\nmine"}]}));
    github(&project, &forge).run().expect(0).says("comment posted");
    let all = ours(&forge.state());
    assert!(all.len() == 2 && all[0].ends_with("mine"), "{all:?}");
}

#[test]
fn an_older_run_that_ends_last_leaves_the_comment_alone() {
    let (project, forge) = (project(), Forge::start());
    github(&project, &forge).env("GITHUB_RUN_ID", "101").run().expect(0).says("comment posted");
    worse(&project);
    github(&project, &forge).env("GITHUB_RUN_ATTEMPT", "7").run().expect(1).says("comment left alone: run 101.1 is newer");
    assert!(ours(&forge.state())[0].contains("passed"));
    github(&project, &forge).env("GITHUB_RUN_ID", "101").env("GITHUB_RUN_ATTEMPT", "2").run().expect(1).says("comment updated");
    assert!(ours(&forge.state())[0].contains("failed"));
}

#[test]
fn of_two_jobs_that_create_at_once_one_comment_stays_with_the_newest_text() {
    for (racer, stays) in [("run=100.0", "✅ p: passed"), ("run=900.1", "the racer's")] {
        let (project, forge) = (project(), Forge::start());
        forge.control(&json!({"racer": format!("<!-- mlops-action p/ {racer} content=x -->\nthe racer's")}));
        github(&project, &forge).run().expect(0).says("comment posted");
        let all = ours(&forge.state());
        assert!(all.len() == 1 && all[0].contains(stays), "{racer}: {all:?}");
    }
}

#[test]
fn of_many_jobs_that_write_at_once_the_newest_stays() {
    for seeded in [false, true] {
        let forge = Forge::start();
        if seeded {
            let old = json!({"author": "github-actions[bot]", "body": "<!-- mlops-action p/ run=1.1 content=x -->\nold"});
            forge.control(&json!({"comments": [old]}));
        }
        let projects: Vec<Project> = (0..6).map(|_| with("{timeout: 30s}")).collect();
        let runs = projects.iter().enumerate().map(|(i, project)| {
            if i == 5 {
                worse(project);
            }
            let mut run = github(project, &forge).env("GITHUB_RUN_ID", &format!("{}", 200 + i)).command();
            run.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().expect("start")
        });
        for mut run in runs.collect::<Vec<_>>() {
            run.wait().expect("end");
        }
        let all = ours(&forge.state());
        assert!(all.len() == 1 && all[0].contains("run=205.1 ") && all[0].contains("❌"), "{seeded}: {all:?}");
    }
}

#[test]
fn duplicates_of_earlier_races_collapse_to_the_oldest() {
    let (project, forge) = (project(), Forge::start());
    let old = |run: u32| json!({"author": "github-actions[bot]", "body": format!("<!-- mlops-action p/ run={run}.1 content=x -->\nold")});
    forge.control(&json!({"comments": [{"author": "someone", "body": "hi"}, old(1), old(2), old(3)]}));
    github(&project, &forge).run().expect(0).says("comment updated");
    let state = forge.state();
    assert_eq!(ours(&state).len(), 1);
    assert_eq!(state["comments"].as_array().expect("list").iter().map(|c| c["id"].as_u64().expect("id")).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn recreated_comments_fold_the_old_ones_and_the_same_news_is_no_news() {
    let (project, forge) = (with("{timeout: 9s, comment_mode: recreate}"), Forge::start());
    let run = |id: &str| github(&project, &forge).env("GITHUB_RUN_ID", id).run();
    run("100").expect(0).says("comment posted");
    run("101").expect(0).says("comment updated");
    worse(&project);
    run("102").expect(1).says("comment posted anew");
    let state = forge.state();
    let all = ours(&state);
    assert!(all.len() == 1 && all[0].contains("failed"), "{all:?}");
    assert_eq!(state["minimized"], json!(["IC_1"]));
    assert!(state["comments"][0]["body"].as_str().expect("body").starts_with("<!-- mlops-action: outdated -->\n## ✅"));
    run("103").expect(1).says("comment updated");
    assert_eq!(forge.state()["minimized"], json!(["IC_1"]));
}

#[test]
fn jobs_may_have_comments_of_their_own() {
    let (project, forge) = (project(), Forge::start());
    github(&project, &forge).env("INPUT_COMMENT-KEY", "py 3.12").run().expect(0).says("comment posted");
    github(&project, &forge).args(["--comment-key", "py--3.13"]).run().expect(0).says("comment posted");
    github(&project, &forge).env("INPUT_COMMENT-KEY", "py 3.12").run().expect(0).says("comment u");
    let state = forge.state();
    let first = |i: usize| state["comments"][i]["body"].as_str().expect("body").split(" run=").next().expect("key").to_owned();
    assert_eq!([first(0), first(1)], ["<!-- mlops-action p//py%203.12", "<!-- mlops-action p//py-%2D3.13"]);
}

#[test]
fn every_refusal_of_every_call_is_a_warning_with_its_reason_and_remedy() {
    let (project, forge) = (project(), Forge::start());
    let calls = [("GET", "issues/7/comments"), ("POST", "issues/7/comments"), ("PATCH", "issues/comments/1")];
    for (method, path) in calls {
        if method == "PATCH" {
            forge.control(&json!({"fail": null}));
            github(&project, &forge).run().expect(0).says("comment posted");
        }
        for (status, remedy) in [(401, "is not valid"), (403, "pull-requests: write"), (404, "may not see it"), (422, "please report it")] {
            forge.control(&json!({"fail": {"method": method, "path": path, "status": status, "times": 9}}));
            let ended = github(&project, &forge).env("GITHUB_RUN_ID", &format!("2{status}")).run().expect(0);
            let said = format!("WARN comment: {method} {}/repos/o/r/{path}", forge.github());
            assert!(ended.err.contains(&said) && ended.err.contains(&status.to_string()), "{method} {status}: {}", ended.err);
            ended.says(remedy).says("Refused by the test");
        }
    }
    assert!(project.read("summary.md").contains("p: passed"));
    forge.control(&json!({"fail": {"method": "POST", "status": 403, "headers": {"x-accepted-github-permissions": "issues=write"}, "times": 9}}));
    let fresh = project::with(&[("mlops.yml", CONFIG), ("p.csv", "y,p\n1,0.9\n0,0.1\n"), ("event.json", &pull_request("o/r").to_string())]);
    let other = Forge::start();
    other.control(&json!({"fail": {"method": "POST", "path": "issues", "status": 403, "headers": {"x-accepted-github-permissions": "issues=write"}, "times": 9}}));
    github(&fresh, &other).run().expect(0).says("(issues=write)").says("a token of a job or an app (ghs_)");
    github(&fresh, &other).args(["--require-comment"]).run().expect(3);
    github(&fresh, &other).args(["--comment", "never"]).run().expect(0);
    worse(&fresh);
    github(&fresh, &other).args(["--require-comment"]).run().expect(1).says("pull-requests: write");
}

#[test]
fn limits_and_outages_are_waited_out_as_long_as_there_is_time() {
    let patient = "{timeout: 20s}";
    let cases = [
        json!({"method": "POST", "path": "issues", "status": 429, "headers": {"retry-after": "1"}, "times": 1}),
        json!({"method": "POST", "path": "issues", "status": 403, "headers": {"retry-after": "1"}, "times": 1, "message": "You have exceeded a secondary rate limit"}),
        json!({"method": "GET", "path": "issues", "status": 502, "times": 1}),
        json!({"method": "POST", "path": "issues", "status": 503, "times": 1}),
        json!({"method": "GET", "path": "issues", "status": 0, "times": 1}),
    ];
    for fail in cases {
        let (project, forge) = (with(patient), Forge::start());
        forge.control(&json!({"fail": fail}));
        github(&project, &forge).run().expect(0).says("asking again in").says("comment posted");
        assert_eq!(ours(&forge.state()).len(), 1, "{fail}");
    }
    // The answer of a call that was done is lost: done again, but not there twice.
    let (project, forge) = (with(patient), Forge::start());
    forge.control(&json!({"fail": {"method": "POST", "path": "issues", "status": 504, "times": 1, "after": true}}));
    github(&project, &forge).run().expect(0);
    assert_eq!(ours(&forge.state()).len(), 1);
}

#[test]
fn what_does_not_fit_into_the_time_is_given_up_at_once() {
    for fail in [
        json!({"method": "POST", "path": "issues", "status": 429, "times": 99}),
        json!({"method": "POST", "path": "issues", "status": 403, "headers": {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "4102444800"}, "times": 99}),
        json!({"method": "POST", "path": "issues", "status": 500, "times": 99}),
        json!({"method": "POST", "path": "issues", "status": 0, "times": 99}),
    ] {
        let (project, forge) = (with("{timeout: 2s}"), Forge::start());
        forge.control(&json!({"fail": fail}));
        let started = std::time::Instant::now();
        github(&project, &forge).run().expect(0).says("WARN comment: POST");
        assert!(started.elapsed().as_secs() < 8, "{fail}: {:?}", started.elapsed());
        let posts = forge.calls("POST").iter().filter(|path| path.contains("issues")).count();
        assert!((1..=3).contains(&posts), "{fail}: {posts} calls");
    }
}

#[test]
fn a_host_that_does_not_answer_is_a_warning_too() {
    let (project, forge) = (project(), Forge::start());
    let ended = github(&project, &forge).env("GITHUB_API_URL", "http://127.0.0.1:9").run().expect(0);
    ended.says("WARN comment: GET http://127.0.0.1:9/repos/o/r/issues/7/comments").says("HTTPS_PROXY");
}

#[test]
fn an_enterprise_server_has_a_path_and_a_renamed_repository_moves() {
    let (project, forge) = (project(), Forge::start());
    github(&project, &forge).env("GITHUB_API_URL", &format!("{}/api/v3/", forge.github())).run().expect(0).says("comment posted");
    assert!(forge.calls("POST").contains(&"/api/v3/repos/o/r/issues/7/comments".to_owned()), "{:?}", forge.calls("POST"));
    let graphql: Vec<String> = forge.calls("POST").into_iter().filter(|path| path.contains("graphql")).collect();
    assert!(!graphql.is_empty() && graphql.iter().all(|path| path == "/api/graphql"), "{graphql:?}");
    let (project, forge) = (self::project(), Forge::start());
    forge.control(&json!({"moved": "same"}));
    github(&project, &forge).run().expect(0).says("comment posted");
    assert_eq!(ours(&forge.state()).len(), 1, "a redirect is followed as it was sent");
    forge.control(&json!({"moved": "https://elsewhere.example"}));
    github(&project, &forge).run().expect(0).says("307 Temporary Redirect to https://elsewhere.example, where the token is not sent");
}

#[test]
fn a_proxy_and_an_authority_of_the_machine_are_used() {
    let (project, forge) = (project(), Forge::start());
    let ended = github(&project, &forge).env("GITHUB_API_URL", "http://api.invalid").env("http_proxy", &forge.github()).run().expect(0);
    ended.says("comment posted");
    let project = with("{timeout: 2s, ca: ca.pem}");
    let (seen, sent) = std::sync::mpsc::channel();
    let seen = std::sync::Mutex::new(seen);
    let url = crate::support::http::serve_tls(project.path(), move |path, _| {
        let _ = seen.lock().expect("lock").send(path.to_owned());
        let body = if path.contains("comments?") { "[]" } else { "{\"id\": 1}" };
        (200, body.into(), std::time::Duration::ZERO)
    });
    github(&project, &forge).env("GITHUB_API_URL", &url).run().expect(0).says("comment posted");
    assert!(sent.recv().expect("a call").starts_with("/repos/o/r/issues/7/comments"));
    project.write("mlops.yml", CONFIG);
    github(&project, &forge).env("GITHUB_API_URL", &url).run().expect(0).says("certificate");
}

#[test]
fn a_forks_run_says_what_to_do_and_stays_green() {
    for (author, head) in [("stranger", "them/r"), ("dependabot[bot]", "o/r")] {
        let (project, forge) = (project(), Forge::start());
        project.write("event.json", &pull_request(head).to_string());
        forge.control(
            &json!({"fail": {"method": "POST", "path": "issues", "status": 403, "message": "Resource not accessible by integration", "times": 9}}),
        );
        let ended = github(&project, &forge).env("GITHUB_ACTOR", author).run().expect(0).says("Resource not accessible by integration");
        assert_eq!(ended.err.contains("the change comes from a fork"), head == "them/r", "{}", ended.err);
        assert!(project.read("summary.md").contains("✅ p: passed"));
    }
}

#[test]
fn events_without_a_change_get_no_comment_unless_it_is_asked_for() {
    let queue = json!({"action": "checks_requested", "merge_group": {"head_sha": SHA, "head_ref": "refs/heads/gh-readonly-queue/main/pr-7-0123", "base_ref": "refs/heads/main", "base_sha": "1".repeat(40)}});
    for (name, event) in [
        ("push", json!({"ref": "refs/heads/main"})),
        ("merge_group", queue),
        ("schedule", json!({})),
        ("issue_comment", json!({"issue": {"number": 3}})),
        (
            "workflow_run",
            json!({"workflow_run": {"id": 5, "event": "push", "head_sha": SHA, "head_branch": "main", "head_repository": {"full_name": "o/r"}}}),
        ),
    ] {
        let (project, forge) = (project(), Forge::start());
        project.write("event.json", &event.to_string());
        github(&project, &forge).env("GITHUB_EVENT_NAME", name).run().expect(0);
        assert_eq!(forge.state()["log"], json!([]), "{name}");
        if name != "issue_comment" {
            assert!(["push", "schedule"].contains(&name) || project.read("summary.md").contains("commit 0123456789ab"), "{name}");
        }
    }
    let (project, forge) = (project(), Forge::start());
    project.write("event.json", "{\"ref\": \"refs/heads/main\"}");
    let push = || github(&project, &forge).env("GITHUB_EVENT_NAME", "push").env("GITHUB_SHA", SHA).args(["--comment", "always"]);
    push().run().expect(0).says("there is no open pull request of this commit");
    let pull = |sha: &str, state: &str, number: u64| json!({"number": number, "sha": sha, "repo": "o/r", "branch": "f", "state": state});
    forge.control(&json!({"pulls": [pull(SHA, "closed", 5), pull(SHA, "open", 7)]}));
    push().run().expect(0).says("comment posted");
    forge.control(&json!({"pulls": []}));
    github(&project, &forge).env("GITHUB_EVENT_NAME", "push").args(["--pr-number", "9"]).run().expect(0).says("comment");
    assert!(forge.calls("GET").iter().any(|path| path.contains("issues/9/comments")));
}

#[test]
fn a_comment_on_a_pull_request_is_one_of_its_change() {
    let (project, forge) = (project(), Forge::start());
    project.write("event.json", &json!({"issue": {"number": 7, "pull_request": {"url": "x"}}, "comment": {"body": "/mlops"}}).to_string());
    github(&project, &forge).env("GITHUB_EVENT_NAME", "issue_comment").run().expect(0).says("comment posted");
}

#[test]
fn under_pull_request_target_nothing_of_mlops_yml_is_done_unless_allowed() {
    let (project, forge) = (project(), Forge::start());
    let fork =
        json!({"workflow_run": {"id": 5, "event": "pull_request", "head_sha": SHA, "head_branch": "f", "head_repository": {"full_name": "them/r"}}});
    for (name, event) in [("pull_request_target", pull_request("them/r")), ("workflow_run", fork)] {
        project.write("event.json", &event.to_string());
        let run = |verb: &'static str| forge.as_github(Mlops::new(project.path()).args([verb]), &project).env("GITHUB_EVENT_NAME", name);
        for verb in ["run", "check", "seed"] {
            run(verb).run().expect(2).says("nothing that mlops.yml says is done");
        }
        run("run").args(["--comment", "never", "--allow-pull-request-target"]).run().expect(0);
    }
}

#[test]
fn check_runs_and_statuses_are_opt_in() {
    let (project, forge) = (project(), Forge::start());
    github(&project, &forge).run().expect(0);
    assert_eq!((forge.state()["checks"].clone(), forge.state()["statuses"].clone()), (json!([]), json!([])));
    let project = with("{timeout: 9s, check_run: true, commit_status: true}");
    worse(&project);
    github(&project, &forge).run().expect(1).says("check run with 1 annotations").says("commit status");
    let state = forge.state();
    let check = &state["checks"][0];
    assert_eq!((&check["head_sha"], &check["conclusion"], &check["name"]), (&json!(SHA), &json!("failure"), &json!("mlops p")));
    let annotation = &check["output"]["annotations"][0];
    assert_eq!(
        (&annotation["path"], &annotation["start_line"], &annotation["annotation_level"]),
        (&json!("mlops.yml"), &json!(8), &json!("failure"))
    );
    assert_eq!(state["statuses"][0]["state"], "failure");
    assert_eq!(state["statuses"][0]["target_url"], "https://github.com/o/r/actions/runs/100");
    forge.control(&json!({"fail": {"method": "POST", "path": "check-runs|statuses", "status": 403, "times": 9}}));
    project.write("p.csv", "y,p\n1,0.9\n0,0.1\n");
    github(&project, &forge).run().expect(0).says("WARN check_run: POST").says("WARN commit_status: POST");
}

#[test]
fn a_comment_of_65_536_characters_is_never_sent_however_long_the_report() {
    let (project, forge) = (project(), Forge::start());
    let names: Vec<String> = (0..400).map(|i| format!("größe_🙂_{}_{i}", "ü".repeat(150))).collect();
    let gates: String = names
        .iter()
        .map(|name| format!("    \"{name}\":\n      predictions: {{file: p.csv, label: y, score: p}}\n      metrics: {{roc_auc: 0.9}}\n"))
        .collect();
    project.write("mlops.yml", &format!("version: 1\nproject: p\nreport: {{timeout: 5s}}\ngates:\n  model:\n{gates}"));
    worse(&project);
    github(&project, &forge).run().expect(1).says("comment posted");
    let body = ours(&forge.state()).remove(0);
    assert!((30_000..=65_536).contains(&body.chars().count()) && body.contains("more findings in `report.json`"), "{}", body.chars().count());
    assert!(project.path().join("summary.md").metadata().expect("summary").len() <= 1 << 20);
}

#[test]
fn a_summary_never_grows_beyond_what_a_step_may_have() {
    let (project, forge) = (project(), Forge::start());
    project.write("summary.md", &"x".repeat((1 << 20) - 2500));
    github(&project, &forge).run().expect(0).says("step summary");
    github(&project, &forge).run().expect(0);
    project.write("summary.md", &"x".repeat((1 << 20) + 1));
    github(&project, &forge).run().expect(0).says("WARN summary: the step has 1048577 bytes of summary already");
    assert_eq!(project.path().join("summary.md").metadata().expect("summary").len(), (1 << 20) + 1);
}

#[test]
fn inputs_have_dashes_and_may_be_empty_and_nothing_of_the_runner_need_be_there() {
    let (project, forge) = (project(), Forge::start());
    // No /github/*, no HOME, no GITHUB_OUTPUT, no event file.
    let run = Mlops::new(project.path()).args(["run", "", ""]).env("GITHUB_ACTIONS", "true").env("GITHUB_EVENT_PATH", "/github/workflow/event.json");
    run.env("INPUT_DRY-RUN", "").env("INPUT_STAGES", " evaluate ").run().expect(0);
    let wrong = |name: &str, value: &str| github(&project, &forge).env(name, value).run().expect(2);
    wrong("INPUT_DRY-RUN", "yes").says("`dry-run` is true or false, not `yes`");
    wrong("INPUT_COMMAND", "reprot merge").says("did you mean `report merge`");
    wrong("INPUT_REPORTS", "x").says("the input `reports` is none of `run`");
    github(&project, &forge).env("INPUT_COMMAND", "doctor").run().expect(0).says("GitHub Actions, pull_request, pull request 7");
}
