//! Endpoint gates: a model that answers over HTTP, as its callers see it.

mod answer;
mod load;
mod offline;
mod settings;

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use self::answer::Shape;
use self::load::Load;
use self::offline::Offline;
pub use self::settings::{Endpoint, Endpoints};
use self::settings::{Health, Predict};
use crate::outcome::{Outcome, Status};
use crate::ports::files::Workspace;
use crate::ports::http::Http;
use crate::units::{count, counted};

/// Between two looks at a service that is not well yet.
const PAUSE: Duration = Duration::from_millis(250);
const SHOWN: usize = 5;
/// So many requests without an answer are enough.
const SILENT: u64 = 3;

/// One endpoint, its parts one after the other: what is not well is not put under load.
pub async fn evaluate(name: &str, endpoint: &Endpoint, workspace: &Workspace) -> Vec<Outcome> {
    let broken = |why: String| vec![Outcome::new(name, "endpoint", Status::Broken, why)];
    let ca = match endpoint.ca.as_ref().map(|ca| workspace.path(ca)).transpose() {
        Ok(ca) => ca,
        Err(error) => return broken(error.to_string()),
    };
    let http = match Http::new(endpoint.timeout(), &endpoint.headers, ca.as_deref()) {
        Ok(http) => http,
        Err(why) => return broken(why),
    };
    let mut outcomes = Vec::new();
    if let Some(health) = &endpoint.health {
        let started = Instant::now();
        outcomes.push(well(name, endpoint, health, &http).await.took(started.elapsed()));
    }
    let well = outcomes.iter().all(|o| o.status == Status::Passed);
    match &endpoint.predict {
        Some(predict) if well => outcomes.extend(predicts(name, endpoint, predict, &http, workspace).await),
        Some(_) => outcomes.push(Outcome::new(name, "predict", Status::Skipped, "the service is not well")),
        None => {}
    }
    outcomes
}

/// Asks until it is well, as long as `within` says.
async fn well(name: &str, endpoint: &Endpoint, health: &Health, http: &Http) -> Outcome {
    let (url, wanted) = (endpoint.at(&health.path), health.status.unwrap_or(200));
    let started = Instant::now();
    loop {
        // The answer has to come in time, too.
        let left = health.within.map_or(endpoint.timeout(), |within| within.0.saturating_sub(started.elapsed()).max(PAUSE));
        let answer = tokio::time::timeout(left, http.call(&url, None)).await.unwrap_or_else(|_| Err("no answer in time".into()));
        let (status, why) = match answer {
            Ok(answer) if answer.status == wanted => {
                return Outcome::new(name, "health", Status::Passed, format!("{} answers {wanted}", health.path));
            }
            Ok(answer) => (Status::Failed, format!("{} answers {} instead of {wanted}", health.path, answer.status)),
            Err(why) => (Status::Broken, format!("{}: {why}", health.path)),
        };
        if health.within.is_none_or(|within| started.elapsed() >= within.0) {
            return Outcome::new(name, "health", status, why);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn predicts(name: &str, endpoint: &Endpoint, predict: &Predict, http: &Http, workspace: &Workspace) -> Vec<Outcome> {
    let broken = |what: &str, why: String| Outcome::new(name, what, Status::Broken, why);
    let bodies = match predict.bodies(workspace) {
        Ok(bodies) => bodies,
        Err(why) => return vec![broken("predict", why)],
    };
    let url = endpoint.at(&predict.path);
    let mut outcomes = vec![contract(name, predict, http, &url, &bodies).await];
    let answers = outcomes[0].status == Status::Passed;
    if let Some(settings) = &predict.offline {
        let started = Instant::now();
        outcomes.push(match Offline::open(settings, workspace) {
            Ok(offline) if answers => same(name, predict, &offline, http, &url, &bodies).await.took(started.elapsed()),
            Ok(_) => Outcome::new(name, "predict.offline", Status::Skipped, "the endpoint does not keep its contract"),
            Err(why) => broken("predict.offline", why),
        });
    }
    if predict.has_load() {
        if answers {
            let started = Instant::now();
            let load = Load::run(http, &url, &bodies, predict).await;
            outcomes.extend(load.judge(name, predict).into_iter().map(|o| o.took(started.elapsed())));
        } else {
            outcomes.push(Outcome::new(name, "load", Status::Skipped, "the endpoint does not keep its contract"));
        }
    }
    outcomes
}

/// Every body once, up to a hundred: status, JSON, fields and their ranges.
async fn contract(name: &str, predict: &Predict, http: &Http, url: &str, bodies: &[Json]) -> Outcome {
    let started = Instant::now();
    let shape = Shape::of(predict);
    let (mut wrong, mut silent, mut asked) = (Vec::new(), 0, 0);
    for body in bodies.iter().take(100) {
        asked += 1;
        match http.call(url, Some(body)).await {
            Ok(answer) => wrong.extend(shape.mistake(&answer)),
            Err(why) => {
                silent += 1;
                wrong.push(why);
                // Each may have taken the whole time limit.
                if silent == SILENT {
                    break;
                }
            }
        }
    }
    let (status, message) = match wrong.first() {
        None => (Status::Passed, format!("{} as promised", counted(asked, "answer"))),
        Some(first) if silent == asked => (Status::Broken, format!("{}: {first}", predict.path)),
        Some(first) => (Status::Failed, format!("{} of {} are not as promised: {first}", count(wrong.len() as u64), counted(asked, "answer"))),
    };
    wrong.truncate(SHOWN);
    Outcome::new(name, "predict", status, message).with_evidence(wrong).took(started.elapsed())
}

/// The same answer as the model gives here.
async fn same(name: &str, predict: &Predict, offline: &Offline, http: &Http, url: &str, bodies: &[Json]) -> Outcome {
    let (mut worst, mut asked, mut wrong) = (0.0_f64, 0, Vec::new());
    for body in bodies.iter().take(100) {
        asked += 1;
        let online = match http.call(url, Some(body)).await {
            Ok(answer) => Shape::of(predict).number(&answer, &offline.field),
            Err(why) => Err(why),
        };
        match (online, offline.predict(body)) {
            (Ok(online), Ok(here)) => {
                let distance = (online - here).abs();
                if distance.is_nan() || distance > offline.tolerance {
                    wrong.push(format!("{body}: {online} over HTTP, {here} here"));
                }
                worst = worst.max(if distance.is_nan() { f64::INFINITY } else { distance });
            }
            (Err(why), _) => return Outcome::new(name, "predict.offline", Status::Broken, why),
            (_, Err(why)) => return Outcome::new(name, "predict.offline", Status::Broken, format!("the offline model: {why}")),
        }
    }
    let expected = format!("at most {}", offline.tolerance);
    let status = if wrong.is_empty() { Status::Passed } else { Status::Failed };
    let message = format!(
        "{} of {} differ from the offline model by more than {}; the largest difference is {worst:.2e}",
        count(wrong.len() as u64),
        counted(asked, "answer"),
        offline.tolerance
    );
    wrong.truncate(SHOWN);
    Outcome::new(name, "predict.offline", status, message).measured(worst, expected).with_evidence(wrong)
}
