use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::rule::Rule;
use super::{CheckType, On, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::ports::postgres::catalog::ColumnFacts;

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

impl Rule for Nulls {
    fn breach(&self, target: &Target, _: &ColumnFacts) -> Result<String, String> {
        Ok(format!("{} is null", target.column()))
    }

    fn limit(&self) -> Limit {
        self.0
    }

    fn words(&self) -> String {
        "are NULL".into()
    }

    fn ignores_nulls(&self) -> bool {
        false
    }

    fn proof(&self, target: &Target, _: &ColumnFacts, known: &Known) -> Option<String> {
        known.not_null(target).then(|| "the column's not null constraint".into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Check as _;
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
