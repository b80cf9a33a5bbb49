//! Lineage beside the versions: `lineage.json` for people, events for other tools. What cannot be told fails nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Env;
use crate::dataset::openlineage::{Assertion, Emitter, Job};
use crate::dataset::{DatasetError, Datasets, Written, lineage};
use crate::outcome::{Outcome, StageReport, Status};
use crate::ports::openlineage::Collector;

/// In the folder of reports.
pub const FILES: [&str; 2] = ["lineage.json", "openlineage.ndjson"];

pub(super) struct Lineage<'a> {
    env: &'a Env,
    emitter: Emitter,
    runs: BTreeMap<&'a str, Job<'a>>,
    collector: Option<Collector>,
    events: Vec<Value>,
    versions: Vec<Value>,
    /// Why an event did not arrive; the first time is enough.
    lost: Option<String>,
}

impl<'a> Lineage<'a> {
    /// Every dataset has begun.
    pub(super) async fn begin(env: &'a Env, datasets: &'a Datasets) -> anyhow::Result<Self> {
        let emitter = Emitter { project: env.project.clone(), endpoint: env.database()?.endpoint().to_owned() };
        let id = || uuid::Uuid::now_v7().to_string();
        let runs: BTreeMap<&str, Job<'_>> = datasets.iter().map(|(name, dataset)| (name.as_str(), Job { run_id: id(), name, dataset })).collect();
        let (collector, lost) = match Collector::named(&env.vars).filter(|_| !env.workspace.is_dry()) {
            None => (None, None),
            Some(Ok(collector)) => (Some(collector), None),
            Some(Err(why)) => (None, Some(why)),
        };
        let mut this = Self { env, emitter, runs, collector, events: vec![], versions: vec![], lost };
        let started: Vec<Value> = this.runs.values().map(|job| this.emitter.start(job, &now())).collect();
        for event in started {
            this.emit(event).await;
        }
        Ok(this)
    }

    async fn emit(&mut self, mut event: Value) {
        self.env.mask.hide_json(&mut event);
        if let (Some(collector), None) = (&self.collector, &self.lost) {
            self.lost = collector.send(&event).await.err();
        }
        self.events.push(event);
    }

    pub(super) async fn written(&mut self, name: &str, written: &Written, earlier: &[StageReport]) {
        let Some(job) = self.runs.get(name) else { return };
        self.versions.push(lineage(name, job.dataset, &written.meta, &written.md5));
        let event = self.emitter.complete(job, &now(), written, &assertions(earlier));
        self.emit(event).await;
    }

    pub(super) async fn failed(&mut self, name: &str, error: &DatasetError) {
        let Some(job) = self.runs.get(name) else { return };
        let event = self.emitter.fail(job, &now(), &error.to_string());
        self.emit(event).await;
    }

    /// The files, and what is to be said about the collector.
    pub(super) fn end(self) -> anyhow::Result<(Vec<String>, Option<Outcome>)> {
        let files = FILES.map(|file| format!("{}/{file}", self.env.out));
        let lines: String = self.events.iter().map(|event| format!("{event}\n")).collect();
        let versions = format!("{:#}\n", json!({"project": self.env.project, "datasets": self.versions}));
        self.env.workspace.write(&files[0], self.env.mask.hide(&versions).as_bytes())?;
        self.env.workspace.write(&files[1], lines.as_bytes())?;
        let outcome = match (self.lost, self.collector) {
            (Some(why), _) => {
                let message = format!("the collector did not take every event ({why}); all of them are in {}", files[1]);
                tracing::warn!("lineage: {message}");
                Some(Outcome::new("lineage", "send", Status::Passed, message))
            }
            (None, Some(_)) => Some(Outcome::new("lineage", "send", Status::Passed, format!("{} events sent", self.events.len()))),
            (None, None) => None,
        };
        Ok((files.to_vec(), outcome))
    }
}

fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// What the data gates of this run have said.
fn assertions(earlier: &[StageReport]) -> Vec<Assertion> {
    let evaluated = |o: &&Outcome| o.status != Status::Skipped;
    let outcomes = earlier.iter().filter(|stage| stage.name == "check").flat_map(|stage| &stage.outcomes).filter(evaluated);
    let assertion = |o: &Outcome| {
        let (table, column) = o.subject.rsplit_once('.').map_or((o.subject.as_str(), None), |(table, column)| (table, Some(column.to_owned())));
        let success = matches!(o.status, Status::Passed | Status::Warned);
        Assertion { table: table.into(), column, check: o.name.clone(), success, message: o.message.clone() }
    };
    outcomes.map(assertion).collect()
}
