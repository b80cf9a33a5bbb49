use schemars::JsonSchema;
use serde::Deserialize;

use super::{Gate, GateType, Judged, misfit};
use crate::bounds::Ceiling;
use crate::catalogue::Named;
use crate::outcome::{Outcome, Status};
use crate::quality::metrics::Chosen;
use crate::quality::score::digits;
use crate::quality::source::Source;
use crate::quality::view::View;

/// How far the metric of the training split may lie from that of the test split.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "settings such as `{metric: roc_auc, max: 0.05}`")]
pub struct Overfit {
    /// The metric to compare.
    metric: Chosen,
    /// A larger gap fails.
    max: f64,
    /// A larger gap warns.
    warn: Option<f64>,
    /// `absolute`: however it lies; `signed`: only where training is better; `relative`: `signed`, as a part of the training's value. Default: `absolute`.
    gap: Option<Gap>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Gap {
    Absolute,
    Signed,
    Relative,
}

impl Named for Overfit {
    const NAME: &'static str = "overfit";
}

impl GateType for Overfit {}

impl Overfit {
    fn ceiling(&self) -> Ceiling {
        Ceiling { max: Some(self.max), warn: self.warn }
    }

    fn gap(&self, train: f64, test: f64) -> f64 {
        match self.gap.unwrap_or(Gap::Absolute) {
            Gap::Absolute => (train - test).abs(),
            Gap::Signed => self.metric.gain(train, test),
            Gap::Relative => self.metric.gain(train, test) / train.abs(),
        }
    }
}

impl Gate for Overfit {
    fn mistake(&self, source: &Source) -> Option<String> {
        let no_split = source.split.is_none().then(|| "it compares splits: name their column in `predictions.split`".into());
        let width = self.metric.range().width();
        let never = (self.gap != Some(Gap::Relative) && self.max >= width)
            .then(|| format!("two values are never more than {width} apart, so `max` can never fail"));
        no_split.or_else(|| self.ceiling().mistake()).or(never).or_else(|| misfit(&self.metric, source))
    }

    fn judge(&self, judged: &Judged) -> Vec<Outcome> {
        let Some(train) = judged.train else {
            let why = format!("{}: no row of the split column is `train`, so the gap cannot be measured", judged.source.shown());
            return judged.broken(Self::NAME, why);
        };
        let name = self.metric.name;
        let (train, test) = (self.metric.compute(&View::all(train)), self.metric.compute(judged.view));
        let gap = self.gap(train.value, test.value);
        if !gap.is_finite() {
            let note = train.note.or(test.note).unwrap_or_else(|| "a value is 0".into());
            return judged.broken(Self::NAME, format!("the gap of {name} is not defined: {note}"));
        }
        let expected = self.ceiling().to_string();
        let of = format!("{name} is {} in training and {} in test", digits(train.value), digits(test.value));
        let status = self.ceiling().judge(gap);
        let remedy = (status == Status::Failed)
            .then(|| "the model has learned its training rows by heart: make it simpler (fewer or shallower trees, more regularisation), or train on more rows".into());
        vec![
            judged
                .outcome(Self::NAME, status, format!("{of}: a gap of {}; allowed: {expected}", digits(gap)))
                .measured(gap, expected)
                .with_remedy(remedy),
        ]
    }
}
