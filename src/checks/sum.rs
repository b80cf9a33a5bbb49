use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::question::Fold;
use super::{Answer, Check, CheckType, Judgement, On, Question, Target, aggregate};
use crate::bounds::Bounds;
use crate::catalogue::Named;

/// The sum of the values lies in these bounds. NULL is left out; the sum of no value is broken, not 0.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Sum(Bounds);

impl Named for Sum {
    const NAME: &'static str = "sum";
}

impl CheckType for Sum {
    const ON: On = On::Column;
}

impl Check for Sum {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        aggregate::number(target, known)?;
        Ok(Question::scan([target.aggregate(Fold::Sum, format!("sum({}::numeric)", target.column()))]))
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        aggregate::judge(&self.0, "the sum", answer.number(0), answer)
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
    fn the_sum_is_judged() {
        let check: Sum = settings(r#"{"between": [1, 4], "warn": [2, 3]}"#);
        let status = |values: &[&str]| check.judge(&target(Some("c")), &answer(9, values, &[])).status;
        assert_eq!([status(&["2.5"]), status(&["3.5"]), status(&["5"])], [Status::Passed, Status::Warned, Status::Failed]);
        assert_eq!([status(&["NaN"]), status(&["null"])], [Status::Broken, Status::Broken]);
        assert!(check.ask(&target(Some("c")), &known(&[("c", "text")])).is_err());
    }
}
