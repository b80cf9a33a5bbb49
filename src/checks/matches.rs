use schemars::JsonSchema;
use serde::Deserialize;

use super::rule::Rule;
use super::{CheckType, On, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::names::literal;
use crate::ports::postgres::catalog::ColumnFacts;
use crate::units::Amount;

/// Every value matches this regular expression (Postgres' own, `~`).
///
/// It matches anywhere in the value: `^` and `$` tie it to both ends. Values that are no text are matched as Postgres
/// prints them. NULL passes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Matches {
    /// The regular expression.
    pub regex: String,
    /// More rows that do not match fail. Default: 0.
    pub max: Option<Amount>,
    /// More rows that do not match warn.
    pub warn: Option<Amount>,
}

impl Named for Matches {
    const NAME: &'static str = "matches";
    const SHORT: Option<&'static str> = Some("regex");
}

impl CheckType for Matches {
    const ON: On = On::Column;
}

impl Rule for Matches {
    fn breach(&self, target: &Target, _: &ColumnFacts) -> Result<String, String> {
        Ok(format!("{}::text !~ {}", target.column(), literal(&self.regex)))
    }

    fn limit(&self) -> Limit {
        Limit { max: self.max, warn: self.warn }
    }

    fn words(&self) -> String {
        format!("do not match {}", self.regex)
    }

    fn is_costly(&self) -> bool {
        true
    }

    fn contradiction(&self) -> Option<String> {
        self.regex.is_empty().then(|| "an empty pattern matches everything".into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Check as _;
    use super::super::test_support::{known, settings, target};
    use super::*;

    #[test]
    fn backslashes_arrive_as_written() {
        let matches: Matches = settings(r#"{"regex": "^\\d+'$"}"#);
        let question = matches.ask(&target(Some("c")), &known(&[("c", "text")])).expect("question");
        assert_eq!(question.scan[0].when.as_deref(), Some(r#""c"::text !~  E'^\\d+''$'"#));
        assert!(question.scan[0].costly);
    }
}
