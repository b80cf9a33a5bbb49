use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::rule::Rule;
use super::{CheckType, On, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::ports::postgres::catalog::ColumnFacts;

/// The column holds no NULL.
///
/// Written `not_null: true`; for a column that may hold some, see `nulls`. A `not null` constraint proves it at no cost.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotNull {}

impl Named for NotNull {
    const NAME: &'static str = "not_null";
}

impl CheckType for NotNull {
    const ON: On = On::Column;
}

impl Rule for NotNull {
    fn breach(&self, target: &Target, _: &ColumnFacts) -> Result<String, String> {
        Ok(format!("{} is null", target.column()))
    }

    fn limit(&self) -> Limit {
        Limit::default()
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
    use super::super::test_support::{answer, known, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn one_null_is_enough() {
        let target = target(Some("carrier"));
        let question = NotNull {}.ask(&target, &known(&[("carrier", "text")])).expect("question");
        assert_eq!(question.scan[0].when.as_deref(), Some("\"carrier\" is null"));
        let judged = NotNull {}.judge(&target, &answer(1000, &["1"], &[]));
        assert_eq!((judged.status, judged.message.as_str()), (Status::Failed, "1 of 1,000 rows (0.1%) are NULL; allowed: 0"));
        assert_eq!(NotNull {}.judge(&target, &answer(1000, &["0"], &[])).status, Status::Passed);
    }

    #[test]
    fn the_catalog_may_know() {
        let mut known = known(&[("carrier", "text")]);
        let target = target(Some("carrier"));
        known.evidence.entry(target.table.clone()).or_default().not_null.insert("carrier".into());
        let question = NotNull {}.ask(&target, &known).expect("question");
        assert!(question.scan.is_empty() && question.proof.is_some());
    }
}
