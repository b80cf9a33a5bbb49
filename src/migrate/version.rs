//! Versions in numeric order, however they are written: `0001`, `20260101120000`, `1.2`.

use std::cmp::Ordering;
use std::fmt;

#[derive(Debug, Clone)]
pub struct Version {
    text: String,
    /// Each number without leading zeros, its length first: no number is too long.
    parts: Vec<(usize, String)>,
}

impl Version {
    pub fn parse(text: &str) -> Option<Self> {
        let part = |digits: &str| {
            let digits = (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.trim_start_matches('0'))?;
            Some((digits.len(), digits.to_owned()))
        };
        let mut parts: Vec<_> = text.split(['.', '_']).map(part).collect::<Option<_>>()?;
        // 1 and 1.0 are the same.
        while parts.len() > 1 && parts.last().is_some_and(|(length, _)| *length == 0) {
            parts.pop();
        }
        Some(Self { text: text.to_owned(), parts })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The one after it, as wide; of a time stamp there is none.
    pub fn next(&self) -> Option<Self> {
        let plain = self.text.parse::<u64>().ok().filter(|_| !self.is_timestamp())?;
        Self::parse(&format!("{:0width$}", plain + 1, width = self.text.len()))
    }

    /// `YYYYMMDDHHMMSS`, or seconds since 1970 and the like: nobody counts that far by hand.
    pub fn is_timestamp(&self) -> bool {
        self.parts.len() == 1 && self.parts[0].0 >= 9
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts.cmp(&other.parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).expect("a version")
    }

    #[test]
    fn numbers_count_not_characters() {
        assert!(version("9") < version("0010") && version("1.9") < version("1.10") && version("2") < version("10.1"));
        assert!(version("99") < version("20260101120000"));
        assert!(version("1") == version("001") && version("1.0") == version("1_0") && version("1.0") == version("1"));
        assert!(Version::parse("a").is_none() && Version::parse("1.").is_none() && Version::parse("").is_none());
    }

    #[test]
    fn the_next_number_is_as_wide() {
        assert_eq!(version("0009").next().expect("next").as_str(), "0010");
        assert!(version("20260101120000").next().is_none() && version("1.2").next().is_none());
    }
}
