use schemars::JsonSchema;
use serde::Deserialize;

use super::by_query::mean;
use super::prelude::*;
use crate::quality::float;

/// One over the place of the first relevant row, 0 where there is none; the mean over the queries.
///
/// Rows of one score stand in any order: it is the expected value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mrr {}

impl Named for Mrr {
    const NAME: &'static str = "mrr";
    const SHORT: Option<&'static str> = Some("min");
}

impl MetricType for Mrr {
    const TASKS: &'static [Task] = &[Task::Ranking];
}

impl Metric for Mrr {
    fn compute(&self, view: &View) -> Score {
        mean(view, |relevance, score| {
            let mut at = 0;
            for tied in score.chunk_by(|a, b| a == b) {
                let relevant = relevance[at..at + tied.len()].iter().filter(|r| **r > 0.0).count();
                if relevant > 0 {
                    return expected(at, tied.len(), relevant);
                }
                at += tied.len();
            }
            0.0
        })
    }
}

/// One over the place of the first of some relevant rows among as many as share a score, in any order.
fn expected(before: usize, tied: usize, relevant: usize) -> f64 {
    let (mut none_yet, mut sum) = (1.0, 0.0);
    for place in 0..=tied - relevant {
        let here = float(relevant) / float(tied - place);
        sum += none_yet * here / float(before + place + 1);
        none_yet *= 1.0 - here;
    }
    sum
}
