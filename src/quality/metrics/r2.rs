use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;

/// The share of the truth's variance that is explained. Of a constant truth: 1 where every prediction is right, else 0.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct R2 {}

impl Named for R2 {
    const NAME: &'static str = "r2";
    const SHORT: Option<&'static str> = Some("min");
}

impl MetricType for R2 {
    const TASKS: &'static [Task] = &[Task::Regression];
}

/// One minus unexplained over all, where all is not 0.
pub(super) fn explained(unexplained: f64, all: f64) -> f64 {
    match (unexplained, all) {
        (_, all) if all != 0.0 => 1.0 - unexplained / all,
        (0.0, _) => 1.0,
        _ => 0.0,
    }
}

impl Metric for R2 {
    fn range(&self) -> Option<Range> {
        Some(Range::EXPLAINED)
    }

    fn compute(&self, view: &View) -> Score {
        let Data::Numbers(n) = &view.table.data else { return not_for_it() };
        if view.len() < 2 {
            return Score::undefined("one row has no variance");
        }
        let mean = view.mean(|row| n.y[row]);
        explained(view.mean(|row| (n.y[row] - n.p[row]).powi(2)), view.mean(|row| (n.y[row] - mean).powi(2))).into()
    }
}
