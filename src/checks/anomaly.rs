use schemars::JsonSchema;
use serde::Deserialize;

use super::known::{Known, is_number};
use super::question::{Fold, Term};
use super::{Answer, Check, CheckType, Judgement, On, Question, Target};
use crate::bounds::Ceiling;
use crate::catalogue::Named;
use crate::outcome::Status;
use crate::picture::{Line, Shape};
use crate::stats::float;
use crate::units::counted;

/// A measure is not far from what it was in the last runs: at most so many standard deviations from their mean.
///
/// Every run writes the measure into `mlops.measure`, in the registry's database or, without one, in the database itself.
/// With fewer runs than `min_runs` it is skipped, and says so. After runs that all gave the same, another value fails.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Anomaly {
    /// What is measured: `rows` on a table; on a column `nulls` (their share), `mean`, `min`, `max` or `sum`.
    pub of: Of,
    /// Runs that are looked back on. Default: 14.
    #[serde(default = "fourteen")]
    pub last: usize,
    /// Runs that are needed for a verdict. Default: 7.
    #[serde(default = "seven")]
    pub min_runs: usize,
    /// Standard deviations that fail. Default: 3.
    #[serde(default = "three")]
    pub max: f64,
    /// Standard deviations that warn.
    pub warn: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Of {
    Rows,
    Nulls,
    Mean,
    Min,
    Max,
    Sum,
}

fn fourteen() -> usize {
    14
}

fn seven() -> usize {
    7
}

fn three() -> f64 {
    3.0
}

impl Named for Anomaly {
    const NAME: &'static str = "anomaly";
    const SHORT: Option<&'static str> = Some("of");
}

impl CheckType for Anomaly {
    const ON: On = On::Both;
}

impl Anomaly {
    fn ceiling(&self) -> Ceiling {
        Ceiling { max: Some(self.max), warn: self.warn }
    }
}

impl Check for Anomaly {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        let column = target.column();
        let number = |call: &str, fold: Fold| -> Result<Term, String> {
            let facts = target.column_facts(&known.catalog)?;
            if is_number(facts) {
                Ok(target.aggregate(fold, format!("{call}({column}::float8)")))
            } else {
                Err(format!("{} is {}, which is no number", target.subject(), facts.base_type))
            }
        };
        match (self.of, &target.column) {
            (Of::Rows, _) => target.facts(&known.catalog).map(|_| Question::scan([target.rows()])),
            (_, None) => Err("on a table the number of rows is measured; name a column for the rest".into()),
            (Of::Nulls, _) => target.column_facts(&known.catalog).map(|_| Question::scan([target.count_values(format!("{column} is null"))])),
            (Of::Mean, _) => Ok(Question::scan([number("sum", Fold::Sum)?, target.aggregate(Fold::Sum, format!("count({column})"))])),
            (Of::Min, _) => Ok(Question::scan([number("min", Fold::Min)?])),
            (Of::Max, _) => Ok(Question::scan([number("max", Fold::Max)?])),
            (Of::Sum, _) => Ok(Question::scan([number("sum", Fold::Sum)?])),
        }
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let value = match self.of {
            Of::Nulls => answer.number(0).map(|nulls| nulls / float(answer.rows.max(1))),
            Of::Mean => answer.number(0).zip(answer.number(1)).map(|(sum, n)| sum / n),
            _ => answer.number(0),
        };
        let Some(value) = value.filter(|v| v.is_finite()) else { return Judgement::broken("there is no value to compare") };
        let before: Vec<f64> = answer.history.iter().copied().take(self.last).collect();
        let what = format!("{:?}", self.of).to_lowercase();
        let bound = format!("{} standard deviations", self.ceiling());
        if before.len() < self.min_runs {
            let message = format!("{what} {value}: {} of the {} that a verdict needs", counted(before.len() as u64, "earlier run"), self.min_runs);
            return Judgement::new(Status::Skipped, message).measured(value, bound);
        }
        let n = float(before.len() as u64);
        let mean = before.iter().sum::<f64>() / n;
        let deviation = (before.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0)).sqrt();
        // Sums of equal numbers need not be equal.
        let same = (value - mean).abs() <= 1e-12 * mean.abs();
        let score = if same {
            0.0
        } else if deviation > 0.0 {
            (value - mean).abs() / deviation
        } else {
            f64::INFINITY
        };
        let status = self.ceiling().judge(score);
        let away = if score.is_finite() {
            format!("{score:.2} standard deviations from the mean {mean:.6}")
        } else {
            format!("and it was {mean} every time")
        };
        let message = format!("{what} {value}: {away} of {}; {bound}", counted(before.len() as u64, "run"));
        Judgement::new(status, message.clone()).drawn(runs(what, &before, value), message).measured(value, bound)
    }

    fn judges_empty(&self) -> bool {
        self.of == Of::Rows
    }

    fn has_history(&self) -> bool {
        true
    }

    fn mistake(&self) -> Option<String> {
        if self.min_runs < 2 {
            return Some("`min_runs` is at least 2: one run has no deviation".into());
        }
        if self.last < self.min_runs {
            return Some(format!("`last` ({}) is below `min_runs` ({}), so there could never be a verdict", self.last, self.min_runs));
        }
        let nothing = (self.max <= 0.0).then(|| "`max` is above 0".into());
        nothing.or_else(|| self.ceiling().mistake())
    }
}

/// The oldest first, this one last.
fn runs(what: String, before: &[f64], now: f64) -> Shape {
    let names = (0..before.len()).rev().map(|ago| format!("-{}", ago + 1)).chain(["now".to_owned()]).collect();
    let values = before.iter().rev().copied().chain([now]).map(Some).collect();
    Shape::Series { x: "run".into(), y: what.clone(), names, lines: vec![Line { name: what, values }] }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, settings, target};
    use super::*;

    #[test]
    fn a_measure_is_judged_by_the_runs_before_it() {
        let anomaly: Anomaly = settings(r#"{"of": "rows", "min_runs": 4, "warn": 1.5}"#);
        let status = |value: &str, history: &[f64]| {
            let answer = Answer { history: history.to_vec(), ..answer(1, &[value], &[]) };
            anomaly.judge(&target(None), &answer).status
        };
        let before = [100.0, 102.0, 98.0, 100.0];
        assert_eq!([status("101", &before), status("103", &before), status("110", &before)], [Status::Passed, Status::Warned, Status::Failed]);
        assert_eq!(status("101", &before[..3]), Status::Skipped);
        assert_eq!([status("7", &[7.0; 4]), status("8", &[7.0; 4])], [Status::Passed, Status::Failed]);
        assert_eq!(status("null", &before), Status::Broken);
        assert!(settings::<Anomaly>(r#"{"of": "rows", "last": 3}"#).mistake().is_some());
    }
}
