//! Runs all checks in one read-only snapshot: the catalog once, then as few statements as the questions need.

mod execute;
mod explain;
mod keys;
mod parents;
mod plan;
mod prepare;
mod report;
mod statement;

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

pub(super) use self::execute::Session;
use self::execute::execute;
pub use self::explain::explain;
use self::plan::Plan;
pub use self::prepare::Setting;
pub(super) use self::prepare::know;
use self::prepare::prepare;
use self::report::Report;
use super::gates::Gates;
use crate::outcome::Outcome;
use crate::picture::Picture;
use crate::ports::postgres::{PgError, Postgres};

/// What the checks cost, for the report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    pub statements: usize,
    pub proven: usize,
}

/// Everything that one look at the data gives.
#[derive(Debug)]
pub struct Looked {
    pub outcomes: Vec<Outcome>,
    pub cost: Cost,
    /// What is remembered for the next run, by the check's path.
    pub measures: Vec<(String, f64)>,
    pub pictures: Vec<Picture>,
}

/// Every outcome, also of what could not be evaluated. Only a lost server is an error, and only when a second and a
/// third look at it fail too: each look is a new snapshot, so that no report mixes two.
pub async fn run(server: &Postgres, gates: &Gates, setting: &Setting<'_>) -> Result<Looked, PgError> {
    let retry = ExponentialBuilder::default().with_min_delay(Duration::from_millis(100)).with_max_times(2);
    let told = |error: &PgError, _| tracing::warn!("{error}; the checks begin again");
    (|| look(server, gates, setting)).retry(retry).when(PgError::may_be_tried_again).notify(told).await
}

async fn look(server: &Postgres, gates: &Gates, setting: &Setting<'_>) -> Result<Looked, PgError> {
    let prepared = prepare(server, gates, setting).await?;
    let plan = Plan::new(&prepared.tables, &prepared.known);
    tracing::debug!(jobs = plan.jobs.len(), elapsed = ?(prepared.asking + plan.planning), "planned the checks");
    let places = plan.places.clone();
    let (session, results) = execute(server, prepared.session, plan, setting.pool).await?;
    let mut report = Report::new(session, &prepared.known, results, places);
    for (table, asked) in &prepared.tables {
        report.table(table, asked).await?;
    }
    report.finish(server).await
}
