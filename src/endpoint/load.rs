//! An open loop: requests leave when they are due, whether earlier ones are answered or not, and time counts from then.
//! A service that stalls is not spared the requests that would have come meanwhile.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::answer::Shape;
use super::settings::Predict;
use crate::outcome::{Outcome, Status};
use crate::ports::http::Http;
use crate::stats::{float, nearest_rank};
use crate::units::{Span, counted};

/// What came back.
pub struct Load {
    /// Of the answers that are as promised, in seconds, the fastest first.
    seconds: Vec<f64>,
    errors: Vec<String>,
    sent: usize,
}

impl Load {
    pub async fn run(http: &Http, url: &str, bodies: &[Json], predict: &Predict) -> Self {
        let bodies: Arc<[Json]> = bodies.into();
        let pause = Duration::from_secs_f64(1.0 / predict.rate());
        for i in 0..predict.warm_up() {
            if i > 0 {
                tokio::time::sleep(pause).await;
            }
            let _ = http.call(url, Some(&bodies[i % bodies.len()])).await;
        }
        let (sent, started, mut waiting) = (predict.requests(), Instant::now(), JoinSet::new());
        for i in 0..sent {
            let due = started + Duration::from_secs_f64(float(i as u64) / predict.rate());
            tokio::time::sleep_until(due).await;
            let (http, url, bodies) = (http.clone(), url.to_owned(), bodies.clone());
            waiting.spawn(async move {
                let answer = http.call(&url, Some(&bodies[i % bodies.len()])).await;
                (answer, due.elapsed())
            });
        }
        let mut load = Self { seconds: Vec::with_capacity(sent), errors: Vec::new(), sent };
        while let Some(ended) = waiting.join_next().await {
            match ended {
                Ok((Ok(answer), took)) => match Shape::of(predict).mistake(&answer) {
                    None => load.seconds.push(took.as_secs_f64()),
                    Some(why) => load.errors.push(why),
                },
                Ok((Err(why), _)) => load.errors.push(why),
                Err(why) => load.errors.push(why.to_string()),
            }
        }
        load.seconds.sort_unstable_by(f64::total_cmp);
        load
    }

    /// Errors for themselves, then the times of the rest.
    pub fn judge(&self, name: &str, predict: &Predict) -> Vec<Outcome> {
        let (errors, sent) = (self.errors.len() as u64, self.sent as u64);
        let limit = predict.errors();
        let message = limit.sentence(errors, sent, "had no right answer").replace("row", "request");
        let mut kinds = self.errors.clone();
        kinds.sort_unstable();
        let told = kinds.chunk_by(|a, b| a == b).map(|same| format!("{}: {}", counted(same.len() as u64, "request"), same[0])).take(5);
        let mut outcomes =
            vec![Outcome::new(name, "errors", limit.judge(errors, sent), message).measured(float(errors), limit.expected()).with_evidence(told)];
        let bounds = predict.latency.map_or([None; 3], |l| [l.p50, l.p95, l.p99]);
        for ((label, percent), bound) in [("p50", 50.0), ("p95", 95.0), ("p99", 99.0)].into_iter().zip(bounds) {
            let Some(bound) = bound else { continue };
            outcomes.push(self.percentile(name, label, percent, bound));
        }
        outcomes
    }

    fn percentile(&self, name: &str, label: &str, percent: f64, bound: Span) -> Outcome {
        let check = format!("latency.{label}");
        let Some(value) = nearest_rank(&self.seconds, percent) else {
            return Outcome::new(name, check, Status::Broken, "no request had a right answer, so there are no times");
        };
        let took = Duration::try_from_secs_f64(value).unwrap_or_default();
        let status = if took <= bound.0 { Status::Passed } else { Status::Failed };
        let message = format!("{label} of {} is {took:.1?}; must be at most {bound}", counted(self.seconds.len() as u64, "answer"));
        Outcome::new(name, check, status, message).measured(value, format!("at most {bound}"))
    }
}
