use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;

/// The sum over the thresholds of the step in recall times the precision there, without interpolation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AveragePrecision {}

impl Named for AveragePrecision {
    const NAME: &'static str = "average_precision";
    const SHORT: Option<&'static str> = Some("min");
}

impl MetricType for AveragePrecision {
    const TASKS: &'static [Task] = &[Task::Binary];
    const SCORES: bool = true;
}

impl Metric for AveragePrecision {
    fn compute(&self, view: &View) -> Score {
        let curve = view.curve();
        if curve.positives == 0.0 { Score::noted(0.0, "no label is positive, so 0") } else { (curve.precision / curve.positives).into() }
    }
}
