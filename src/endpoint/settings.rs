//! `gates.endpoint` of `mlops.yml`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::bounds::Limit;
use crate::names::RelPath;
use crate::ports::files::Workspace;
use crate::units::{Amount, Rate, Span};

/// Endpoints by their name.
pub type Endpoints = BTreeMap<String, Endpoint>;

/// A model that answers over HTTP.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Where it is; paths are added to it.
    pub url: String,
    /// Headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How long an answer may take before it counts as none. Default: 10s.
    pub timeout: Option<Span>,
    /// Certificates of the authority that vouches for it, a PEM file.
    pub ca: Option<RelPath>,
    /// A path that says whether the service is well.
    pub health: Option<Health>,
    /// The path that predicts.
    pub predict: Option<Predict>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    pub path: String,
    /// The status it answers with. Default: 200.
    pub status: Option<u16>,
    /// How long it may take to become well, asked again and again. Default: one question.
    pub within: Option<Span>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Predict {
    pub path: String,
    /// The JSON that is sent.
    pub body: Option<Json>,
    /// A file with a JSON document in each line, sent in turn.
    pub bodies: Option<RelPath>,
    /// The status it answers with. Default: 200.
    pub status: Option<u16>,
    /// Fields that the answer has, a path with dots (`predictions.0.score`).
    #[serde(default)]
    pub has: Vec<String>,
    /// Fields that are numbers, and between which values they lie.
    #[serde(default)]
    pub within: BTreeMap<String, [f64; 2]>,
    /// The same model as a file: the answers must be what it says here.
    pub offline: Option<OfflineSettings>,
    /// How many requests are sent to measure how long answers take. Default: 100.
    pub requests: Option<usize>,
    /// How many are sent a second, whether earlier ones are answered or not (`50/s`). Default: 10/s.
    pub rate: Option<Rate>,
    /// How many are sent before, which are not counted. Default: 10.
    pub warm_up: Option<usize>,
    /// How long answers may take, by nearest rank, from the moment at which each was due.
    pub latency: Option<Percentiles>,
    /// How many requests may have no answer or the wrong status; they are not among the times. Default: none.
    pub errors: Option<Limit>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Percentiles {
    pub p50: Option<Span>,
    pub p95: Option<Span>,
    pub p99: Option<Span>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfflineSettings {
    /// The model, a `.onnx` file.
    pub onnx: RelPath,
    /// The fields of the request that it is fed with, in its order. Default: those that its inputs are called.
    pub features: Option<Vec<String>>,
    /// The class whose probability is answered; a regression has none.
    pub positive: Option<String>,
    /// The field of the answer that holds the prediction.
    pub field: String,
    /// How far both may be apart. Default: 0.00001.
    pub tolerance: Option<f64>,
}

/// Nobody waits longer for a load to end.
const LONGEST: f64 = 600.0;

impl Endpoint {
    pub fn timeout(&self) -> Duration {
        self.timeout.map_or(Duration::from_secs(10), |t| t.0)
    }

    pub fn at(&self, path: &str) -> String {
        format!("{}/{}", self.url.trim_end_matches('/'), path.trim_start_matches('/'))
    }

    pub fn mistake(&self) -> Option<String> {
        if !self.url.starts_with("http://") && !self.url.starts_with("https://") {
            return Some("`url` begins with http:// or https://".into());
        }
        match url::Url::parse(&self.url) {
            Ok(url) if url.query().is_some() || url.fragment().is_some() => {
                return Some("paths are added to `url`: it has no query and no fragment".into());
            }
            Ok(_) => {}
            Err(why) => return Some(format!("`url`: {why}")),
        }
        if self.health.is_none() && self.predict.is_none() {
            return Some("nothing to judge: add `health` or `predict`".into());
        }
        self.predict.as_ref().and_then(Predict::mistake)
    }
}

impl Predict {
    pub fn has_load(&self) -> bool {
        self.latency.is_some() || self.errors.is_some() || self.requests.is_some() || self.rate.is_some()
    }

    pub fn requests(&self) -> usize {
        self.requests.unwrap_or(100)
    }

    pub fn warm_up(&self) -> usize {
        self.warm_up.unwrap_or(10)
    }

    pub fn rate(&self) -> f64 {
        self.rate.map_or(10.0, |rate| rate.0)
    }

    pub fn errors(&self) -> Limit {
        self.errors.unwrap_or(Limit { max: Some(Amount::Count(0)), warn: None })
    }

    fn mistake(&self) -> Option<String> {
        if self.body.is_some() == self.bodies.is_some() {
            return Some("`predict` sends a `body`, or the `bodies` in a file: one of them".into());
        }
        if self.requests == Some(0) {
            return Some("`requests` is at least 1".into());
        }
        let all = self.requests().saturating_add(self.warm_up());
        let takes = crate::stats::float(all as u64) / self.rate();
        if takes > LONGEST {
            return Some(format!("{all} requests at {}/s take {takes:.0} s; at most {LONGEST} s are spent", self.rate()));
        }
        if self.offline.as_ref().and_then(|o| o.tolerance).is_some_and(|t| t.is_nan() || t < 0.0) {
            return Some("`tolerance` is 0 or more".into());
        }
        if self.latency.is_some_and(|l| l.p50.is_none() && l.p95.is_none() && l.p99.is_none()) {
            return Some("`latency` has no bound: `p50`, `p95` or `p99`".into());
        }
        if let Some((field, [low, high])) = self.within.iter().find(|(_, [low, high])| low > high) {
            return Some(format!("within.{field}: nothing lies between {low} and {high}"));
        }
        self.errors.as_ref().and_then(Limit::mistake)
    }

    pub fn bodies(&self, workspace: &Workspace) -> Result<Vec<Json>, String> {
        let Some(file) = &self.bodies else { return Ok(self.body.iter().cloned().collect()) };
        let text = workspace.read_text(file).map_err(|e| e.to_string())?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let read = lines.map(|(at, line)| serde_json::from_str(line).map_err(|e| format!("{file}, line {}: {e}", at + 1)));
        let bodies = read.collect::<Result<Vec<Json>, String>>()?;
        if bodies.is_empty() { Err(format!("{file} holds no request")) } else { Ok(bodies) }
    }
}
