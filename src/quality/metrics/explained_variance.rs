use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;
use super::r2::explained;

/// As `r2`, but blind to a constant error.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainedVariance {}

impl Named for ExplainedVariance {
    const NAME: &'static str = "explained_variance";
    const SHORT: Option<&'static str> = Some("min");
}

impl MetricType for ExplainedVariance {
    const TASKS: &'static [Task] = &[Task::Regression];
}

impl Metric for ExplainedVariance {
    fn range(&self) -> Option<Range> {
        Some(Range::EXPLAINED)
    }

    fn compute(&self, view: &View) -> Score {
        let Data::Numbers(n) = &view.table.data else { return not_for_it() };
        let (mean, error) = (view.mean(|row| n.y[row]), view.mean(|row| n.y[row] - n.p[row]));
        explained(view.mean(|row| (n.y[row] - n.p[row] - error).powi(2)), view.mean(|row| (n.y[row] - mean).powi(2))).into()
    }
}
