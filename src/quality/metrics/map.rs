use schemars::JsonSchema;
use serde::Deserialize;

use super::by_query::mean;
use super::prelude::*;
use crate::quality::curve::{Curve, Ranked};

/// Mean average precision: the precision at each relevant row, rows of one score together; the mean over the queries.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Map {}

impl Named for Map {
    const NAME: &'static str = "map";
    const SHORT: Option<&'static str> = Some("min");
}

impl MetricType for Map {
    const TASKS: &'static [Task] = &[Task::Ranking];
}

impl Metric for Map {
    fn compute(&self, view: &View) -> Score {
        mean(view, |relevance, score| {
            let row = |(r, s): (&f64, &f64)| Ranked { score: *s, truth: *r > 0.0, weight: 1.0 };
            let curve = Curve::of(relevance.iter().zip(score).map(row).collect());
            if curve.positives == 0.0 { 0.0 } else { curve.precision / curve.positives }
        })
    }
}
