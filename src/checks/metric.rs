use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::no_rows::subquery;
use super::{Answer, Check, CheckType, Cost, Judgement, On, Question, Target};
use crate::bounds::{Bounds, Warn};
use crate::catalogue::Named;
use crate::names::statement;

/// A query of your own gives one number, and it lies in these bounds.
///
/// `{table}` stands for the table's quoted name. No row, NULL and NaN could not be evaluated, so they never pass.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// The query for one number.
    pub sql: String,
    /// The smallest value that passes.
    pub min: Option<f64>,
    /// The largest value that passes.
    pub max: Option<f64>,
    /// The smallest and the largest value that pass.
    pub between: Option<[f64; 2]>,
    /// The earlier bound; a pair with `between`.
    pub warn: Option<Warn>,
}

impl Named for Metric {
    const NAME: &'static str = "metric";
}

impl CheckType for Metric {
    const ON: On = On::Table;
    const COST: Cost = Cost::Statement;
    const REPEATS: bool = true;
}

impl Metric {
    fn bounds(&self) -> Bounds {
        Bounds { min: self.min, max: self.max, between: self.between, warn: self.warn }
    }
}

impl Check for Metric {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        target.facts(&known.catalog)?;
        Ok(Question::single(format!("select ({})::float8::text", subquery(&self.sql, target))))
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let expected = self.bounds().sentence();
        match answer.single(0).and_then(|text| text.parse::<f64>().ok()) {
            Some(value) if value.is_finite() => Judgement::new(self.bounds().judge(value), format!("{value}; {expected}")).measured(value, expected),
            Some(value) => Judgement::broken(format!("the query gives {value}, which is no number; {expected}")),
            None => Judgement::broken(format!("the query gives no value; {expected}")),
        }
    }

    fn mistake(&self) -> Option<String> {
        let none = statement(&self.sql).is_empty().then(|| "the query is empty".into());
        none.or_else(|| self.bounds().mistake())
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, settings, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn no_value_and_nan_never_pass() {
        let metric: Metric = settings(r#"{"sql": "select 1", "between": [0.1, 0.4]}"#);
        let status = |value: &str| metric.judge(&target(None), &answer(1, &[], &[value])).status;
        assert_eq!(
            [status("0.2"), status("0.5"), status("NaN"), status("Infinity"), status("null")],
            [Status::Passed, Status::Failed, Status::Broken, Status::Broken, Status::Broken]
        );
    }
}
