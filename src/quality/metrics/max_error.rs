use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;

/// The largest absolute error.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxError {}

impl Named for MaxError {
    const NAME: &'static str = "max_error";
    const SHORT: Option<&'static str> = Some("max");
}

impl MetricType for MaxError {
    const TASKS: &'static [Task] = &[Task::Regression];
}

impl Metric for MaxError {
    fn compute(&self, view: &View) -> Score {
        let Data::Numbers(n) = &view.table.data else { return not_for_it() };
        let mut largest = 0.0_f64;
        view.each(|row, _| largest = largest.max((n.y[row] - n.p[row]).abs()));
        largest.into()
    }
}
