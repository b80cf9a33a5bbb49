use schemars::JsonSchema;
use serde::Deserialize;

use super::baseline::Baseline;
use super::{Gate, GateType, Judged, misfit};
use crate::catalogue::Named;
use crate::outcome::{Outcome, Status};
use crate::quality::metrics::Chosen;
use crate::quality::score::digits;
use crate::quality::source::Source;

/// How much better the model must be than a trivial one, or than a small one that is trained here.
///
/// The baseline learns from the training split where there is one, else from the rows that are judged. `logistic`, `linear`
/// and `random_forest` are trained here on columns with numbers, on up to 20,000 rows of the training split.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "settings such as `{baseline: prior, metric: log_loss, by: 0.1}`")]
pub struct Beats {
    /// `majority`, `prior`, `stratified` or `uniform` of classes; `mean` or `median` of numbers; `logistic`, `linear` or `random_forest` with `features`.
    baseline: Baseline,
    /// The columns with numbers that a trained baseline learns from. What is missing counts as the mean.
    #[serde(default)]
    features: Vec<String>,
    /// The metric to compare.
    metric: Chosen,
    /// How much better it must be, in the metric's own unit. Default: better at all.
    by: Option<f64>,
    /// How much of the way from the baseline to a perfect model it must go, from 0 to 1.
    gain: Option<f64>,
    /// Less of `by` or `gain` warns.
    warn: Option<f64>,
}

impl Named for Beats {
    const NAME: &'static str = "beats";
}

impl GateType for Beats {}

impl Gate for Beats {
    fn mistake(&self, source: &Source) -> Option<String> {
        if self.by.is_some() && self.gain.is_some() {
            return Some("`by` and `gain` are two measures of one thing; write one of them".into());
        }
        if self.by.or(self.gain).is_some_and(|least| least.is_nan() || least < 0.0) || self.gain.is_some_and(|gain| gain > 1.0) {
            return Some("a model is better by 0 or more, and `gain` is at most 1".into());
        }
        if self.warn.is_some_and(|warn| warn < self.by.or(self.gain).unwrap_or(0.0)) {
            return Some("`warn` lies below the bound, so it could never warn".into());
        }
        if let Some(why) = source.task().and_then(|task| self.baseline.misfit(task)) {
            return Some(why);
        }
        match (self.baseline.trained().is_some(), self.features.is_empty()) {
            (true, true) => return Some(format!("`{}` is trained: name the columns it learns from in `features`", self.baseline.word())),
            (false, false) => return Some(format!("`{}` learns from no `features`", self.baseline.word())),
            (true, false) if source.split.is_none() => {
                return Some("a trained baseline needs rows to learn from: name the column of the splits in `predictions.split`".into());
            }
            _ => {}
        }
        misfit(&self.metric, source)
    }

    fn features(&self) -> Vec<String> {
        self.features.clone()
    }

    fn judge(&self, judged: &Judged) -> Vec<Outcome> {
        if self.baseline.trained().is_some() && judged.train.is_none() {
            return judged.broken(Self::NAME, "no row of the split column is `train`, so the baseline has nothing to learn from");
        }
        let (name, word) = (self.metric.name, self.baseline.word());
        let score = self.metric.compute(judged.view);
        let base = match self.baseline.score(&self.metric, &self.features, judged.train.unwrap_or(judged.test), judged.test) {
            Ok(base) => base,
            Err(error) => return judged.broken(Self::NAME, error.to_string()),
        };
        let better = self.metric.gain(score.value, base.value);
        let measure = if self.gain.is_some() {
            let room = self.metric.gain(self.metric.perfect(), base.value);
            if room == 0.0 { if better == 0.0 { 0.0 } else { f64::NAN } } else { better / room }
        } else {
            better
        };
        let least = self.by.or(self.gain).unwrap_or(0.0);
        let unit = if self.gain.is_some() { "of the way to a perfect model" } else { "better" };
        if !measure.is_finite() {
            let note = score.note.or(base.note).unwrap_or_else(|| "the baseline is perfect".into());
            return judged.broken(Self::NAME, format!("{name} cannot be compared with the baseline `{word}`: {note}"));
        }
        // Equal to a baseline is not better than it.
        let fails = measure < least || (least == 0.0 && measure <= 0.0);
        let status = match fails {
            true => Status::Failed,
            false if self.warn.is_some_and(|warn| measure < warn) => Status::Warned,
            false => Status::Passed,
        };
        let expected = if least == 0.0 { "better at all".into() } else { format!("at least {least} {unit}") };
        let message = format!(
            "{name} is {}, that of the baseline `{word}` {}: {} {unit}; must be {expected}",
            digits(score.value),
            digits(base.value),
            digits(measure)
        );
        vec![judged.outcome(Self::NAME, status, message).measured(measure, expected)]
    }
}
