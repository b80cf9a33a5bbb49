use serde_json::{Value as Json, json};

use crate::support::bin::Mlops;
use crate::support::forge::Forge;
use crate::support::project::{self, Project};

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
const TABLES: [&str; 4] = ["a", "b", "c", "d"];

/// Four tables, of which one is empty.
fn project() -> Project {
    let sql: String = TABLES.iter().map(|t| format!("create table {t} (id int);\ninsert into {t} select 1 where '{t}' <> 'c';\n")).collect();
    let gates: String = TABLES.iter().map(|t| format!("    {t}: {{rows: {{min: 1}}}}\n")).collect();
    let config = format!("version: 1\nproject: p\nreport: {{timeout: 9s}}\nmigrate: {{dir: db}}\ngates:\n  data:\n{gates}");
    project::with(&[("mlops.yml", &config), ("db/1_t.up.sql", &sql), ("db/1_t.down.sql", "drop table a, b, c, d;")])
}

fn leg(project: &Project, shard: &str, args: &[&'static str]) {
    let name = shard.replace('/', "-");
    let ended = Mlops::new(project.path()).args(["run", "--shard", shard]).args(args.iter().copied()).env("GIT_COMMIT", SHA).run();
    assert!([0, 1].contains(&ended.code), "{}{}", ended.out, ended.err);
    let kept = project.path().join("reports").join(format!("leg-{name}"));
    std::fs::create_dir_all(&kept).expect("folder");
    std::fs::rename(project.path().join("mlops-out/report.json"), kept.join("report.json")).expect("report");
    std::fs::remove_dir_all(project.path().join("mlops-out")).expect("gone");
}

fn merge(project: &Project) -> Mlops {
    Mlops::new(project.path()).args(["report", "merge"])
}

fn json_of(project: &Project) -> Json {
    serde_json::from_str(&project.read("mlops-out/report.json")).expect("json")
}

#[test]
fn shards_become_one_report_with_one_verdict() {
    let project = project();
    ["1/2", "2/2"].iter().for_each(|shard| leg(&project, shard, &[]));
    let whole = Mlops::new(project.path()).args(["run"]).env("GIT_COMMIT", SHA).run().expect(1);
    let (whole_junit, whole_json) = (project.read("mlops-out/junit.xml"), json_of(&project));
    drop(whole);
    merge(&project).args(["reports"]).run().expect(1).says("c  rows");
    let merged = json_of(&project);
    assert_eq!((&merged["verdict"], &merged["exit_code"], &merged["shard"]), (&json!("failed"), &json!(1), &json!(null)));
    assert_eq!(merged["counts"], whole_json["counts"]);
    let cases = |xml: &str| {
        let mut names: Vec<String> =
            xml.lines().filter(|l| l.contains("<testcase")).map(|l| l.split(" time=").next().expect("case").trim().to_owned()).collect();
        names.sort();
        names
    };
    assert!(cases(&whole_junit).len() > 8, "{whole_junit}");
    assert_eq!(cases(&project.read("mlops-out/junit.xml")), cases(&whole_junit), "as if one job had run it");
}

#[test]
fn a_report_that_is_missing_is_not_a_green_run() {
    let project = project();
    leg(&project, "1/3", &["--only", "data.a"]);
    leg(&project, "3/3", &["--only", "data.a"]);
    merge(&project).args(["reports"]).run().expect(3).says("there is no report of part 2/3");
    leg(&project, "2/3", &["--only", "data.a"]);
    merge(&project).args(["reports"]).run().expect(0);
    merge(&project).args(["reports", "--expect", "4"]).run().expect(3).says("3 of 4 expected reports are there: 1/3, 2/3, 3/3");
    merge(&project).args(["mlops.yml"]).run().expect(2).says("mlops.yml is no report: expected value at line 1");
    project.write("empty/x.txt", "");
    merge(&project).args(["empty"]).run().expect(3).says("there is no report.json in empty");
    merge(&project).args(["nowhere"]).run().expect(3);
    merge(&project).run().expect(2);
}

#[test]
fn reports_of_different_runs_are_refused_and_so_is_one_part_twice() {
    let project = project();
    leg(&project, "1/2", &[]);
    let change = |key: &str, value: Json| {
        let mut report: Json = serde_json::from_str(&project.read("reports/leg-1-2/report.json")).expect("json");
        report["shard"]["part"] = json!(2);
        report["leg"] = json!(null);
        report[key] = value;
        project.write("reports/other/report.json", &report.to_string());
        merge(&project).args(["reports"]).run().expect(2)
    };
    change("project", json!("q")).says("the report is of the project q, and this is p");
    change("commit", json!("f".repeat(40))).says("commit");
    change("environment", json!("staging")).says("environment");
    change("format_version", json!(9)).says("`format_version` 9");
    change("stages", json!("x")).says("stages");
    change("shard", json!({"part": 1, "of": 2})).says("two reports of part 1/2");
    change("shard", json!({"part": 2, "of": 3})).says("parts of different wholes");
    change("shard", json!({"part": 1, "of": 4_294_967_295_u32})).says("10000 parts at the most");
    change("verdict", json!("failed")).says("`verdict` is failed, but its stages are passed");
    change("exit_code", json!(1)).says("`exit_code` is 1, but `verdict` is passed");
    change("stages", json!([])).says("`verdict` is passed, but its stages are broken");
    // A copy counts for nothing, and neither does a folder without a report.
    project.write("reports/other/report.json", &project.read("reports/leg-1-2/report.json"));
    merge(&project).args(["reports", "--expect", "2"]).run().expect(2).says("are the same report");
    std::fs::remove_dir_all(project.path().join("reports/other")).expect("gone");
    std::fs::create_dir_all(project.path().join("none")).expect("folder");
    merge(&project).args(["reports", "none"]).run().expect(3).says("there is no report.json in none");
    project.write("cut.json", "{\"format_version\": 1, ");
    merge(&project).args(["cut.json"]).run().expect(2).says("cut.json is no report: EOF while parsing");
    merge(&project).args(["/dev/zero"]).run().expect(2).says("is no file");
    merge(&project).args(["reports"]).env("GIT_COMMIT", &"f".repeat(40)).run().expect(2).says("the report is of the commit 0123456789");
}

#[test]
fn a_job_that_has_evaluated_nothing_is_not_green() {
    let project = project();
    leg(&project, "1/2", &["--only", "data.a"]);
    let mut report: Json = serde_json::from_str(&project.read("reports/leg-1-2/report.json")).expect("json");
    report["shard"]["part"] = json!(2);
    report["leg"] = json!("2/2");
    let nothing = json!({"name": "check", "status": "skipped", "summary": "", "elapsed_seconds": 0.1, "outcomes": [
        {"subject": "data", "name": "shard", "status": "skipped", "message": "", "elapsed_seconds": 0.1}]});
    for (stages, verdict, code) in [(json!([]), "broken", 3), (json!([nothing]), "passed", 0)] {
        (report["stages"], report["verdict"], report["exit_code"]) = (stages, json!(verdict), json!(code));
        project.write("reports/leg-2-2/report.json", &report.to_string());
        merge(&project).args(["reports"]).run().expect(3).says("the report of 2/2 has evaluated nothing");
    }
}

#[test]
fn legs_say_where_they_differ_and_a_stricter_one_keeps_its_verdict() {
    let project = project();
    let run = |leg: &'static str, args: &'static [&'static str]| {
        let ended =
            Mlops::new(project.path()).args(["run", "--leg", leg, "--only", "data.a"]).args(args.iter().copied()).env("GIT_COMMIT", SHA).run();
        project.write(&format!("legs/{leg}/report.json"), &project.read("mlops-out/report.json"));
        ended
    };
    run("pg15", &[]).expect(0);
    let config = project.read("mlops.yml");
    project.write("mlops.yml", &config.replace("a: {rows: {min: 1}}", "a: {rows: {min: 1, warn: 5}}"));
    run("pg16", &["--fail-on", "warned"]).expect(1);
    merge(&project).args(["legs"]).run().expect(1);
    let merged = json_of(&project);
    let check = merged["stages"].as_array().expect("stages").iter().find(|s| s["name"] == "check").expect("check");
    let names: Vec<&str> = check["outcomes"].as_array().expect("outcomes").iter().map(|o| o["name"].as_str().expect("name")).collect();
    assert_eq!(names, ["exists", "rows [pg15]", "rows [pg16]"]);
    assert_eq!((&merged["verdict"], merged.get("leg")), (&json!("failed"), None));
    assert_eq!(merged["stages"][0]["outcomes"].as_array().map(Vec::len), Some(1), "what is the same stands there once");
}

#[test]
fn the_privileged_half_comments_on_the_pull_request_that_the_commit_belongs_to() {
    let (project, forge) = (project(), Forge::start());
    leg(&project, "1/1", &[]);
    let mut report: Json = serde_json::from_str(&project.read("reports/leg-1-1/report.json")).expect("json");
    // What the stranger's job says of itself is data.
    report["project"] = json!("p");
    report["stages"][0]["outcomes"][0]["message"] = json!("@team <img src=x onerror=alert(1)> [x](javascript:1) #1 closes #2");
    report["number"] = json!(1);
    project.write("reports/leg-1-1/report.json", &report.to_string());
    let event = json!({"action": "completed", "workflow_run": {
        "id": 77, "run_attempt": 2, "event": "pull_request", "head_sha": SHA, "head_branch": "f", "html_url": "https://github.com/o/r/actions/runs/77",
        "head_repository": {"full_name": "them/r"}, "pull_requests": [],
    }});
    project.write("event.json", &event.to_string());
    let run = || {
        forge
            .as_github(merge(&project).args(["reports", "--report-only", "--require-comment"]), &project)
            .env("GITHUB_EVENT_NAME", "workflow_run")
            .env("INPUT_TOKEN", "")
            .env("MLOPS_TOKEN", "ghs_secret-token")
    };
    run().run().expect(0);
    assert!(forge.state()["comments"].as_array().expect("list").is_empty(), "no pull request, no comment");
    let pull = |number: u64, sha: &str, repo: &str| json!({"number": number, "sha": sha, "repo": repo, "branch": "f"});
    forge.control(&json!({"pulls": [pull(6, &"9".repeat(40), "them/r"), pull(7, SHA, "them/r"), pull(8, SHA, "o/r")]}));
    run().run().expect(0).says("comment posted");
    let state = forge.state();
    assert!(forge.calls("POST").iter().any(|path| path.ends_with("/issues/7/comments")), "{:?}", forge.calls("POST"));
    let body = state["comments"][0]["body"].as_str().expect("body");
    assert!(body.contains("run=77.2 ") && body.contains("[run](https://github.com/o/r/actions/runs/77)") && body.contains("❌ p: failed"), "{body}");
    assert!(!body.contains("<img") && !body.contains("@team") && !body.contains("](javascript"), "{body}");
    // Its own verdict is the other workflow's.
    merge(&project).args(["reports"]).run().expect(1);
}

#[test]
fn merging_needs_neither_the_database_of_the_file_nor_the_file() {
    let project = project();
    leg(&project, "1/1", &["--only", "data.a"]);
    let config = project.read("mlops.yml");
    project.write("mlops.yml", &config.replace("report:", "database: {url: \"${NOT_HERE}\"}\nreport:"));
    merge(&project).args(["reports"]).run().expect(0);
    project.write("mlops.yml", &config.replace("report:", "reprot:"));
    merge(&project).args(["reports"]).run().expect(0);
    project.write("mlops.yml", &config.replace("timeout", "timeot"));
    merge(&project).args(["reports"]).run().expect(2).says("did you mean `timeout`");
    std::fs::remove_file(project.path().join("mlops.yml")).expect("gone");
    merge(&project).args(["reports"]).run().expect(0);
    merge(&project).args(["reports", "--config", "other.yml"]).run().expect(2);
}
