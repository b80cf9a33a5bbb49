use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;

/// The mean negative logarithm of the probability given to the truth.
///
/// Probabilities are clipped by the smallest step of a double, so one certain error costs 36.04.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogLoss {}

impl Named for LogLoss {
    const NAME: &'static str = "log_loss";
    const SHORT: Option<&'static str> = Some("max");
}

impl MetricType for LogLoss {
    const TASKS: &'static [Task] = CLASSES;
    const SCORES: bool = true;
}

fn loss(p: f64) -> f64 {
    -p.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

impl Metric for LogLoss {
    fn terms<'a>(&self, table: &'a Table) -> Option<Term<'a>> {
        match &table.data {
            // The clipped probability of the other class is 1 - p, as scikit-learn has it.
            Data::Binary(b) => Some(Box::new(|row| {
                let p = b.p[row].clamp(f64::EPSILON, 1.0 - f64::EPSILON);
                -if b.y[row] { p.ln() } else { (1.0 - p).ln() }
            })),
            Data::Classes(c) => Some(Box::new(|row| loss(c.p[row * c.names.len() + c.y[row] as usize]))),
            _ => None,
        }
    }
}
