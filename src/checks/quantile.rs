use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::{Answer, Check, CheckType, Cost, Judgement, On, Question, Target, aggregate};
use crate::bounds::{Bounds, Warn};
use crate::catalogue::Named;

/// A quantile of the values lies in these bounds: `quantile: {q: 0.95, max: 300}`.
///
/// Between two values it is interpolated, as `percentile_cont` and numpy have it. NULL is left out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quantile {
    /// Which: 0.5 is the median.
    pub q: f64,
    /// The smallest value that passes.
    pub min: Option<f64>,
    /// The largest value that passes.
    pub max: Option<f64>,
    /// The smallest and the largest value that pass.
    pub between: Option<[f64; 2]>,
    /// The earlier bound; a pair with `between`.
    pub warn: Option<Warn>,
}

impl Named for Quantile {
    const NAME: &'static str = "quantile";
}

impl CheckType for Quantile {
    const ON: On = On::Column;
    const COST: Cost = Cost::Statement;
}

impl Quantile {
    fn bounds(&self) -> Bounds {
        Bounds { min: self.min, max: self.max, between: self.between, warn: self.warn }
    }
}

impl Check for Quantile {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        aggregate::number(target, known)?;
        // It sorts, so it gets a statement of its own.
        let value = format!("percentile_cont({}) within group (order by t.{}::float8)", self.q, target.column());
        Ok(Question::single(format!("select ({value})::text {}", target.selection(None))))
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let value = answer.single(0).and_then(|text| text.parse().ok());
        aggregate::judge(&self.bounds(), &format!("the {} quantile", self.q), value, answer)
    }

    fn mistake(&self) -> Option<String> {
        let outside = (!(0.0..=1.0).contains(&self.q)).then(|| format!("`q` lies between 0 and 1, and {} does not", self.q));
        outside.or_else(|| self.bounds().mistake())
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, settings, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn the_quantile_is_judged() {
        let median: Quantile = settings(r#"{"q": 0.5, "max": 4, "warn": 3}"#);
        let status = |value: &str| median.judge(&target(Some("c")), &answer(9, &[], &[value])).status;
        assert_eq!([status("2"), status("3.5"), status("5"), status("null")], [Status::Passed, Status::Warned, Status::Failed, Status::Broken]);
        assert!(settings::<Quantile>(r#"{"q": 50, "max": 4}"#).mistake().is_some());
    }
}
