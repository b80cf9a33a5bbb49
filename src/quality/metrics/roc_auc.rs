use schemars::JsonSchema;
use serde::Deserialize;

use super::one_vs::{one_vs_rest, pairs};
use super::prelude::*;

/// The area under the ROC curve: how often a positive scores above a negative, a tie counting half.
///
/// Of several classes: each against the rest (`ovr`), or each pair (`ovo`, after Hand and Till). With one class only it is
/// not defined, and the gate is broken.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RocAuc {
    /// Of several classes: `ovr` (each against the rest) or `ovo` (each pair). Default: `ovr`.
    multiclass: Option<Pairing>,
    /// Of several classes: `macro` or `weighted`. Default: `macro`.
    average: Option<Average>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Pairing {
    Ovr,
    Ovo,
}

impl Named for RocAuc {
    const NAME: &'static str = "roc_auc";
    const SHORT: Option<&'static str> = Some("min");
}

impl MetricType for RocAuc {
    const TASKS: &'static [Task] = CLASSES;
    const SCORES: bool = true;
}

impl Metric for RocAuc {
    fn compute(&self, view: &View) -> Score {
        match &view.table.data {
            Data::Binary(_) => match view.curve().auc() {
                auc if auc.is_nan() => Score::undefined("the labels are of one class only"),
                auc => auc.into(),
            },
            Data::Classes(c) => {
                if let Some(row) = c.p.chunks(c.names.len()).position(|p| (p.iter().sum::<f64>() - 1.0).abs() > 1e-8 + 1e-5) {
                    return Score::undefined(format!("the probabilities of row {} do not add up to 1", row + 1));
                }
                let weighted = self.average == Some(Average::Weighted);
                if self.multiclass == Some(Pairing::Ovo) { pairs(view, c, weighted) } else { one_vs_rest(view, c, weighted) }
            }
            _ => not_for_it(),
        }
    }

    fn mistake(&self) -> Option<String> {
        matches!(self.average, Some(Average::Micro | Average::Binary)).then(|| "`average` is `macro` or `weighted` here".into())
    }
}
