//! What a table looked like once: small, without its rows, made to be committed and compared with.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The file that `mlops data profile` writes. It holds no time and no host, so that the same rows give the same bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub format_version: u32,
    pub tables: BTreeMap<String, TableProfile>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableProfile {
    pub rows: u64,
    /// In the table's order.
    pub columns: Vec<ColumnProfile>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnProfile {
    pub name: String,
    /// As Postgres prints it.
    #[serde(rename = "type")]
    pub type_name: String,
    pub nulls: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub numbers: Option<Numbers>,
    pub shape: Shape,
}

/// Of a column of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Numbers {
    pub min: f64,
    pub max: f64,
    pub mean: f64,
    /// Of a population.
    pub stddev: f64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub nan: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// How the values are spread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Every value and its rows.
    Values(Vec<(String, u64)>),
    /// Counts below the first edge, from each edge to the next, and from the last one on.
    Bins { edges: Vec<f64>, counts: Vec<u64> },
    /// Why there is neither.
    Unknown(String),
}

impl Profile {
    pub const FORMAT_VERSION: u32 = 1;
    /// Where it is written and looked for by default.
    pub const FILE: &str = "mlops-baseline.json";

    /// From the text of a file.
    pub fn read(text: &str) -> Result<Self, String> {
        let profile: Self = serde_json::from_str(text).map_err(|e| format!("it is no profile: {e}"))?;
        if profile.format_version != Self::FORMAT_VERSION {
            return Err(format!("it has format version {}, and this program reads {}", profile.format_version, Self::FORMAT_VERSION));
        }
        Ok(profile)
    }

    /// A line for each column, so that a change is easy to review.
    pub fn write(&self) -> Result<String, serde_json::Error> {
        use std::fmt::Write as _;
        let mut text = format!("{{\n  \"format_version\": {},\n  \"tables\": {{", self.format_version);
        for (i, (name, table)) in self.tables.iter().enumerate() {
            let separator = if i == 0 { "" } else { "," };
            let _ = write!(text, "{separator}\n    {}: {{\n      \"rows\": {},\n      \"columns\": [", serde_json::to_string(name)?, table.rows);
            for (j, column) in table.columns.iter().enumerate() {
                let _ = write!(text, "{}\n        {}", if j == 0 { "" } else { "," }, serde_json::to_string(column)?);
            }
            text.push_str("\n      ]\n    }");
        }
        text.push_str("\n  }\n}\n");
        Ok(text)
    }
}

impl TableProfile {
    pub fn column(&self, name: &str) -> Option<&ColumnProfile> {
        self.columns.iter().find(|column| column.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let numbers = Numbers { min: 0.1, max: 1e300, mean: 0.3, stddev: 0.0, nan: 0 };
        let column = |name: &str, shape| ColumnProfile { name: name.into(), type_name: "text".into(), nulls: 1, numbers: Some(numbers), shape };
        let shapes = [Shape::Values(vec![("a\"b".into(), 2)]), Shape::Bins { edges: vec![0.1], counts: vec![1, 2] }, Shape::Unknown("x".into())];
        let columns = shapes.into_iter().enumerate().map(|(i, shape)| column(&i.to_string(), shape)).collect();
        let profile = Profile { format_version: 1, tables: [("t".to_owned(), TableProfile { rows: 3, columns })].into() };
        assert_eq!(Profile::read(&profile.write().expect("text")).expect("profile"), profile);
        assert!(Profile::read("{\"format_version\": 2, \"tables\": {}}").expect_err("newer").contains("format version 2"));
    }
}
