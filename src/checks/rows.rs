use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::{Answer, Check, CheckType, Judgement, On, Question, Target};
use crate::bounds::Bounds;
use crate::catalogue::Named;
use crate::units::counted;

/// The number of rows lies in these bounds.
///
/// A bare number is the least that is accepted. This is the one check that judges an empty table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Rows(Bounds);

impl Named for Rows {
    const NAME: &'static str = "rows";
    const SHORT: Option<&'static str> = Some("min");
}

impl CheckType for Rows {
    const ON: On = On::Table;
}

impl Check for Rows {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        target.facts(&known.catalog).map(|_| Question::scan([target.rows()]))
    }

    #[expect(clippy::cast_precision_loss, reason = "bounds on rows are far below 2^53")]
    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let expected = self.0.sentence();
        let rows = answer.count(0);
        let status = self.0.judge(rows as f64);
        Judgement::new(status, format!("{}; {expected}", counted(rows, "row"))).measured(rows as f64, expected)
    }

    fn judges_empty(&self) -> bool {
        true
    }

    fn mistake(&self) -> Option<String> {
        let negative = self.0.low().filter(|low| *low < 0.0).map(|low| format!("there are never fewer than 0 rows, and `min` is {low}"));
        negative.or_else(|| self.0.mistake())
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, settings, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn an_empty_table_is_below_any_least_number() {
        let rows: Rows = settings(r#"{"min": 1}"#);
        assert_eq!(rows.judge(&target(None), &answer(0, &["0"], &[])).status, Status::Failed);
        assert_eq!(rows.judge(&target(None), &answer(1, &["1"], &[])).status, Status::Passed);
    }
}
