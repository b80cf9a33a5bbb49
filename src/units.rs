//! The three things that are written as text with a unit, and nothing else: a share, a duration, a size.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// `10` is a count, `2%` a share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    Count(u64),
    Share(f64),
}

impl Amount {
    /// Whether `n` of `total` stay within this amount.
    pub fn allows(self, n: u64, total: u64) -> bool {
        match self {
            Self::Count(max) => n <= max,
            Self::Share(max) => share(n, total) <= max,
        }
    }
}

/// `n / total`; any of nothing is everything.
#[expect(clippy::cast_precision_loss, reason = "a share of rows is printed with four digits")]
pub fn share(n: u64, total: u64) -> f64 {
    if total == 0 { if n == 0 { 0.0 } else { 1.0 } } else { n as f64 / total as f64 }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(n) => write!(f, "{}", count(*n)),
            Self::Share(s) => write!(f, "{}", percent(*s)),
        }
    }
}

/// `1234567` as `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `2 rows`.
pub fn counted(n: u64, noun: &str) -> String {
    match noun.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u'])) {
        Some(stem) if n != 1 => format!("{} {stem}ies", count(n)),
        _ => format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" }),
    }
}

/// A share with at most two decimals, never rounded to a bound that it does not reach.
pub fn percent(share: f64) -> String {
    let hundredths = (share * 1e4).round() / 1e2;
    if share > 0.0 && hundredths == 0.0 { "<0.01%".into() } else { format!("{hundredths}%") }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AmountVisitor;
        impl Visitor<'_> for AmountVisitor {
            type Value = Amount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a count such as `10` or a share such as `2%`")
            }
            fn visit_u64<E>(self, n: u64) -> Result<Amount, E> {
                Ok(Amount::Count(n))
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Amount, E> {
                u64::try_from(n).map(Amount::Count).map_err(|_| E::invalid_value(de::Unexpected::Signed(n), &self))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                let share = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
                share
                    .filter(|s| (0.0..=100.0).contains(s))
                    .map(|s| Amount::Share(s / 100.0))
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(AmountVisitor)
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A count such as `10` or a share such as `2%`.",
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9.]+ ?%$|^\\$\\{"}]
        })
    }
}

/// `-10%`, `+30%`: a share more or less than before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change(pub f64);

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.0 < 0.0 { "-" } else { "+" }, percent(self.0.abs()))
    }
}

impl<'de> Deserialize<'de> for Change {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer).map_err(|_| de::Error::custom("expected a change such as `-10%` or `+30%`"))?;
        let number = text.strip_suffix('%').and_then(|n| n.trim().parse::<f64>().ok()).filter(|n| n.is_finite());
        number.map(|n| Self(n / 100.0)).ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(&text), &"a change such as `-10%` or `+30%`"))
    }
}

impl JsonSchema for Change {
    fn schema_name() -> Cow<'static, str> {
        "Change".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": "A change such as `-10%` or `+30%`.", "type": "string", "pattern": "^[+-]?[0-9.]+ ?%$|^\\$\\{"})
    }
}

/// `7d`, `24h`, `5min`, `500ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl Span {
    pub const fn seconds(n: u64) -> Self {
        Self(Duration::from_secs(n))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Two units are enough for a person: `26days 4h`, not `26days 4h 3m 2s 1ms`.
        let text = humantime::format_duration(self.0).to_string();
        f.write_str(&text.split(' ').take(2).collect::<Vec<_>>().join(" "))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpanVisitor;
        impl Visitor<'_> for SpanVisitor {
            type Value = Span;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as `7d`, `24h`, `5min` or `500ms`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                humantime::parse_duration(text).map(Span).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(SpanVisitor)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration such as `7d`, `24h`, `5min` or `500ms`.",
            "type": "string", "pattern": "^[0-9]+ ?[a-zA-Z]+( ?[0-9]+ ?[a-zA-Z]+)*$|^\\$\\{"
        })
    }
}

/// `50/s`: how often a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(pub f64);

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer).map_err(|_| de::Error::custom("expected a rate such as `50/s`"))?;
        let number = text.strip_suffix("/s").and_then(|n| n.trim().parse::<f64>().ok()).filter(|n| n.is_finite() && *n > 0.0);
        number.map(Self).ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(&text), &"a rate such as `50/s`"))
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": "A rate such as `50/s`.", "type": "string", "pattern": "^[0-9.]+ ?/s$|^\\$\\{"})
    }
}

/// `512MiB`, `10kB`: a number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// Names and sizes, the largest first of each kind.
const SIZES: [(&str, u64); 7] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000), ("B", 1)];

impl fmt::Display for Bytes {
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIZES[..3].iter().find(|(_, size)| self.0 >= *size) {
            Some((name, size)) if self.0.is_multiple_of(*size) => write!(f, "{} {name}", self.0 / size),
            Some((name, size)) => write!(f, "{:.1} {name}", self.0 as f64 / *size as f64),
            None => write!(f, "{} B", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a size as people write it")]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer).map_err(|_| de::Error::custom("expected a size such as `512MiB` or `10kB`"))?;
        let size = SIZES.iter().find_map(|(name, size)| Some((text.strip_suffix(name)?.trim().parse::<f64>().ok()?, *size)));
        let size = size.filter(|(n, _)| n.is_finite() && *n >= 0.0);
        size.map(|(n, size)| Self((n * size as f64) as u64))
            .ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(&text), &"a size such as `512MiB` or `10kB`"))
    }
}

impl JsonSchema for Bytes {
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": "A size such as `512MiB` or `10kB`.", "type": "string", "pattern": "^[0-9.]+ ?(GiB|MiB|KiB|GB|MB|kB|B)$|^\\$\\{"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(json: &str) -> Result<Amount, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn a_count_and_a_share_are_told_apart() {
        assert_eq!(amount("10").expect("count"), Amount::Count(10));
        assert_eq!(amount("\"2.5%\"").expect("share"), Amount::Share(0.025));
        for wrong in ["\"2\"", "-1", "\"101%\"", "\"NaN%\"", "0.5"] {
            assert!(amount(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_share_of_nothing_is_not_a_free_pass() {
        assert!(!Amount::Share(0.5).allows(1, 0));
        assert!(Amount::Share(0.5).allows(1, 2));
        assert!(!Amount::Share(0.5).allows(2, 3));
    }

    #[test]
    fn sizes_are_read_and_shown() {
        let size = |json: &str| serde_json::from_str::<Bytes>(json);
        assert_eq!(size("\"1.5MiB\"").expect("size").to_string(), "1.5 MiB");
        assert_eq!(size("\"10kB\"").expect("size"), Bytes(10_000));
        assert!(size("\"10\"").is_err() && size("10").is_err() && size("\"10 mib\"").is_err());
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(123), "123");
        assert_eq!(percent(0.000_001), "<0.01%");
        assert_eq!(percent(0.1601), "16.01%");
        assert_eq!(Span::seconds(93_784).to_string(), "1day 2h");
    }
}
