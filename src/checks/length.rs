use schemars::JsonSchema;
use serde::Deserialize;

use super::rule::Rule;
use super::{CheckType, On, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::ports::postgres::catalog::ColumnFacts;
use crate::units::Amount;

/// Every value is so many characters long: exactly, or between two lengths.
///
/// Of an array it is the number of its elements, of `bytea` that of its bytes. NULL passes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Length {
    /// The length, or the least and the greatest.
    pub is: Lengths,
    /// More rows of another length fail. Default: 0.
    pub max: Option<Amount>,
    /// More rows of another length warn.
    pub warn: Option<Amount>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a length or a pair [least, greatest]")]
pub enum Lengths {
    Exactly(u32),
    Between([u32; 2]),
}

impl Lengths {
    fn bounds(self) -> [u32; 2] {
        match self {
            Self::Exactly(n) => [n, n],
            Self::Between(pair) => pair,
        }
    }
}

impl Named for Length {
    const NAME: &'static str = "length";
    const SHORT: Option<&'static str> = Some("is");
}

impl CheckType for Length {
    const ON: On = On::Column;
}

impl Rule for Length {
    fn breach(&self, target: &Target, facts: &ColumnFacts) -> Result<String, String> {
        let [low, high] = self.is.bounds();
        let column = target.column();
        let length = match facts.base_type.as_str() {
            array if array.ends_with("[]") => format!("cardinality({column})"),
            "bytea" => format!("octet_length({column})"),
            // To the server a padded `char(10)` is as long as its text.
            _ => format!("char_length({column}::text)"),
        };
        Ok(format!("{length} not between {low} and {high}"))
    }

    fn limit(&self) -> Limit {
        Limit { max: self.max, warn: self.warn }
    }

    fn words(&self) -> String {
        let [low, high] = self.is.bounds();
        if low == high { format!("are not {low} long") } else { format!("are not {low} to {high} long") }
    }

    fn is_costly(&self) -> bool {
        true
    }

    fn contradiction(&self) -> Option<String> {
        let [low, high] = self.is.bounds();
        (low > high).then(|| format!("nothing is between {low} and {high} long"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Check as _;
    use super::super::test_support::{known, settings, target};
    use super::*;

    #[test]
    fn texts_arrays_and_bytes_have_lengths() {
        let length: Length = settings(r#"{"is": [3, 20]}"#);
        let when = |kind: &str| length.ask(&target(Some("c")), &known(&[("c", kind)])).expect("question").scan[0].when.clone();
        assert_eq!(when("text").as_deref(), Some("char_length(\"c\"::text) not between 3 and 20"));
        assert_eq!(when("text[]").as_deref(), Some("cardinality(\"c\") not between 3 and 20"));
        assert_eq!(when("bytea").as_deref(), Some("octet_length(\"c\") not between 3 and 20"));
        assert!(settings::<Length>(r#"{"is": [3, 2]}"#).mistake().is_some());
    }
}
