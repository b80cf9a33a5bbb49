use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answer, Check, CheckType, Judgement, On, Question, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::ports::postgres::catalog::Catalog;

/// The column holds no NULL.
///
/// Written `not_null: true`; for a column that may hold some, see `nulls`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotNull {}

impl Named for NotNull {
    const NAME: &'static str = "not_null";
}

impl CheckType for NotNull {
    const ON: On = On::Column;
}

impl Check for NotNull {
    fn ask(&self, target: &Target, catalog: &Catalog) -> Result<Question, String> {
        target.column_facts(catalog)?;
        Ok(Question::scan([target.count(&format!("{} is null", target.column()))]))
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let nulls = answer.count(0);
        let limit = Limit::default();
        Judgement::new(limit.judge(nulls, answer.rows), limit.sentence(nulls, answer.rows, "are NULL"))
    }

    fn sample(&self, target: &Target, catalog: &Catalog) -> Option<String> {
        Some(target.rows_where(catalog, &format!("{} is null", target.column())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, catalog, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn one_null_is_enough() {
        let target = target(Some("carrier"));
        let question = NotNull {}.ask(&target, &catalog(&[("carrier", "text")])).expect("question");
        assert_eq!(question.scan, ["count(*) filter (where (\"carrier\" is null))"]);
        let judged = NotNull {}.judge(&target, &answer(1000, &["1"], &[]));
        assert_eq!((judged.status, judged.message.as_str()), (Status::Failed, "1 of 1,000 rows (0.1%) are NULL; allowed: 0"));
        assert_eq!(NotNull {}.judge(&target, &answer(1000, &["0"], &[])).status, Status::Passed);
    }
}
