use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::question::Fold;
use super::{Answer, Check, CheckType, Judgement, On, Question, Target, aggregate};
use crate::bounds::Bounds;
use crate::catalogue::Named;

/// The smallest value lies in these bounds.
///
/// Of a date or timestamp the bounds are seconds since 1970; for an age see `fresh`, for every value `range`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Min(Bounds);

impl Named for Min {
    const NAME: &'static str = "min";
}

impl CheckType for Min {
    const ON: On = On::Column;
}

impl Check for Min {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        Ok(Question::scan([aggregate::ordered(target, known, Fold::Min, "min")?]))
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        aggregate::judge(&self.0, "the smallest value", answer.number(0), answer)
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
    fn the_smallest_value_is_judged() {
        let check: Min = settings(r#"{"between": [1, 4], "warn": [2, 3]}"#);
        let status = |values: &[&str]| check.judge(&target(Some("c")), &answer(9, values, &[])).status;
        assert_eq!([status(&["2.5"]), status(&["3.5"]), status(&["5"])], [Status::Passed, Status::Warned, Status::Failed]);
        assert_eq!([status(&["NaN"]), status(&["null"])], [Status::Broken, Status::Broken]);
        assert!(check.ask(&target(Some("c")), &known(&[("c", "text")])).is_err());
    }
}
