use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rule::Rule;
use super::{CheckType, On, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::names::literal;
use crate::ports::postgres::catalog::ColumnFacts;
use crate::units::Amount;

/// Every value has the form of an e-mail address, a UUID, a date …
///
/// The form is checked, not whether there is such an address or day. NULL passes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Format {
    /// The form.
    pub is: Form,
    /// More rows of another form fail. Default: 0.
    pub max: Option<Amount>,
    /// More rows of another form warn.
    pub warn: Option<Amount>,
}

/// Forms that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    Email,
    Uuid,
    Url,
    Ipv4,
    Ipv6,
    Hostname,
    /// `2026-01-31`
    Date,
    /// `2026-01-31T18:00:00Z`
    Timestamp,
    /// `18:00` or `18:00:00`
    Time,
    /// E.164: `+4930123456`
    Phone,
    /// ISO 3166-1 alpha-2: two capitals
    Country,
    /// ISO 4217: three capitals
    Currency,
    Integer,
    Decimal,
    Hex,
    Sha256,
    Slug,
    /// Neither empty nor only blanks
    NotBlank,
}

impl Form {
    fn regex(self) -> &'static str {
        match self {
            Self::Email => {
                r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$"
            }
            Self::Uuid => r"^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$",
            Self::Url => r"^[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#]+[^\s]*$",
            Self::Ipv4 => r"^(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])$",
            Self::Ipv6 => r"^(?=.*:.*:)(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}$",
            Self::Hostname => r"^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$",
            Self::Date => r"^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])$",
            Self::Timestamp => {
                r"^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)?$"
            }
            Self::Time => r"^(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?$",
            Self::Phone => r"^\+[1-9][0-9]{6,14}$",
            Self::Country => r"^[A-Z]{2}$",
            Self::Currency => r"^[A-Z]{3}$",
            Self::Integer => r"^[+-]?[0-9]+$",
            Self::Decimal => r"^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$",
            Self::Hex => r"^(?:0x)?[0-9A-Fa-f]+$",
            Self::Sha256 => r"^[0-9a-f]{64}$",
            Self::Slug => r"^[a-z0-9]+(?:-[a-z0-9]+)*$",
            Self::NotBlank => r"\S",
        }
    }
}

impl Named for Format {
    const NAME: &'static str = "format";
    const SHORT: Option<&'static str> = Some("is");
}

impl CheckType for Format {
    const ON: On = On::Column;
}

impl Rule for Format {
    fn breach(&self, target: &Target, _: &ColumnFacts) -> Result<String, String> {
        Ok(format!("{}::text !~ {}", target.column(), literal(self.is.regex())))
    }

    fn limit(&self) -> Limit {
        Limit { max: self.max, warn: self.warn }
    }

    fn words(&self) -> String {
        let name = serde_json::to_string(&self.is).unwrap_or_default();
        format!("do not have the form {}", name.trim_matches('"'))
    }

    fn is_costly(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::Check as _;
    use super::super::test_support::{answer, settings, target};
    use super::*;

    #[test]
    fn the_form_is_named_in_the_result_and_a_typo_is_a_mistake() {
        let format: Format = settings(r#"{"is": "not_blank"}"#);
        let judged = format.judge(&target(Some("c")), &answer(4, &["1", "0"], &[]));
        assert_eq!(judged.message, "1 of 4 rows (25%) do not have the form not_blank; allowed: 0");
        assert!(serde_json::from_str::<Format>(r#"{"is": "emial"}"#).is_err());
    }
}
