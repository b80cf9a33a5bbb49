use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;

/// The mean squared distance of the probabilities from the truth.
///
/// Of three classes or more it is the sum over the classes, so it goes up to 2.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Brier {}

impl Named for Brier {
    const NAME: &'static str = "brier";
    const SHORT: Option<&'static str> = Some("max");
}

impl MetricType for Brier {
    const TASKS: &'static [Task] = CLASSES;
    const SCORES: bool = true;
}

impl Metric for Brier {
    fn range(&self) -> Option<Range> {
        Some(Range { low: 0.0, high: 2.0 })
    }

    fn terms<'a>(&self, table: &'a Table) -> Option<Term<'a>> {
        match &table.data {
            Data::Binary(b) => Some(Box::new(|row| (b.p[row] - f64::from(u8::from(b.y[row]))).powi(2))),
            Data::Classes(c) => {
                let k = c.names.len();
                let scale = if k == 2 { 0.5 } else { 1.0 };
                Some(Box::new(move |row| {
                    let of = |(class, p): (usize, &f64)| (p - f64::from(u8::from(c.y[row] as usize == class))).powi(2);
                    scale * c.p[row * k..][..k].iter().enumerate().map(of).sum::<f64>()
                }))
            }
            _ => None,
        }
    }
}
