use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answer, Check, CheckType, Judgement, On, Question, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::ports::postgres::catalog::Catalog;

/// At most so many NULLs, as a count or a share of the rows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Nulls(Limit);

impl Named for Nulls {
    const NAME: &'static str = "nulls";
    const SHORT: Option<&'static str> = Some("max");
}

impl CheckType for Nulls {
    const ON: On = On::Column;
}

impl Check for Nulls {
    fn ask(&self, target: &Target, catalog: &Catalog) -> Result<Question, String> {
        target.column_facts(catalog)?;
        Ok(Question::scan([target.count(&format!("{} is null", target.column()))]))
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let nulls = answer.count(0);
        let message = self.0.sentence(nulls, answer.rows, "are NULL");
        let expected = format!("at most {}", self.0.max.unwrap_or(crate::units::Amount::Count(0)));
        Judgement::new(self.0.judge(nulls, answer.rows), message).measured(crate::units::share(nulls, answer.rows), expected)
    }

    fn mistake(&self) -> Option<String> {
        self.0.mistake()
    }

    fn sample(&self, target: &Target, catalog: &Catalog) -> Option<String> {
        Some(target.rows_where(catalog, &format!("{} is null", target.column())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, settings, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn the_share_is_of_all_rows_and_warns_first() {
        let nulls: Nulls = settings(r#"{"max": "3%", "warn": "1%"}"#);
        let status = |n: &str| nulls.judge(&target(Some("c")), &answer(100, &[n], &[])).status;
        assert_eq!([status("1"), status("3"), status("4")], [Status::Passed, Status::Warned, Status::Failed]);
    }
}
