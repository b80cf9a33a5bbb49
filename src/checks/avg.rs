use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::question::Fold;
use super::{Answer, Check, CheckType, Judgement, On, Question, Target, aggregate};
use crate::bounds::Bounds;
use crate::catalogue::Named;

/// The mean of the values lies in these bounds. NULL is left out; the mean of no value is broken.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Avg(Bounds);

impl Named for Avg {
    const NAME: &'static str = "avg";
}

impl CheckType for Avg {
    const ON: On = On::Column;
}

impl Check for Avg {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        aggregate::number(target, known)?;
        let column = target.column();
        // Two sums that groups can share, where `avg` itself would force the scan to see every row alone.
        let parts = [format!("sum({column}::float8)"), format!("count({column})")];
        Ok(Question::scan(parts.map(|call| target.aggregate(Fold::Sum, call))))
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let mean = answer.number(0).zip(answer.number(1)).map(|(sum, n)| sum / n);
        aggregate::judge(&self.0, "the mean", mean, answer)
    }

    fn mistake(&self) -> Option<String> {
        self.0.mistake()
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, known, settings, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn the_mean_is_judged() {
        let check: Avg = settings(r#"{"between": [1, 4], "warn": [2, 3]}"#);
        let status = |values: &[&str]| check.judge(&target(Some("c")), &answer(9, values, &[])).status;
        assert_eq!([status(&["5", "2"]), status(&["7", "2"]), status(&["10", "2"])], [Status::Passed, Status::Warned, Status::Failed]);
        assert_eq!([status(&["NaN", "2"]), status(&["null", "0"])], [Status::Broken, Status::Broken]);
        assert!(check.ask(&target(Some("c")), &known(&[("c", "text")])).is_err());
    }
}
