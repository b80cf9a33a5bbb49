use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;

/// The root of the mean squared error.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rmse {}

impl Named for Rmse {
    const NAME: &'static str = "rmse";
    const SHORT: Option<&'static str> = Some("max");
}

impl MetricType for Rmse {
    const TASKS: &'static [Task] = &[Task::Regression];
}

impl Metric for Rmse {
    fn of_mean(&self, mean: f64) -> Score {
        mean.sqrt().into()
    }

    fn terms<'a>(&self, table: &'a Table) -> Option<Term<'a>> {
        let Data::Numbers(n) = &table.data else { return None };
        Some(Box::new(|row| (n.y[row] - n.p[row]).powi(2)))
    }
}
