use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::question::Fold;
use super::{Answer, Check, CheckType, Judgement, On, Question, Target, aggregate};
use crate::bounds::Bounds;
use crate::catalogue::Named;

/// The standard deviation of the values lies in these bounds: that of a sample (n - 1), as `stddev_samp` and pandas have it.
///
/// NULL is left out; fewer than two values have none, which is broken.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Stddev(Bounds);

impl Named for Stddev {
    const NAME: &'static str = "stddev";
}

impl CheckType for Stddev {
    const ON: On = On::Column;
}

impl Check for Stddev {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        aggregate::number(target, known)?;
        Ok(Question::scan([target.aggregate(Fold::Whole, format!("stddev_samp({}::float8)", target.column()))]))
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        aggregate::judge(&self.0, "the standard deviation", answer.number(0), answer)
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
    fn the_deviation_is_judged() {
        let check: Stddev = settings(r#"{"between": [1, 4], "warn": [2, 3]}"#);
        let status = |values: &[&str]| check.judge(&target(Some("c")), &answer(9, values, &[])).status;
        assert_eq!([status(&["2.5"]), status(&["3.5"]), status(&["5"])], [Status::Passed, Status::Warned, Status::Failed]);
        assert_eq!([status(&["NaN"]), status(&["null"])], [Status::Broken, Status::Broken]);
        assert!(check.ask(&target(Some("c")), &known(&[("c", "text")])).is_err());
    }
}
