use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;

/// The loss of a predicted quantile: an error above it costs `alpha`, one below it `1 - alpha`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pinball {
    /// The quantile that is predicted, from 0 to 1.
    alpha: f64,
}

impl Named for Pinball {
    const NAME: &'static str = "pinball";
    const SHORT: Option<&'static str> = Some("max");
}

impl MetricType for Pinball {
    const TASKS: &'static [Task] = &[Task::Regression];
}

impl Metric for Pinball {
    fn terms<'a>(&self, table: &'a Table) -> Option<Term<'a>> {
        let Data::Numbers(n) = &table.data else { return None };
        let alpha = self.alpha;
        Some(Box::new(move |row| {
            let error = n.y[row] - n.p[row];
            (alpha * error).max((alpha - 1.0) * error)
        }))
    }

    fn mistake(&self) -> Option<String> {
        (!(0.0..=1.0).contains(&self.alpha)).then(|| "`alpha` lies between 0 and 1".into())
    }
}
