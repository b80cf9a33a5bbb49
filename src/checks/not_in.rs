use schemars::JsonSchema;
use serde::Deserialize;

use super::in_::list;
use super::rule::Rule;
use super::{CheckType, On, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::ports::postgres::catalog::ColumnFacts;
use crate::scalar::Scalar;
use crate::units::Amount;

/// No value is one of these: placeholders such as `N/A`, `unknown` or `-999`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotIn {
    /// The forbidden values.
    pub values: Vec<Scalar>,
    /// More rows with such a value than this fail. Default: 0.
    pub max: Option<Amount>,
    /// More rows with such a value than this warn.
    pub warn: Option<Amount>,
}

impl Named for NotIn {
    const NAME: &'static str = "not_in";
    const SHORT: Option<&'static str> = Some("values");
}

impl CheckType for NotIn {
    const ON: On = On::Column;
}

impl Rule for NotIn {
    fn breach(&self, target: &Target, _: &ColumnFacts) -> Result<String, String> {
        Ok(format!("{} in ({})", target.column(), list(&self.values)))
    }

    fn limit(&self) -> Limit {
        Limit { max: self.max, warn: self.warn }
    }

    fn words(&self) -> String {
        "have a forbidden value".into()
    }

    fn is_costly(&self) -> bool {
        true
    }

    fn contradiction(&self) -> Option<String> {
        self.values.is_empty().then(|| "the list of values is empty, so nothing could fail".into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Check as _;
    use super::super::test_support::{answer, settings, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn a_forbidden_value_fails() {
        let never: NotIn = settings(r#"{"values": ["N/A"]}"#);
        assert_eq!(never.judge(&target(Some("c")), &answer(10, &["1", "0"], &[])).status, Status::Failed);
        assert!(settings::<NotIn>(r#"{"values": []}"#).mistake().is_some());
    }
}
