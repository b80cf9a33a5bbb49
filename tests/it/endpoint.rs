//! Endpoint and database gates, against a real HTTP server and a real Postgres.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::support::bin::Mlops;
use crate::support::http::{Answer, serve, serve_tls};
use crate::support::project::{self, Project, outcome};
use crate::support::server::Db;

const NOW: Duration = Duration::ZERO;

fn fine(body: &str) -> Answer {
    (200, body.into(), NOW)
}

fn with(url: &str, endpoint: &str) -> Project {
    project::with(&[("mlops.yml", &format!("version: 1\nproject: p\ngates:\n  endpoint:\n    api: {{url: \"{url}\", {endpoint}}}\n"))])
}

fn evaluated(project: &Project) -> Json {
    Mlops::new(project.path()).args(["run", "--stages", "endpoint"]).run();
    project.report()
}

#[track_caller]
fn ends(url: &str, endpoint: &str, name: &str, status: &str, words: &str) {
    let found = outcome(&evaluated(&with(url, endpoint)), "endpoint", "api", name).clone();
    assert_eq!(found["status"], status, "{endpoint}: {found:#}");
    assert!(found["message"].as_str().expect("message").contains(words), "{endpoint}: {found:#}");
}

#[test]
fn a_healthy_service_passes_every_gate() {
    let url = serve(|path, _| fine(if path == "/health" { "ok" } else { r#"{"prediction": 0.42, "model": {"version": "3"}}"# }));
    let predict = "predict: {path: /predict, body: {distance: 1400}, has: [prediction, model.version], within: {prediction: [0, 1]}, \
                   latency: {p50: 500ms, p95: 1s, p99: 2s}, errors: {max: 0}, requests: 40, rate: 200/s}";
    let report = evaluated(&with(&url, &format!("health: {{path: /health}}, {predict}")));
    assert_eq!((&report["exit_code"], &report["counts"]["passed"]), (&0.into(), &6.into()), "{report:#}");
}

#[test]
fn a_service_that_is_not_well_is_not_asked_for_more() {
    let url = serve(|path, _| if path == "/health" { (503, "starting".into(), NOW) } else { fine("{}") });
    let all = "health: {path: /health}, predict: {path: /predict, body: {}}";
    ends(&url, all, "health", "failed", "/health answers 503 instead of 200");
    ends(&url, all, "predict", "skipped", "the service is not well");
    ends("http://127.0.0.1:9", "health: {path: /health}", "health", "broken", "refused");
    let asked = AtomicUsize::new(0);
    let url = serve(move |_, _| if asked.fetch_add(1, Ordering::SeqCst) < 3 { (503, String::new(), NOW) } else { fine("ok") });
    ends(&url, "health: {path: /health, within: 10s}", "health", "passed", "answers 200");
}

#[test]
fn answers_of_the_wrong_shape_fail_and_silence_is_broken() {
    for (body, words) in [
        ("not json", "the answer is no JSON"),
        (r#"{"score": 1}"#, "the answer has no `prediction`"),
        (r#"{"prediction": null}"#, "the answer has no `prediction`"),
        (r#"{"prediction": "high"}"#, "`prediction` is no number"),
        (r#"{"prediction": 7}"#, "lies outside 0 to 1"),
    ] {
        let url = serve(move |_, _| fine(body));
        ends(&url, "predict: {path: /p, body: {}, has: [prediction], within: {prediction: [0, 1]}}", "predict", "failed", words);
    }
    let url = serve(|_, _| (500, "{}".into(), NOW));
    ends(&url, "predict: {path: /p, body: {}}", "predict", "failed", "status 500 instead of 200");
    ends(&url, "predict: {path: /p, body: {}, errors: {max: 5%}}", "load", "skipped", "does not keep its contract");
    let url = serve(|_, _| (200, "{}".into(), Duration::from_secs(5)));
    ends(&url, "timeout: 200ms, predict: {path: /p, body: {}}", "predict", "broken", "no answer within the time limit");
}

/// A service that takes one request at a time cannot hide behind the requests that it holds up.
#[test]
fn time_counts_from_when_a_request_was_due() {
    let turn = std::sync::Mutex::new(());
    let url = serve(move |_, _| {
        let _mine = turn.lock();
        std::thread::sleep(Duration::from_millis(50));
        fine("{}")
    });
    let load = "predict: {path: /p, body: {}, requests: 40, rate: 100/s, warm_up: 2, latency: {p50: 200ms, p99: 5s}}";
    let started = Instant::now();
    let report = evaluated(&with(&url, load));
    assert!(started.elapsed() < Duration::from_secs(20));
    let p50 = outcome(&report, "endpoint", "api", "latency.p50");
    // 40 requests come in 0.4 s and leave after 2 s: the twentieth waits for about 0.8 s.
    assert_eq!(p50["status"], "failed", "{p50:#}");
    assert!(p50["measure"]["value"].as_f64().is_some_and(|s| (0.5..1.6).contains(&s)), "{p50:#}");
    assert_eq!(outcome(&report, "endpoint", "api", "latency.p99")["status"], "passed");
}

#[test]
fn errors_are_counted_apart_from_times() {
    let asked = AtomicUsize::new(0);
    // The first answers the contract.
    let url = serve(move |_, _| if asked.fetch_add(1, Ordering::SeqCst) % 4 == 3 { (503, String::new(), NOW) } else { fine("{}") });
    let load =
        |errors: &str| format!("predict: {{path: /p, body: {{}}, requests: 40, rate: 400/s, warm_up: 0, latency: {{p99: 5s}}, errors: {errors}}}");
    let report = evaluated(&with(&url, &load("{max: 5%}")));
    let errors = outcome(&report, "endpoint", "api", "errors");
    assert_eq!(errors["status"], "failed", "{errors:#}");
    assert!(errors["message"].as_str().is_some_and(|m| m.starts_with("10 of 40 requests (25%) had no right answer")), "{errors:#}");
    assert!(errors["evidence"][0].as_str().is_some_and(|e| e == "10 requests: status 503 instead of 200"), "{errors:#}");
    let times = outcome(&report, "endpoint", "api", "latency.p99");
    assert!(times["message"].as_str().is_some_and(|m| m.contains("of 30 answers")), "{times:#}");
    ends(&url, &load("{max: 50%, warn: 1}"), "errors", "warned", "warning above 1");
}

#[test]
fn the_answer_is_what_the_offline_model_says() {
    let fixtures = crate::support::root().join("fixtures/golden/onnx");
    let row = r#"{"sepal_length_cm": 5.1, "sepal_width_cm": 3.5, "petal_length_cm": 1.4, "petal_width_cm": 0.2}"#;
    let features = "[sepal_length_cm, sepal_width_cm, petal_length_cm, petal_width_cm]";
    let of = |online: &'static str| {
        let url = serve(move |_, _| fine(online));
        let offline = format!("offline: {{onnx: model.onnx, features: {features}, positive: \"0\", field: p}}");
        let project = with(&url, &format!("predict: {{path: /p, bodies: rows.jsonl, {offline}}}"));
        std::fs::copy(fixtures.join("multiclass_logistic.onnx"), project.path().join("model.onnx")).expect("model");
        project.write("rows.jsonl", &format!("{row}\n\n{row}\n"));
        outcome(&evaluated(&project), "endpoint", "api", "predict.offline").clone()
    };
    let wrong = of(r#"{"p": 0.5}"#);
    assert_eq!(wrong["status"], "failed", "{wrong:#}");
    let here = wrong["evidence"][0].as_str().and_then(|e| e.rsplit_once(", ")).map(|(_, here)| here.trim_end_matches(" here")).expect("evidence");
    // scikit-learn's probability of setosa for this flower is above 0.95.
    assert!(here.parse::<f64>().is_ok_and(|p| p > 0.95), "{wrong:#}");
    let same: &'static str = Box::leak(format!("{{\"p\": {here}}}").into_boxed_str());
    assert_eq!(of(same)["status"], "passed");
    assert_eq!(of(r#"{"q": 1}"#)["status"], "broken");
}

#[test]
fn certificates_are_verified_and_headers_sent() {
    let folder = tempfile::tempdir().expect("folder");
    let url = serve_tls(folder.path(), |_, _| fine("{}"));
    ends(&url, "health: {path: /health}", "health", "broken", "certificate");
    let project = with(&url, "ca: ca.pem, headers: {authorization: \"Bearer x\"}, health: {path: /health}");
    std::fs::copy(folder.path().join("ca.pem"), project.path().join("ca.pem")).expect("copy");
    let found = outcome(&evaluated(&project), "endpoint", "api", "health").clone();
    assert_eq!(found["status"], "passed", "{found:#}");
    ends("http://127.0.0.1:9", "headers: {\"bad name\": x}, health: {path: /}", "endpoint", "broken", "`bad name` is no name of a header");
}

/// Where an answer says to go, the request would take its headers along.
#[test]
fn redirects_are_answers_and_not_followed() {
    let followed = std::sync::Arc::new(AtomicUsize::new(0));
    let count = followed.clone();
    let other = serve(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        fine("{}")
    });
    let url = serve(move |_, _| (307, other.clone(), NOW));
    ends(&url, "headers: {x-api-key: secret}, health: {path: /health}", "health", "failed", "answers 307 instead of 200");
    assert_eq!(followed.load(Ordering::SeqCst), 0);
}

/// A status of 200 with an error in it is no right answer.
#[test]
fn under_load_answers_keep_their_shape_or_are_errors() {
    let asked = AtomicUsize::new(0);
    let url = serve(move |_, _| fine(if asked.fetch_add(1, Ordering::SeqCst) < 1 { r#"{"p": 0.5}"# } else { r#"{"error": "no model"}"# }));
    ends(
        &url,
        "predict: {path: /p, body: {}, has: [p], requests: 20, rate: 200/s, warm_up: 0, latency: {p95: 5s}}",
        "errors",
        "failed",
        "20 of 20 requests",
    );
    ends("http://127.0.0.1:9", "health: {path: /, within: 300ms}", "health", "broken", "refused");
    let url = serve(|_, _| (200, "ok".into(), Duration::from_secs(2)));
    ends(&url, "health: {path: /, within: 500ms}", "health", "broken", "no answer in time");
}

#[test]
fn slips_in_an_endpoint_are_mistakes() {
    for (endpoint, words) in [
        ("helth: {path: /}", "did you mean `health`?"),
        ("timeout: 5s", "nothing to judge"),
        ("predict: {path: /p}", "sends a `body`, or the `bodies` in a file"),
        ("predict: {path: /p, body: {}, rate: 50}", "a rate such as `50/s`"),
        ("predict: {path: /p, body: {}, requests: 100000, rate: 1/s}", "at most 600 s are spent"),
        ("predict: {path: /p, body: {}, warm_up: 1000000000}", "at most 600 s are spent"),
        ("predict: {path: /p, body: {}, latency: {}}", "`latency` has no bound"),
        ("predict: {path: /p, body: {}, within: {a: [1, 0]}}", "nothing lies between 1 and 0"),
    ] {
        let ended = Mlops::new(with("http://x", endpoint).path()).args(["validate"]).run().expect(2);
        ended.says(words);
    }
    Mlops::new(with("x", "health: {path: /}").path()).args(["validate"]).run().expect(2).says("`url` begins with http://");
}

#[test]
fn the_server_is_looked_at() {
    let db = Db::new();
    let of = |vitals: &str, name: &str| {
        let yml = format!("version: 1\nproject: p\ndatabase: {{url: \"{}\"}}\ngates:\n  database: {{{vitals}}}\n", db.url());
        let project = project::with(&[("mlops.yml", &yml)]);
        Mlops::new(project.path()).args(["run", "--stages", "vitals"]).run();
        let found = outcome(&project.report(), "vitals", "database", name).clone();
        (found["status"].as_str().expect("status").to_owned(), found["message"].as_str().expect("message").to_owned())
    };
    assert_eq!(of("latency: 5s", "latency").0, "passed");
    assert_eq!(of("latency: {max: 5s, warn: 1ns}", "latency").0, "warned");
    assert_eq!(of("latency: 1ns", "latency").0, "failed");
    assert_eq!(of("connections: {max: 100%}", "connections").0, "passed");
    assert_eq!(of("connections: {max: 90%, warn: 0}", "connections").0, "warned");
    assert_eq!(of("connections: {max: 0}", "connections").0, "failed");
    // Not available is said, and never 0.
    let (status, message) = of("slow_statements: {mean: 200ms}", "slow_statements");
    assert_eq!(status, "broken", "{message}");
    assert!(message.contains("pg_stat_statements is not available: the extension is not created"), "{message}");
    db.sql("create extension pg_stat_statements");
    for _ in 0..6 {
        db.sql("select pg_sleep(0.03)");
    }
    let (status, message) = of("slow_statements: {mean: 10ms}", "slow_statements");
    assert!(status == "failed" && message.starts_with("1 statement slower than 10ms on average"), "{message}");
    assert_eq!(of("slow_statements: {mean: 10ms, max: 1}", "slow_statements").0, "passed");
    assert_eq!(of("slow_statements: {mean: 10s}", "slow_statements").0, "passed");
    assert_eq!(of("slow_statements: {mean: 10ms, min_calls: 100}", "slow_statements").0, "passed");
}
