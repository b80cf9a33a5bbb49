//! Walks the plan. A stage that could not run becomes an outcome; what needs it is skipped with the reason.

use std::time::Instant;

use super::plan::{Plan, Planned};
use crate::outcome::{Outcome, Policy, RunReport, StageReport, Status};
use crate::stages::{Done, Env};

/// Hears how the run goes on.
pub trait Watch {
    fn started(&self, stage: &str);
    fn finished(&self, stage: &StageReport);
}

/// What the report says of the run itself.
pub struct About {
    pub environment: Option<String>,
    /// RFC 3339, UTC.
    pub started_at: String,
    pub policy: Policy,
}

/// Always a whole report, never an error.
pub async fn execute(plan: &Plan, env: &Env, about: About, watch: &dyn Watch) -> RunReport {
    let started = Instant::now();
    let mut stages: Vec<StageReport> = Vec::new();
    for planned in &plan.stages {
        watch.started(planned.kind.name);
        let report = match blocked(planned, &stages) {
            Some(because) => StageReport::skipped(planned.kind.name, because),
            None => run(planned, env, &stages).await,
        };
        watch.finished(&report);
        stages.push(report);
    }
    let (verdict, exit_code) = RunReport::verdict_of(&stages, about.policy);
    RunReport {
        format_version: RunReport::FORMAT_VERSION,
        tool_version: env!("CARGO_PKG_VERSION").into(),
        project: env.project.clone(),
        environment: about.environment,
        database: env.database().map_or_else(|_| "none".into(), |server| server.endpoint().to_owned()),
        commit: env.ci.commit.clone(),
        artifact: None,
        narrowed: false,
        leg: None,
        shard: None,
        started_at: about.started_at,
        elapsed: started.elapsed(),
        verdict,
        exit_code,
        counts: RunReport::count_outcomes(&stages),
        stages,
    }
}

/// The first needed stage that did not go well.
fn blocked(planned: &Planned, earlier: &[StageReport]) -> Option<String> {
    // Whoever reads the database reads what was migrated and seeded.
    let more: &[&str] = if planned.stage.reads_database() { &["connect", "migrate", "seed"] } else { &[] };
    let needed = earlier.iter().filter(|stage| planned.kind.needs.iter().chain(more).any(|need| *need == stage.name));
    let bad = needed.into_iter().find(|stage| !stage.status.lets_on())?;
    Some(format!("{} {}", bad.name, if bad.status == Status::Skipped { "was skipped" } else { bad.status.word() }))
}

async fn run(planned: &Planned, env: &Env, earlier: &[StageReport]) -> StageReport {
    let started = Instant::now();
    let name = planned.kind.name;
    let done = planned.stage.run(env, earlier).await.unwrap_or_else(|error| {
        let message = format!("{error:#}");
        Done::new(vec![Outcome::new(name, "stage", Status::Broken, message.clone())], message)
    });
    let Done { outcomes, summary, artifacts, table, pictures, outputs } = done;
    // Nothing evaluated is not passed.
    let status = if outcomes.is_empty() { Status::Broken } else { StageReport::worst(&outcomes) };
    let summary = if outcomes.is_empty() { format!("{name} evaluated nothing") } else { summary };
    StageReport { name: name.into(), status, summary, outcomes, artifacts, table, pictures, outputs, elapsed: started.elapsed() }
}
