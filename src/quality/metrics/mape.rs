use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;

/// The mean absolute error as a fraction of the truth. Beside a truth of 0 any error is huge, and it is said so.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mape {}

impl Named for Mape {
    const NAME: &'static str = "mape";
    const SHORT: Option<&'static str> = Some("max");
}

impl MetricType for Mape {
    const TASKS: &'static [Task] = &[Task::Regression];
}

impl Metric for Mape {
    fn of_mean(&self, mean: f64) -> Score {
        // The smallest denominator is the step of a double.
        if mean > 1e12 { Score::noted(mean, "a truth is 0") } else { mean.into() }
    }

    fn terms<'a>(&self, table: &'a Table) -> Option<Term<'a>> {
        let Data::Numbers(n) = &table.data else { return None };
        Some(Box::new(|row| (n.y[row] - n.p[row]).abs() / n.y[row].abs().max(f64::EPSILON)))
    }
}
