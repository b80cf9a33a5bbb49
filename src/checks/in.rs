use schemars::JsonSchema;
use serde::Deserialize;

use super::rule::Rule;
use super::{CheckType, On, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::names::literal;
use crate::ports::postgres::catalog::ColumnFacts;
use crate::scalar::Scalar;
use crate::units::Amount;

/// Every value is one of these.
///
/// NULL passes: see `not_null` for it. Values are compared as the column's own type.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct In {
    /// The accepted values.
    pub values: Vec<Scalar>,
    /// More rows with another value than this fail. Default: 0.
    pub max: Option<Amount>,
    /// More rows with another value than this warn.
    pub warn: Option<Amount>,
}

impl Named for In {
    const NAME: &'static str = "in";
    const SHORT: Option<&'static str> = Some("values");
}

impl CheckType for In {
    const ON: On = On::Column;
}

/// `'a', 'b'`: literals take the type of what they are compared with.
pub(super) fn list(values: &[Scalar]) -> String {
    values.iter().map(|value| literal(&value.to_string())).collect::<Vec<_>>().join(", ")
}

impl Rule for In {
    fn breach(&self, target: &Target, _: &ColumnFacts) -> Result<String, String> {
        Ok(format!("{} not in ({})", target.column(), list(&self.values)))
    }

    fn limit(&self) -> Limit {
        Limit { max: self.max, warn: self.warn }
    }

    fn words(&self) -> String {
        "have another value".into()
    }

    fn is_costly(&self) -> bool {
        true
    }

    fn contradiction(&self) -> Option<String> {
        self.values.is_empty().then(|| "the list of values is empty, so nothing could pass".into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Check as _;
    use super::super::test_support::{answer, known, settings, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn values_are_literals_and_nulls_are_told() {
        let within: In = settings(r#"{"values": ["O'Hare", 3, true]}"#);
        let question = within.ask(&target(Some("c")), &known(&[("c", "text")])).expect("question");
        assert_eq!(question.scan[0].when.as_deref(), Some("\"c\" not in ('O''Hare', '3', 'true')"));
        let judged = within.judge(&target(Some("c")), &answer(10, &["1", "2"], &[]));
        assert_eq!(judged.status, Status::Failed);
        assert!(judged.message.ends_with("(nulls ignored: 2)"), "{}", judged.message);
    }
}
