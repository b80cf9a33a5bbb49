use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;

/// The mean squared error.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mse {}

impl Named for Mse {
    const NAME: &'static str = "mse";
    const SHORT: Option<&'static str> = Some("max");
}

impl MetricType for Mse {
    const TASKS: &'static [Task] = &[Task::Regression];
}

impl Metric for Mse {
    fn terms<'a>(&self, table: &'a Table) -> Option<Term<'a>> {
        let Data::Numbers(n) = &table.data else { return None };
        Some(Box::new(|row| (n.y[row] - n.p[row]).powi(2)))
    }
}
