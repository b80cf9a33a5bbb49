use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;

/// The root of the mean squared difference of log(1 + value). Not defined where a value is -1 or less.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rmsle {}

impl Named for Rmsle {
    const NAME: &'static str = "rmsle";
    const SHORT: Option<&'static str> = Some("max");
}

impl MetricType for Rmsle {
    const TASKS: &'static [Task] = &[Task::Regression];
}

impl Metric for Rmsle {
    fn of_mean(&self, mean: f64) -> Score {
        mean.sqrt().into()
    }

    fn terms<'a>(&self, table: &'a Table) -> Option<Term<'a>> {
        let Data::Numbers(n) = &table.data else { return None };
        let below = |values: &[f64]| values.iter().any(|v| *v <= -1.0);
        if below(&n.y) || below(&n.p) {
            return None;
        }
        Some(Box::new(|row| (n.y[row].ln_1p() - n.p[row].ln_1p()).powi(2)))
    }
}
