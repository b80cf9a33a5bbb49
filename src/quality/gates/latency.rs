use schemars::JsonSchema;
use serde::Deserialize;

use super::{Gate, GateType, Judged};
use crate::catalogue::Named;
use crate::outcome::{Outcome, Status};
use crate::quality::source::Source;
use crate::stats::nearest_rank;
use crate::units::{Span, counted};

/// How long a prediction may take: of `predictions.seconds`, or as measured here for an ONNX model.
///
/// A percentile is the nearest rank: a value that occurred, and no mean of two.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "settings such as `{p95: 5ms}`")]
pub struct Latency {
    /// Half of all predictions are at least so fast.
    p50: Option<Span>,
    /// 95 of 100 are.
    p95: Option<Span>,
    /// 99 of 100 are.
    p99: Option<Span>,
}

impl Named for Latency {
    const NAME: &'static str = "latency";
    const SHORT: Option<&'static str> = Some("p95");
}

impl GateType for Latency {}

impl Gate for Latency {
    fn mistake(&self, source: &Source) -> Option<String> {
        if self.p50.is_none() && self.p95.is_none() && self.p99.is_none() {
            return Some("a bound is missing: `p50`, `p95` or `p99`".into());
        }
        let measured = source.seconds.is_some() || source.onnx.is_some();
        (!measured).then(|| "name the column with the seconds that each prediction took in `predictions.seconds`".into())
    }

    fn judge(&self, judged: &Judged) -> Vec<Outcome> {
        let mut sorted = judged.seconds.to_vec();
        if sorted.is_empty() || sorted.iter().any(|s| !s.is_finite() || *s < 0.0) {
            return judged.broken(Self::NAME, "the seconds of the predictions are missing, not finite or below 0");
        }
        sorted.sort_unstable_by(f64::total_cmp);
        let of = |(name, percent, bound): (&str, f64, Option<Span>)| {
            let bound = bound?;
            let value = nearest_rank(&sorted, percent)?;
            let status = if value <= bound.0.as_secs_f64() { Status::Passed } else { Status::Failed };
            let took = std::time::Duration::try_from_secs_f64(value).unwrap_or_default();
            let message = format!("{name} of {} is {took:.2?}; must be at most {bound}", counted(sorted.len() as u64, "prediction"));
            Some(judged.outcome(format!("latency.{name}"), status, message).measured(value, format!("at most {bound}")))
        };
        [("p50", 50.0, self.p50), ("p95", 95.0, self.p95), ("p99", 99.0, self.p99)].into_iter().filter_map(of).collect()
    }
}
