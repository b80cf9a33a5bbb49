use rayon::slice::ParallelSliceMut as _;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Gate, GateType, Judged};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::outcome::{Outcome, Status};
use crate::quality::float;
use crate::quality::source::Source;
use crate::quality::table::Data;
use crate::quality::task::Task;
use crate::units::{Amount, count, percent};

/// Predictions that no working model makes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "settings such as `{nan: 0, distinct: {min: 10}}`")]
pub struct Sanity {
    /// Predictions that are NULL, NaN or infinite. They are left out of every metric. Without this setting they are an error.
    #[serde(default, deserialize_with = "limit")]
    #[schemars(schema_with = "limit_schema")]
    nan: Option<Limit>,
    /// Probabilities too near to 0 or 1.
    extremes: Option<Extremes>,
    /// How many different predictions there must be.
    distinct: Option<Distinct>,
    /// How far the share of positive decisions may lie from the share of positive labels.
    share: Option<Share>,
}

/// A share of rows outside an interval.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "settings such as `{outside: [0.01, 0.99], max: 5%}`")]
struct Extremes {
    /// The interval. Default: [0.01, 0.99].
    outside: Option<[f64; 2]>,
    /// More rows outside fail. Default: 5%.
    max: Option<Amount>,
    /// More rows outside warn.
    warn: Option<Amount>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "settings such as `{min: 10}`")]
struct Distinct {
    /// Fewer fail.
    min: u64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "settings such as `{within: 10%}`")]
struct Share {
    /// A greater distance fails: `10%` is ten points.
    within: Amount,
}

/// `nan: 0` is `nan: {max: 0}`.
fn limit<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Limit>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a count, a share, or `{max: …, warn: …}`")]
    enum Either {
        Max(Amount),
        Limit(Limit),
    }
    Ok(Some(match Either::deserialize(deserializer)? {
        Either::Max(max) => Limit { max: Some(max), warn: None },
        Either::Limit(limit) => limit,
    }))
}

fn limit_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let (amount, limit) = (generator.subschema_for::<Amount>(), generator.subschema_for::<Limit>());
    schemars::json_schema!({"anyOf": [amount, limit]})
}

impl Named for Sanity {
    const NAME: &'static str = "sanity";
}

impl GateType for Sanity {}

/// The predicted numbers.
fn predicted(data: &Data) -> &[f64] {
    match data {
        Data::Binary(b) => &b.p,
        Data::Classes(c) => &c.p,
        Data::Numbers(n) => &n.p,
        Data::Queries(q) => &q.score,
    }
}

fn different(data: &Data) -> u64 {
    if let Data::Classes(c) = data
        && !c.p.is_empty()
    {
        let mut rows: Vec<Vec<u64>> = c.p.chunks(c.names.len()).map(|row| row.iter().map(|p| p.to_bits()).collect()).collect();
        rows.par_sort_unstable();
        rows.dedup();
        return rows.len() as u64;
    }
    let mut values: Vec<u64> = match data {
        Data::Classes(c) => c.decided.iter().map(|d| u64::from(*d)).collect(),
        data => predicted(data).iter().map(|p| p.to_bits()).collect(),
    };
    values.par_sort_unstable();
    values.dedup();
    values.len() as u64
}

impl Gate for Sanity {
    fn mistake(&self, source: &Source) -> Option<String> {
        let classes = matches!(source.task(), Some(Task::Binary | Task::Multiclass));
        if self.extremes.is_some() && !(classes && source.has_scores()) {
            return Some("`extremes` judges probabilities, and the predictions name no column with them".into());
        }
        if self.share.is_some() && source.task() != Some(Task::Binary) {
            return Some("`share` judges decisions between two classes".into());
        }
        if matches!(self.share, Some(Share { within: Amount::Count(_) })) {
            return Some("`within` is written as `10%`".into());
        }
        if self.nan.is_none() && self.extremes.is_none() && self.distinct.is_none() && self.share.is_none() {
            return Some("nothing to judge: add `nan: 0`, `extremes`, `distinct` or `share`".into());
        }
        if let Some([low, high]) = self.extremes.as_ref().and_then(|e| e.outside)
            && low > high
        {
            return Some(format!("nothing lies between {low} and {high}"));
        }
        let all = |amount: Option<Amount>| matches!(amount, Some(Amount::Share(share)) if share >= 1.0);
        if let Some(extremes) = &self.extremes {
            let [low, high] = extremes.outside.unwrap_or([0.01, 0.99]);
            if (low <= 0.0 && high >= 1.0) || all(extremes.max) {
                return Some("no probability lies outside, or all may: `extremes` can never fail".into());
            }
            if let Some(why) = (Limit { max: extremes.max.or(Some(Amount::Share(0.05))), warn: extremes.warn }).mistake() {
                return Some(format!("extremes: {why}"));
            }
        }
        if self.nan.as_ref().is_some_and(|nan| all(nan.max)) {
            return Some("all predictions may be missing: `nan` can never fail".into());
        }
        if self.distinct.as_ref().is_some_and(|distinct| distinct.min < 2) {
            return Some("there is always one prediction: `distinct.min` is at least 2".into());
        }
        if self.share.as_ref().is_some_and(|share| all(Some(share.within))) {
            return Some("shares are never more than 100% apart: `share` can never fail".into());
        }
        self.nan.as_ref().and_then(Limit::mistake)
    }

    fn judges_unusable(&self) -> bool {
        self.nan.is_some()
    }

    fn judge(&self, judged: &Judged) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let table = judged.test;
        if let Some(limit) = &self.nan {
            let (bad, all) = (table.unusable as u64, (table.unusable + table.len()) as u64);
            let message = limit.sentence(bad, all, "have no finite prediction");
            outcomes.push(judged.outcome("sanity.nan", limit.judge(bad, all), message).measured(float(table.unusable), limit.expected()));
        }
        if let Some(extremes) = &self.extremes {
            let [low, high] = extremes.outside.unwrap_or([0.01, 0.99]);
            let p = predicted(&table.data);
            let outside = p.iter().filter(|p| **p < low || **p > high).count() as u64;
            let limit = Limit { max: extremes.max.or(Some(Amount::Share(0.05))), warn: extremes.warn };
            let message = limit.sentence(outside, p.len() as u64, &format!("have a probability outside [{low}, {high}]"));
            outcomes.push(
                judged
                    .outcome("sanity.extremes", limit.judge(outside, p.len() as u64), message)
                    .measured(crate::stats::float(outside), limit.expected()),
            );
        }
        if let Some(Distinct { min }) = self.distinct {
            let n = different(&table.data);
            let status = if n >= min { Status::Passed } else { Status::Failed };
            let constant = if n == 1 { ": the model says the same of every row" } else { "" };
            let message = format!("{} different predictions{constant}; must be at least {}", count(n), count(min));
            outcomes.push(judged.outcome("sanity.distinct", status, message).measured(crate::stats::float(n), format!("at least {min}")));
        }
        if let Some(Share { within: Amount::Share(within) }) = self.share {
            let cells = judged.view.confusion().positive();
            let n = cells.tp + cells.fp + cells.fn_ + cells.tn;
            let (decided, labels) = ((cells.tp + cells.fp) / n, (cells.tp + cells.fn_) / n);
            let distance = (decided - labels).abs();
            let status = if distance <= within { Status::Passed } else { Status::Failed };
            let expected = format!("within {}", percent(within));
            let message = format!("{} are decided positive and {} are; must lie {expected}", percent(decided), percent(labels));
            outcomes.push(judged.outcome("sanity.share", status, message).measured(distance, expected));
        }
        outcomes
    }
}
