use schemars::JsonSchema;
use serde::Deserialize;

use super::known::{Known, is_inexact};
use super::rule::Rule;
use super::{CheckType, On, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::ports::postgres::catalog::ColumnFacts;

/// At most so many NaN.
///
/// Written `nan: true` for none, or `nan: 1%`. To Postgres NaN is a value greater than every number, so that `max` and
/// `avg` of one column are NaN as soon as one row is; integers have none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Nan(Limit);

impl Named for Nan {
    const NAME: &'static str = "nan";
    const SHORT: Option<&'static str> = Some("max");
}

impl CheckType for Nan {
    const ON: On = On::Column;
}

impl Rule for Nan {
    fn breach(&self, target: &Target, facts: &ColumnFacts) -> Result<String, String> {
        match facts.base_type.as_str() {
            "smallint" | "integer" | "bigint" => Ok("false".into()),
            _ if is_inexact(facts) => Ok(format!("{} = 'NaN'", target.column())),
            other => Err(format!("NaN is a number, and {} is {other}", target.subject())),
        }
    }

    fn limit(&self) -> Limit {
        self.0
    }

    fn words(&self) -> String {
        "are NaN".into()
    }

    fn proof(&self, _: &Target, facts: &ColumnFacts, _: &Known) -> Option<String> {
        (!is_inexact(facts)).then(|| format!("its type, {},", facts.base_type))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Check as _;
    use super::super::test_support::{known, settings, target};
    use super::*;

    #[test]
    fn integers_have_none_and_text_is_no_number() {
        let nan: Nan = settings("{}");
        let ask = |kind: &str| nan.ask(&target(Some("c")), &known(&[("c", kind)]));
        assert_eq!(ask("double precision").expect("question").scan[0].when.as_deref(), Some("\"c\" = 'NaN'"));
        assert!(ask("integer").expect("question").proof.is_some());
        assert!(ask("text").is_err());
    }
}
