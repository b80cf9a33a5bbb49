use schemars::JsonSchema;
use serde::Deserialize;

use super::known::{Known, is_inexact, is_instant};
use super::rule::Rule;
use super::{CheckType, On, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::ports::postgres::catalog::ColumnFacts;

/// At most so many infinite values, of numbers or dates.
///
/// Written `infinite: true` for none, or `infinite: 1%`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Infinite(Limit);

impl Named for Infinite {
    const NAME: &'static str = "infinite";
    const SHORT: Option<&'static str> = Some("max");
}

impl CheckType for Infinite {
    const ON: On = On::Column;
}

impl Rule for Infinite {
    fn breach(&self, target: &Target, facts: &ColumnFacts) -> Result<String, String> {
        let column = target.column();
        match facts.base_type.as_str() {
            "smallint" | "integer" | "bigint" => Ok("false".into()),
            // As text: before version 14 `numeric` cannot even be compared with infinity.
            "numeric" => Ok(format!("{column}::text in ('Infinity', '-Infinity')")),
            _ if is_inexact(facts) => Ok(format!("({column} = 'Infinity' or {column} = '-Infinity')")),
            _ if is_instant(facts) => Ok(format!("({column} = 'infinity' or {column} = '-infinity')")),
            other => Err(format!("only numbers and dates can be infinite, and {} is {other}", target.subject())),
        }
    }

    fn limit(&self) -> Limit {
        self.0
    }

    fn words(&self) -> String {
        "are infinite".into()
    }

    fn proof(&self, _: &Target, facts: &ColumnFacts, _: &Known) -> Option<String> {
        facts
            .base_type
            .ends_with("int")
            .then(|| format!("its type, {},", facts.base_type))
            .or((facts.base_type == "integer").then(|| "its type, integer,".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Check as _;
    use super::super::test_support::{known, settings, target};
    use super::*;

    #[test]
    fn numbers_and_dates_can_be_infinite() {
        let infinite: Infinite = settings("{}");
        let ask = |kind: &str| infinite.ask(&target(Some("c")), &known(&[("c", kind)]));
        assert!(ask("real").is_ok() && ask("date").is_ok() && ask("numeric").is_ok());
        assert!(ask("integer").expect("question").proof.is_some());
        assert!(ask("text").is_err());
    }
}
