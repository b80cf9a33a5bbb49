use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;

/// The mean absolute error.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mae {}

impl Named for Mae {
    const NAME: &'static str = "mae";
    const SHORT: Option<&'static str> = Some("max");
}

impl MetricType for Mae {
    const TASKS: &'static [Task] = &[Task::Regression];
}

impl Metric for Mae {
    fn terms<'a>(&self, table: &'a Table) -> Option<Term<'a>> {
        let Data::Numbers(n) = &table.data else { return None };
        Some(Box::new(|row| (n.y[row] - n.p[row]).abs()))
    }
}
